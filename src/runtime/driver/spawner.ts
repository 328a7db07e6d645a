import { spawn, type ChildProcess } from 'node:child_process';
import { NaruError } from '#spec/errors.ts';
import { closeQuietly, sealedMemfd, sendWithDescriptors, setNonblocking, socketpair } from '#sys/descriptors.ts';
import { ERRNO, errnoText } from '#sys/errno.ts';
import { encodeMessage, TO_SHIM } from './messages.ts';

/** How long a request may wait for room in the spawner's queue. */
const SEND_DEADLINE_MS = 5000;

/** The fork server: one small process without the daemon's memory and descriptors, from which every shim is forked. */
export interface Spawner {
  /** Fork a shim. Descriptors: its connection, its plan, then those for the plan's slots 0... The caller keeps (and closes)
   *  all of them. */
  spawn(descriptors: readonly number[]): Promise<void>;
  /** Ends the spawner; shims live on. */
  close(): void;
}

/** `helper`: the program's bytes. They are sealed in memory: no container can write to what it is run by (CVE-2019-5736). */
export function startSpawner(helper: Uint8Array): Spawner {
  const program = sealedMemfd('naru-helper', helper);
  let current: { process: ChildProcess; socket: number } | undefined;
  let closed = false;

  const launch = (): { process: ChildProcess; socket: number } => {
    const [ours, theirs] = socketpair('seqpacket');
    setNonblocking(ours); // a stopped spawner must not stop us
    try {
      // In a session of its own: the terminal's signals are not for containers.
      const process_ = spawn(`/proc/${process.pid}/fd/${program}`, ['spawner'], {
        argv0: 'naru-spawner', stdio: ['ignore', 'ignore', 'ignore', theirs], detached: true, env: {}, cwd: '/',
      });
      const started = { process: process_, socket: ours };
      process_.unref();
      process_.on('error', () => forget(started));
      process_.on('exit', () => forget(started));
      return started;
    } catch (error) {
      closeQuietly(ours);
      throw error;
    } finally {
      closeQuietly(theirs);
    }
  };
  const forget = (dead: { socket: number }): void => {
    if (current?.socket !== dead.socket) return;
    closeQuietly(dead.socket);
    current = undefined;
  };

  current = launch();
  return {
    async spawn(descriptors) {
      const message = encodeMessage(TO_SHIM.spawn, 1);
      const deadline = performance.now() + SEND_DEADLINE_MS;
      for (let attempt = 0; ; attempt++) {
        if (closed) throw new NaruError('unavailable', 'the task driver is closed');
        current ??= launch();
        const sent = sendWithDescriptors(current.socket, message, descriptors);
        if (sent >= 0) return;
        const errno = -sent;
        // It died (or was killed): the next one is as good.
        if (errno === ERRNO.EPIPE || errno === ERRNO.ECONNRESET) forget(current);
        else if (errno !== ERRNO.EAGAIN && errno !== ERRNO.ETOOMANYREFS) throw new NaruError('internal', `cannot ask for a shim: ${errnoText(errno)}`, { errno });
        if (performance.now() > deadline) throw new NaruError('unavailable', `no shim within ${SEND_DEADLINE_MS} ms: ${errnoText(errno)}`, { errno });
        if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, Math.min(attempt, 20)));
      }
    },
    close() {
      closed = true;
      if (current !== undefined) closeQuietly(current.socket); // EOF ends it
      current = undefined;
      closeQuietly(program);
    },
  };
}
