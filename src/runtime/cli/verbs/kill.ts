import { NaruError } from '#spec/errors.ts';
import { containerPids } from '../container-pids.ts';
import { readRecord } from '../container-record.ts';
import { containerStatus } from '../container-status.ts';
import type { Verb } from '../context.ts';
import { parseFlags } from '../flags.ts';
import { readProcessStat } from '../process-stat.ts';
import { letDie } from '../remove-container.ts';
import { signalNumber } from '../signal-number.ts';
import { signalProcess } from '../signal-process.ts';

const SIGKILL = 9;

/** `kill [--all] ID [SIGNAL]`: to the first process, or to all. */
export const kill: Verb = async (words, context) => {
  const { flags, rest } = parseFlags(words, { all: { kind: 'bool', short: 'a' } });
  if (rest.length < 1 || rest.length > 2) throw new NaruError('invalid', 'kill: requires the container\'s id and at most a signal');
  const record = readRecord(context.root, rest[0]!);
  const signal = signalNumber(rest[1] ?? 'TERM');
  if (flags.all) {
    for (const pid of containerPids(context.root, record)) {
      const stat = readProcessStat(pid);
      if (stat !== undefined) signalProcess({ pid, startTime: stat.startTime }, signal);
    }
    if (signal === SIGKILL) await letDie(record);
    return 0;
  }
  const status = containerStatus(context.root, record);
  if (status.pid === 0 || !signalProcess(status, signal)) throw new NaruError('conflict', 'container not running', { hint: `container ${record.id} is ${status.status}` });
  if (signal === SIGKILL) await letDie(record);
  return 0;
};
