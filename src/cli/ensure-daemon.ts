import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { dialer } from '#client/dial.ts';
import { NaruError } from '#spec/errors.ts';
import { DEFAULT_SOCKET } from './daemon-host.ts';

const DEADLINE_MS = 5000;
const POLL_MS = 10;

/**
 * Starts the daemon in a session of its own and waits until its socket answers. Throws NaruError unavailable with the end of
 * its log when it does not within 5 seconds.
 */
export async function ensureDaemon(socket: string, command: readonly string[]): Promise<void> {
  const [program, ...args] = command;
  if (program === undefined) throw new NaruError('unavailable', `Cannot connect to the Docker daemon at unix://${socket}. Is the docker daemon running?`);
  const logPath = join(dirname(socket), 'daemon.log');
  let log: number;
  try {
    mkdirSync(dirname(socket), { recursive: true, mode: 0o711 });
    log = openSync(logPath, 'a', 0o600);
  } catch (cause) {
    throw new NaruError('forbidden', `Cannot connect to the Docker daemon at unix://${socket}. Is the docker daemon running?`, { cause, hint: 'starting it needs root' });
  }
  const child = spawn(program, socket === DEFAULT_SOCKET ? args : [...args, '--host', `unix://${socket}`], { detached: true, stdio: ['ignore', log, log], cwd: '/' });
  closeSync(log);
  let ended: string | undefined;
  child.once('error', (error) => (ended = error.message));
  child.once('exit', (code, signal) => (ended = `it ended with ${signal ?? `status ${code}`}`));
  child.unref();

  const dial = dialer({ kind: 'unix', path: socket }, undefined);
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    try {
      (await dial()).destroy();
      return;
    } catch {
      // Two clients may start one at the same time: the loser's daemon ends, the winner's answers soon.
      if (performance.now() > deadline) break;
      await delay(POLL_MS);
      if (ended !== undefined && performance.now() > deadline - DEADLINE_MS + 1000) break;
    }
  }
  throw new NaruError('unavailable', `the daemon did not start: ${ended ?? `nothing answers at ${socket}`}${tail(logPath)}`, { hint: `its log is ${logPath}` });
}

function tail(path: string): string {
  try {
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n').slice(-3);
    return lines.join('') === '' ? '' : `\n  ${lines.join('\n  ')}`;
  } catch {
    return '';
  }
}
