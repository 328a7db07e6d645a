import { closeSync, readSync } from 'node:fs';
import { rawFromText } from '#sys/files.ts';
import { openRegularInRoot } from './open-regular.ts';

/** First `limit` bytes of a regular file inside `root`, links followed inside it; undefined when there is none, or when it is
 *  something else (a fifo that would block, a device). */
export function readTreeFile(root: number, path: string, limit: number): Uint8Array | undefined {
  const file = openRegularInRoot(root, rawFromText(path));
  if (file === undefined) return undefined;
  try {
    const buffer = Buffer.alloc(Math.min(limit, Math.max(file.stat.size, 4096)));
    let length = 0;
    while (length < buffer.byteLength) {
      const got = readSync(file.fd, buffer, length, buffer.byteLength - length, null);
      if (got === 0) break;
      length += got;
    }
    return buffer.subarray(0, length);
  } finally {
    closeSync(file.fd);
  }
}
