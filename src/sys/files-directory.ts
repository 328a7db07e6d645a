import { closeSync } from 'node:fs';
import { NR, S_IFDIR, S_IFMT } from './numbers.ts';
import { openSubdirectory, statAt, unlinkAt } from './files.ts';
import { check, syscall } from './syscalls.ts';

export interface DirectoryEntry {
  /** Raw string (sys/files.ts). */
  readonly name: string;
  /** DT_* constant of readdir(3); 0 when the file system does not say. */
  readonly type: number;
}

export const DT_FIFO = 1, DT_CHR = 2, DT_DIR = 4, DT_BLK = 6, DT_REG = 8, DT_LNK = 10, DT_SOCK = 12;

/** Shared: a listing is read in one go. */
const buffer = Buffer.allocUnsafe(65536);

/** Entries of an open directory without `.` and `..`, sorted by their bytes. The descriptor must be fresh (offset 0) and open
 *  for reading. Throws on an I/O error. */
export function readDirectory(fd: number): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [];
  for (;;) {
    const length = check(syscall(NR.getdents64, fd, buffer, buffer.byteLength), 'read directory');
    if (length === 0) break;
    for (let at = 0; at < length; ) {
      const record = buffer.readUInt16LE(at + 16);
      const end = buffer.indexOf(0, at + 19);
      const name = buffer.toString('latin1', at + 19, end);
      if (name !== '.' && name !== '..') entries.push({ name, type: buffer[at + 18]! });
      at += record;
    }
  }
  return entries.length < 2 ? entries : entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

export const isDirectory = (dir: number, entry: DirectoryEntry): boolean => {
  if (entry.type !== 0) return entry.type === DT_DIR;
  const stat = statAt(dir, entry.name);
  return typeof stat === 'object' && (stat.mode & S_IFMT) === S_IFDIR;
};

/** How long removal may keep the event loop before it yields, in milliseconds. */
const SLICE = 3;

/** Removes a name and everything below it, without following links and at any depth (more than PATH_MAX too): one descriptor
 *  per level, one level open at a time. Missing is fine. Yields to the event loop. */
export async function removeTree(dir: number, name: string): Promise<void> {
  const budget = { until: performance.now() + SLICE };
  await removeBelow(dir, name, budget);
}

async function removeBelow(dir: number, name: string, budget: { until: number }): Promise<void> {
  const result = unlinkAt(dir, name);
  if (result === 0 || result === -2) return;
  if (result !== -21) check(result, `remove ${name}`); // EISDIR
  // An explicit stack: a tree made to be deep must not exhaust ours. Directories are moved up beside their parents' top when
  // the depth passes MAX_OPEN, so that few descriptors are open.
  interface Level { fd: number; name: string; entries: DirectoryEntry[]; next: number }
  const open = (at: number, child: string): Level => {
    const fd = check(openSubdirectory(at, child), `remove ${child}`);
    return { fd, name: child, entries: readDirectory(fd), next: 0 };
  };
  const stack: Level[] = [];
  try {
    stack.push(open(dir, name));
    while (stack.length > 0) {
      const level = stack[stack.length - 1]!;
      const entry = level.entries[level.next++];
      if (entry === undefined) {
        closeSync(level.fd);
        stack.pop();
        const parent = stack[stack.length - 1]?.fd ?? dir;
        check(unlinkAt(parent, level.name, true), `remove ${level.name}`);
      } else if (isDirectory(level.fd, entry)) {
        if (unlinkAt(level.fd, entry.name, true) === 0) continue; // empty: the usual leaf
        if (stack.length < MAX_OPEN) stack.push(open(level.fd, entry.name));
        else {
          // Too deep: hang it under the top and come to it there.
          const top = stack[0]!;
          const moved = `.deep-${deepCounter++}`;
          check(syscall(NR.renameat2, level.fd, Buffer.from(`${entry.name}\0`, 'latin1'), top.fd, Buffer.from(`${moved}\0`), 0), `remove ${entry.name}`);
          top.entries.push({ name: moved, type: DT_DIR });
        }
      } else {
        const removed = unlinkAt(level.fd, entry.name);
        if (removed !== -2) check(removed, `remove ${entry.name}`);
      }
      if (performance.now() > budget.until) {
        await new Promise((resolve) => setImmediate(resolve));
        budget.until = performance.now() + SLICE;
      }
    }
  } finally {
    for (const level of stack) closeSync(level.fd);
  }
}

const MAX_OPEN = 256;
let deepCounter = 0;
