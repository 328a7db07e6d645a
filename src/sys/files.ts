/**
 * File system calls relative to directory descriptors. Names are *raw strings*: one character per byte (latin1), because the
 * names in archives and containers need not be UTF-8; `rawFromText` and `textFromRaw` convert at the edge. Calls return their
 * result or -errno; the caller decides what is an error. All are quick and synchronous.
 */
import {
  AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, NR, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_RDONLY,
  RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS,
} from './numbers.ts';
import { syscall } from './syscalls.ts';

const encoder = new TextEncoder();

/** Bytes as characters 0..255. */
export const rawFromText = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
/** For people: UTF-8, invalid bytes replaced. */
export const textFromRaw = (raw: string): string => Buffer.from(raw, 'latin1').toString('utf8');

/** NUL-terminated bytes of a raw string. A NUL inside gives a name that no call accepts. */
function pathBytes(raw: string): Uint8Array {
  if (raw.includes('\0')) return encoder.encode('\0');
  return Buffer.from(`${raw}\0`, 'latin1');
}

export interface FileStat {
  /** Type and permission bits, as st_mode. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  readonly links: number;
  readonly inode: bigint;
  /** Allocated bytes. */
  readonly allocated: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly devMajor: number;
  readonly devMinor: number;
}

const statBuffer = new Uint8Array(256);
const statView = new DataView(statBuffer.buffer);
const STATX_BASIC_STATS = 0x7ff;
const AT_EMPTY_PATH = 0x1000;

/** statx(2) without following a last link. name '' is the descriptor itself. Returns -errno on failure. */
export function statAt(dir: number, name: string): FileStat | number {
  const result = syscall(NR.statx, dir, pathBytes(name), AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, STATX_BASIC_STATS, statBuffer);
  if (result < 0) return result;
  const v = statView;
  return {
    mode: v.getUint16(28, true),
    uid: v.getUint32(20, true),
    gid: v.getUint32(24, true),
    size: Number(v.getBigUint64(40, true)),
    mtime: v.getBigInt64(112, true) * 1_000_000_000n + BigInt(v.getUint32(120, true)),
    links: v.getUint32(16, true),
    inode: v.getBigUint64(32, true),
    allocated: Number(v.getBigUint64(48, true)) * 512,
    rdevMajor: v.getUint32(128, true),
    rdevMinor: v.getUint32(132, true),
    devMajor: v.getUint32(136, true),
    devMinor: v.getUint32(140, true),
  };
}

/** openat(2), close-on-exec. Only for single names with O_NOFOLLOW, or paths that are naru's own. */
export const openAt = (dir: number, name: string, flags: number, mode = 0): number =>
  syscall(NR.openat, dir, pathBytes(name), flags | O_CLOEXEC, mode);

const how = new BigUint64Array(3);

/** openat2(2) as if `root` were `/`: links, `..` and absolute paths cannot leave it. */
export function openInRoot(root: number, path: string, options: { flags: number; mode?: number; resolve?: number }): number {
  how[0] = BigInt(options.flags | O_CLOEXEC);
  how[1] = BigInt(options.mode ?? 0);
  how[2] = BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (options.resolve ?? 0));
  // EAGAIN: a rename raced with the walk, the kernel could not vouch for `..`; asking again is what the manual says.
  for (let attempt = 0; ; attempt++) {
    const result = syscall(NR.openat2, root, pathBytes(path === '' ? '.' : path), how, 24);
    if (result !== -11 || attempt >= 128) return result;
  }
}

export const mkdirAt = (dir: number, name: string, mode: number): number => syscall(NR.mkdirat, dir, pathBytes(name), mode);

/** mode includes the type bits. */
export const mknodAt = (dir: number, name: string, node: { mode: number; major: number; minor: number }): number =>
  syscall(NR.mknodat, dir, pathBytes(name), node.mode, deviceNumber(node.major, node.minor));

/** The kernel's 32-bit encoding: 12 bits of major, 20 of minor. */
export const deviceNumber = (major: number, minor: number): number =>
  ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;

export const symlinkAt = (target: string, dir: number, name: string): number =>
  syscall(NR.symlinkat, pathBytes(target), dir, pathBytes(name));

