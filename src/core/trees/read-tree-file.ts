import { closeSync, readSync } from 'node:fs';
import { openInRoot, rawFromText, statAt } from '#sys/files.ts';
import { O_NOCTTY, O_NONBLOCK, O_RDONLY, S_IFMT, S_IFREG } from '#sys/numbers.ts';

/** First `limit` bytes of a regular file inside `root`, links followed inside it; undefined when there is none, or when it is
 *  something else (a fifo that would block, a device). */
export function readTreeFile(root: number, path: string, limit: number): Uint8Array | undefined {
  const fd = openInRoot(root, rawFromText(path), { flags: O_RDONLY | O_NONBLOCK | O_NOCTTY });
  if (fd < 0) return undefined;
  try {
    const stat = statAt(fd, '');
    if (typeof stat === 'number' || (stat.mode & S_IFMT) !== S_IFREG) return undefined;
    const buffer = Buffer.alloc(Math.min(limit, Math.max(stat.size, 4096)));
    let length = 0;
    while (length < buffer.byteLength) {
      const got = readSync(fd, buffer, length, buffer.byteLength - length, null);
      if (got === 0) break;
      length += got;
    }
    return buffer.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}
