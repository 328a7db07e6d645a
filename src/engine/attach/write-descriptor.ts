import { ERRNO } from '#sys/errno.ts';
import { writeOnce } from '#sys/descriptors.ts';
import { sysError } from '#sys/syscalls.ts';

/** A client that takes nothing for so long is given up, in milliseconds. */
const STALL_MS = 30_000;

/** Writes everything to a socket that may be non-blocking, never blocking the event loop. Throws when the peer is gone or takes nothing. */
export async function writeDescriptor(fd: number, bytes: Uint8Array): Promise<void> {
  let done = 0;
  let stalledSince = 0;
  while (done < bytes.byteLength) {
    const result = writeOnce(fd, bytes.subarray(done, done + 65_536));
    if (result >= 0) {
      done += result;
      stalledSince = 0;
      continue;
    }
    if (result !== -ERRNO.EAGAIN! && result !== -ERRNO.EINTR!) throw sysError(-result, 'write to the client');
    stalledSince ||= performance.now();
    if (performance.now() - stalledSince > STALL_MS) throw sysError(ERRNO.EAGAIN!, 'write to the client, which takes nothing');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
