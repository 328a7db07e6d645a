import { spawn } from 'node:child_process';
import { closeQuietly, sealedMemfd } from '#sys/descriptors.ts';

/** Runs the helper for one plan, from a sealed copy that no container can write to (CVE-2019-5736). Descriptors: the
 *  connection, the plan, then those for the slots 0..; they stay the caller's. */
export function launchHelper(helper: Uint8Array, descriptors: readonly number[]): void {
  const program = sealedMemfd('naru-helper', helper);
  try {
    // In a session of its own: the terminal's signals are ours to pass on.
    const child = spawn(`/proc/${process.pid}/fd/${program}`, ['run'], {
      argv0: 'naru-shim', stdio: ['ignore', 'ignore', 'ignore', ...descriptors], detached: true, env: {}, cwd: '/',
    });
    child.unref();
  } finally {
    closeQuietly(program);
  }
}
