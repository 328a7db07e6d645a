import { closeSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { errnoText } from '#sys/errno.ts';
import { descriptorPath, openInRoot, rawFromText, readlinkAt, statAt, textFromRaw, type FileStat } from '#sys/files.ts';
import {
  O_DIRECTORY, O_PATH, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFSOCK,
} from '#sys/numbers.ts';
import type { Trees } from '../tree-port.ts';
import { splitPath } from '../archive/clean-path.ts';

export type PathStatResult = ReturnType<Trees['stat']>;

/** Go's os.FileMode bits: https://pkg.go.dev/io/fs#FileMode */
const GO_DIR = 2 ** 31, GO_SYMLINK = 2 ** 27, GO_DEVICE = 2 ** 26, GO_FIFO = 2 ** 25, GO_SOCKET = 2 ** 24, GO_SETUID = 2 ** 23,
  GO_SETGID = 2 ** 22, GO_CHAR = 2 ** 21, GO_STICKY = 2 ** 20;
const GO_TYPES: ReadonlyMap<number, number> = new Map([
  [S_IFDIR, GO_DIR], [S_IFLNK, GO_SYMLINK], [S_IFBLK, GO_DEVICE], [S_IFCHR, GO_DEVICE + GO_CHAR], [S_IFIFO, GO_FIFO], [S_IFSOCK, GO_SOCKET],
]);

export const goFileMode = (mode: number): number =>
  (mode & 0o777) + (GO_TYPES.get(mode & S_IFMT) ?? 0) + (mode & 0o4000 ? GO_SETUID : 0) + (mode & 0o2000 ? GO_SETGID : 0) + (mode & 0o1000 ? GO_STICKY : 0);

/** lstat of the last name of `path` inside `root`; with a trailing slash or `/.` a link is followed. Throws not-found. */
export function statPath(root: number, path: string): PathStatResult {
  const raw = rawFromText(path);
  const trimmed = raw.replace(/\/+$/, '');
  const follow = trimmed === '' || raw.endsWith('/') || trimmed.endsWith('/.') || trimmed.endsWith('/..') || trimmed === '.';
  const { parent, base } = follow ? { parent: trimmed, base: '' } : splitPath(trimmed);
  const dir = openInRoot(root, parent === '' ? '/' : parent, { flags: O_PATH | (follow ? 0 : O_DIRECTORY) });
  if (dir < 0) throw missing(path, -dir);
  try {
    const stat = statAt(dir, base);
    if (typeof stat === 'number') throw missing(path, -stat);
    if (follow && raw.endsWith('/') && (stat.mode & S_IFMT) !== S_IFDIR) throw missing(path, 20);
    const name = trimmed.slice(trimmed.lastIndexOf('/') + 1);
    return {
      name: name === '' ? '/' : textFromRaw(name),
      size: stat.size, mode: goFileMode(stat.mode), mtime: stat.mtime, uid: stat.uid, gid: stat.gid,
      isDirectory: (stat.mode & S_IFMT) === S_IFDIR,
      linkTarget: (stat.mode & S_IFMT) === S_IFLNK ? linkTarget(root, { dir, base, raw: trimmed, stat }) : '',
    };
  } finally {
    closeSync(dir);
  }
}

/** See Trees.readLink. */
export function readLinkText(root: number, path: string): string | undefined {
  const { parent, base } = splitPath(rawFromText(path).replace(/\/+$/, ''));
  if (base === '') return undefined;
  const dir = openInRoot(root, parent === '' ? '/' : parent, { flags: O_PATH | O_DIRECTORY });
  if (dir < 0) return undefined;
  try {
    const target = readlinkAt(dir, base);
    return typeof target === 'number' ? undefined : textFromRaw(target);
  } finally {
    closeSync(dir);
  }
}

/** Where a link leads in the end, as an absolute path in the root; for a dangling one, where it points to. */
function linkTarget(root: number, link: { dir: number; base: string; raw: string; stat: FileStat }): string {
  const end = openInRoot(root, link.raw, { flags: O_PATH });
  if (end >= 0) {
    const path = descriptorPath(end);
    closeSync(end);
    const rootPath = descriptorPath(root);
    const inside = rootPath === '/' ? path : path.slice(rootPath.length);
    return textFromRaw(inside === '' ? '/' : inside);
  }
  const target = readlinkAt(link.dir, link.base);
  if (typeof target === 'number') return '';
  const parts = target.startsWith('/') ? [] : splitPath(link.raw).parent.split('/').filter((part) => part !== '');
  for (const part of target.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return textFromRaw(`/${parts.join('/')}`);
}

const missing = (path: string, errno: number): NaruError =>
  errno === 2 || errno === 20
    ? new NaruError('not-found', `Could not find the file ${path}`, { errno })
    : new NaruError('invalid', `${path}: ${errnoText(errno)}`, { errno });
