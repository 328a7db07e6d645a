import { closeSync } from 'node:fs';
import { openAt, openInRoot, statAt, type FileStat } from '#sys/files.ts';
import { AT_FDCWD, O_NONBLOCK, O_NOFOLLOW, O_PATH, O_RDONLY, S_IFMT, S_IFREG } from '#sys/numbers.ts';

export interface OpenFile { readonly fd: number; readonly stat: FileStat }

/** Opens a name for reading if it is a regular file; undefined otherwise. It is looked at before it is opened: opening a fifo
 *  would wait, opening a device can do things. */
export const openRegularAt = (dir: number, name: string): OpenFile | undefined => reopen(openAt(dir, name, O_PATH | O_NOFOLLOW));

/** The same by path inside a root, links followed there. */
export const openRegularInRoot = (root: number, path: string): OpenFile | undefined => reopen(openInRoot(root, path, { flags: O_PATH }));

function reopen(place: number): OpenFile | undefined {
  if (place < 0) return undefined;
  try {
    const stat = statAt(place, '');
    if (typeof stat === 'number' || (stat.mode & S_IFMT) !== S_IFREG) return undefined;
    const fd = openAt(AT_FDCWD, `/proc/self/fd/${place}`, O_RDONLY | O_NONBLOCK);
    return fd < 0 ? undefined : { fd, stat };
  } finally {
    closeSync(place);
  }
}
