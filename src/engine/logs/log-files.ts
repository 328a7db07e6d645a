import { open, stat, type FileHandle } from 'node:fs/promises';

export interface LogFile { readonly handle: FileHandle; readonly inode: number; size: number }

const numbered = (path: string, i: number): string => (i === 0 ? path : `${path}.${i}`);
const TRIES = 5;

async function openOne(path: string): Promise<LogFile | undefined> {
  try {
    const handle = await open(path, 'r');
    const { ino, size } = await handle.stat();
    return { handle, inode: ino, size };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** All files of a log, oldest first, consistent even when the shim rotates meanwhile. The caller closes them. */
export async function openLogFiles(path: string): Promise<LogFile[]> {
  for (let attempt = 0; ; attempt++) {
    const files: LogFile[] = [];
    for (let i = 0; ; i++) {
      const file = await openOne(numbered(path, i));
      if (file === undefined) break;
      files.unshift(file);
    }
    const newest = files.at(-1);
    const inode = await inodeOf(path);
    const distinct = new Set(files.map((file) => file.inode)).size === files.length;
    if (newest === undefined || (inode === newest.inode && distinct) || attempt === TRIES) return files;
    await Promise.all(files.map((file) => file.handle.close()));
  }
}

async function inodeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).ino;
  } catch {
    return undefined;
  }
}

/** The file that follows the one with this inode, after a rotation; undefined when that is still the newest. A file that was rotated
 *  away altogether is followed by the oldest that is left. */
export async function nextLogFile(path: string, inode: number): Promise<LogFile | undefined> {
  if ((await inodeOf(path)) === inode) return undefined;
  const files = await openLogFiles(path);
  const at = files.findIndex((file) => file.inode === inode);
  const next = files[at + 1];
  await Promise.all(files.filter((file) => file !== next).map((file) => file.handle.close()));
  return next;
}
