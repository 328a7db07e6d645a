import { closeQuietly, sealedMemfd } from '#sys/descriptors.ts';
import { spawnProcess } from '#sys/spawn-process.ts';

/** Runs the helper for one plan, from a sealed copy that no container can write to (CVE-2019-5736). Descriptors: the
 *  connection, the plan, then those for the slots 0..; they stay the caller's. In a session of its own: the
 *  terminal's signals are ours to pass on. */
export function launchHelper(helper: Uint8Array, descriptors: readonly number[]): void {
  const program = sealedMemfd('naru-helper', helper);
  try {
    spawnProcess(`/proc/self/fd/${program}`, ['naru-shim', 'run'], descriptors);
  } finally {
    closeQuietly(program);
  }
}
