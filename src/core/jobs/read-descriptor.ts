import { read } from 'node:fs';

const CHUNK = 1 << 18;

/** Bytes from a pipe, read ahead by one chunk in another thread. A chunk is a view that is valid until the next is asked for. */
export async function* readDescriptor(fd: number): AsyncGenerator<Uint8Array, void, undefined> {
  const buffers = [Buffer.allocUnsafe(CHUNK), Buffer.allocUnsafe(CHUNK)] as const;
  const fill = (buffer: Buffer): Promise<number> =>
    new Promise((resolve, reject) => {
      read(fd, buffer, 0, CHUNK, null, (error, length) => (error === null ? resolve(length) : reject(error)));
    });
  let at = 0;
  let pending = fill(buffers[0]);
  try {
    for (;;) {
      const length = await pending;
      if (length === 0) return;
      const chunk = buffers[at % 2]!.subarray(0, length);
      pending = fill(buffers[++at % 2]!);
      yield chunk;
    }
  } finally {
    pending.catch(() => {});
  }
}
