import { closeSync, mkdirSync, openSync } from 'node:fs';
import {
  AT_EMPTY_PATH, AT_FDCWD, CLONE_NEWNS, FSCONFIG_CMD_CREATE, FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, MOUNT_ATTR_NODEV,
  MOUNT_ATTR_RDONLY, MS_NODEV, MS_PRIVATE, MS_RDONLY, MS_REC, NR, OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE,
} from '#sys/numbers.ts';
import { overlayAppends } from '#sys/overlay-append.ts';
import { check, syscall } from '#sys/syscalls.ts';

const FSOPEN_CLOEXEC = 1, FSMOUNT_CLOEXEC = 1;
/** fsconfig(2) takes strings of at most 255 bytes, mount(2) one page of options. */
const MAX_VALUE = 255;

export interface OverlayRequest {
  /** Directories, top first (absolute). */
  readonly lowers: readonly string[];
  /** Without: a read-only view of the lowers. */
  readonly upper?: string;
  readonly work?: string;
  readonly readOnly: boolean;
  /** An empty directory: overlayfs wants two lowers when there is no upper. */
  readonly empty: string;
  /** A place to mount on for a moment, inside a private namespace (kernels before 6.8 with many layers). */
  readonly scratch: string;
}

/** An overlay as a detached mount: a descriptor of its root, in no mount table, gone when it is closed. `nodev` always:
 *  the daemon never opens a device out of a container's tree. Device nodes can still be made and read about. */
export function openOverlay(request: OverlayRequest): number {
  const lowers = request.upper === undefined && request.lowers.length < 2 ? [...request.lowers, request.empty] : request.lowers;
  if (lowers.length === 1 && request.upper === undefined) return cloneReadOnly(request.empty);
  if (lowers[0] === lowers[1]) return cloneReadOnly(request.empty);
  return openByFsopen({ ...request, lowers }) ?? openByMount({ ...request, lowers });
}

/** undefined: this kernel cannot take the lowers this way. */
function openByFsopen(request: OverlayRequest): number | undefined {
  const fs = syscall(NR.fsopen, 'overlay', FSOPEN_CLOEXEC);
  if (fs < 0) return undefined;
  try {
    const set = (key: string, value: string): number => syscall(NR.fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0);
    check(set('source', 'overlay'), 'overlay source');
    if (request.lowers.some((lower) => Buffer.byteLength(lower) > MAX_VALUE)) return undefined;
    if (!overlayAppends()) return setJoined(request, { fs, set });
    for (const lower of request.lowers) check(set('lowerdir+', lower), `overlay lower ${lower}`);
    return finish(request, { fs, set });
  } finally {
    closeSync(fs);
  }
}

interface Context { fs: number; set: (key: string, value: string) => number }

function setJoined(request: OverlayRequest, context: Context): number | undefined {
  const joined = joinLowers(request.lowers);
  // A context of the old kind refuses commas, escaped or not.
  if (Buffer.byteLength(joined) > MAX_VALUE || `${joined}${request.upper}${request.work}`.includes(',')) return undefined;
  check(context.set('lowerdir', joined), 'overlay lowerdir');
  return finish(request, context);
}

/** Options that make a layer mean the same on every kernel: no redirects, no metadata-only copies, no index. */
const FIXED: readonly (readonly [string, string])[] = [['redirect_dir', 'off'], ['metacopy', 'off'], ['index', 'off']];

function finish(request: OverlayRequest, { fs, set }: Context): number | undefined {
  if (request.upper !== undefined && request.work !== undefined) {
    if (Buffer.byteLength(request.upper) > MAX_VALUE) return undefined;
    check(set('upperdir', request.upper), `overlay upper ${request.upper}`);
    check(set('workdir', request.work), `overlay work ${request.work}`);
  }
  for (const [key, value] of FIXED) set(key, value); // a kernel that lacks one lacks the feature too
  if (request.readOnly) syscall(NR.fsconfig, fs, FSCONFIG_SET_FLAG, 'ro', null, 0);
  check(syscall(NR.fsconfig, fs, FSCONFIG_CMD_CREATE, null, null, 0), `mount overlay over ${request.lowers[0] ?? ''}`);
  return check(syscall(NR.fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV | (request.readOnly ? MOUNT_ATTR_RDONLY : 0)), 'fsmount overlay');
}

/** In mount(2)'s options a comma in a path is written `\,`. */
const escapeComma = (path: string): string => path.replace(/[\\,]/g, '\\$&');

const joinLowers = (lowers: readonly string[]): string => lowers.map((l) => l.replace(/[\\:,]/g, '\\$&')).join(':');

/**
 * The old way, in a mount namespace that this thread enters for a moment: nothing of it is ever seen outside. The calls are
 * synchronous, so no other code runs in between.
 */
export function openByMount(request: OverlayRequest): number {
  mkdirSync(request.scratch, { recursive: true, mode: 0o700 });
  const home = openSync('/proc/thread-self/ns/mnt', 'r');
  try {
    check(syscall(NR.unshare, CLONE_NEWNS), 'unshare mount namespace');
    try {
      check(syscall(NR.mount, 'none', '/', null, MS_REC | MS_PRIVATE, null), 'make mounts private');
      const options = [`lowerdir=${joinLowers(request.lowers)}`, ...FIXED.map(([key, value]) => `${key}=${value}`)];
      if (request.upper !== undefined) options.push(`upperdir=${escapeComma(request.upper)}`, `workdir=${escapeComma(request.work ?? '')}`);
      const flags = MS_NODEV | (request.readOnly ? MS_RDONLY : 0);
      check(syscall(NR.mount, 'overlay', request.scratch, 'overlay', flags, options.join(',')), 'mount overlay');
      return check(syscall(NR.open_tree, AT_FDCWD, request.scratch, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), 'open_tree overlay');
    } finally {
      check(syscall(NR.setns, home, CLONE_NEWNS), 'return to the mount namespace');
    }
  } finally {
    closeSync(home);
  }
}

/** A directory as a detached, read-only bind mount, without what is mounted below it. */
export function cloneReadOnly(path: string): number {
  const fd = check(syscall(NR.open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), `open_tree ${path}`);
  const attributes = new BigUint64Array([BigInt(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV), 0n, 0n, 0n]);
  const result = syscall(NR.mount_setattr, fd, '', AT_EMPTY_PATH, attributes, 32);
  // mount_setattr came with 5.12; the empty directory is harmless without it.
  if (result < 0 && result !== -38) {
    closeSync(fd);
    check(result, `mount_setattr ${path}`);
  }
  return fd;
}