/** linkat(2) between two names; never follows a link. */
export const linkAt = (fromDir: number, from: string, toDir: number, to: string): number =>
  syscall(NR.linkat, fromDir, pathBytes(from), toDir, pathBytes(to), 0);

export const unlinkAt = (dir: number, name: string, directory = false): number =>
  syscall(NR.unlinkat, dir, pathBytes(name), directory ? AT_REMOVEDIR : 0);

export const renameAt = (fromDir: number, from: string, toDir: number, to: string): number =>
  syscall(NR.renameat2, fromDir, pathBytes(from), toDir, pathBytes(to), 0);

const linkBuffer = new Uint8Array(4096);
/** The link's target; -errno on failure. name '' reads an O_PATH descriptor that is a link. */
export function readlinkAt(dir: number, name: string): string | number {
  const length = syscall(NR.readlinkat, dir, pathBytes(name), linkBuffer, linkBuffer.byteLength);
  return length < 0 ? length : Buffer.from(linkBuffer.subarray(0, length)).toString('latin1');
}

/** Path of an open descriptor, as this process sees it (for detached mounts: from the mount's root on). */
export const descriptorPath = (fd: number): string => {
  const path = readlinkAt(AT_FDCWD, `/proc/self/fd/${fd}`);
  return typeof path === 'string' ? path : '';
};

/** Owner of a name, links not followed. name '' is the descriptor itself. */
export const chownAt = (dir: number, name: string, uid: number, gid: number): number =>
  syscall(NR.fchownat, dir, pathBytes(name), uid, gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH);

export const fchmod = (fd: number, mode: number): number => syscall(NR.fchmod, fd, mode);
/** Follows a last link: only for names that the caller just made, or knows not to be links. */
export const chmodAt = (dir: number, name: string, mode: number): number => syscall(NR.fchmodat, dir, pathBytes(name), mode);

const times = new BigInt64Array(4);
/** Access and modification time in nanoseconds, links not followed. name undefined: the descriptor itself. */
export function utimensAt(dir: number, name: string | undefined, time: bigint): number {
  let seconds = time / 1_000_000_000n;
  let nanoseconds = time % 1_000_000_000n;
  if (nanoseconds < 0n) {
    nanoseconds += 1_000_000_000n;
    seconds -= 1n;
  }
  times[0] = times[2] = seconds;
  times[1] = times[3] = nanoseconds;
  const bytes = new Uint8Array(times.buffer);
  return name === undefined
    ? syscall(NR.utimensat, dir, null, bytes, 0)
    : syscall(NR.utimensat, dir, pathBytes(name), bytes, AT_SYMLINK_NOFOLLOW);
}

export const fsyncFd = (fd: number): number => syscall(NR.fsync, fd);
const SYNC_FILE_RANGE_WRITE = 2;
/** Let the disk begin to write a file's pages, without waiting for it. */
export const beginWriteback = (fd: number): number => syscall(NR.sync_file_range, fd, 0, 0, SYNC_FILE_RANGE_WRITE);
/** Everything on the file system that holds fd. Can take seconds: only in helper processes. */
export const syncfs = (fd: number): number => syscall(NR.syncfs, fd);

const FS_IOC_GETFLAGS = 0x80086601, FS_IOC_SETFLAGS = 0x40086602, FS_TOPDIR_FL = 0x20000;
/** Asks ext4 to spread the directory's children over the disk as it does for the root's. False where there is no such thing. */
export function spreadChildren(fd: number): boolean {
  const flags = new Uint32Array(2);
  if (syscall(NR.ioctl, fd, FS_IOC_GETFLAGS, flags) < 0) return false;
  flags[0]! |= FS_TOPDIR_FL;
  return syscall(NR.ioctl, fd, FS_IOC_SETFLAGS, flags) >= 0;
}

/** O_PATH descriptor of a directory by absolute path of naru's own; -errno on failure. */
export const openDirectory = (path: string): number => openAt(AT_FDCWD, rawFromText(path), O_RDONLY | O_DIRECTORY);

/** A subdirectory by its name, links not followed; -errno on failure. */
export const openSubdirectory = (dir: number, name: string): number => openAt(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

export const O_PATH_NOFOLLOW = O_PATH | O_NOFOLLOW;
