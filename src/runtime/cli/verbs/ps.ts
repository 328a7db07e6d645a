import { spawnSync } from 'node:child_process';
import { NaruError } from '#spec/errors.ts';
import { containerPids } from '../container-pids.ts';
import { readRecord } from '../container-record.ts';
import type { Verb } from '../context.ts';
import { parseFlags } from '../flags.ts';

/** `ps [-f table|json] ID [ps options]`: the container's processes, as the host's ps shows them. */
export const ps: Verb = (words, context) => {
  const { flags, rest } = parseFlags(words, { format: { kind: 'text', short: 'f' } }, { stop: true });
  const format = flags.format ?? 'table';
  if (format !== 'table' && format !== 'json') throw new NaruError('invalid', `invalid format option ${JSON.stringify(format)}`);
  const pids = containerPids(context.root, readRecord(context.root, rest[0] ?? ''));
  if (format === 'json') {
    process.stdout.write(`${JSON.stringify(pids)}\n`);
    return 0;
  }
  const options = rest.length > 1 ? rest.slice(1) : ['-ef'];
  const ran = spawnSync('ps', options, { encoding: 'utf8' });
  if (ran.status !== 0) throw new NaruError('invalid', `ps ${options.join(' ')}: ${(ran.error?.message ?? ran.stderr).trim()}`);
  const [head, ...lines] = ran.stdout.trimEnd().split('\n');
  const column = head!.trim().split(/\s+/).indexOf('PID');
  if (column < 0) throw new NaruError('invalid', 'couldn\'t find PID field in ps output');
  const wanted = new Set(pids.map(String));
  process.stdout.write(`${[head, ...lines.filter((line) => wanted.has(line.trim().split(/\s+/)[column]!))].join('\n')}\n`);
  return 0;
};
