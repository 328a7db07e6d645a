import { closeSync, openSync, readFileSync } from 'node:fs';
import { AT_FDCWD, NR, O_CLOEXEC, O_DIRECTORY, O_PATH, O_RDONLY, RESOLVE_CACHED, RESOLVE_IN_ROOT } from './numbers.ts';
import { openInRoot, rawFromText, statAt } from './files.ts';
import { cstring, syscall } from './syscalls.ts';

/** Types of file systems that are served over a network or by a program (or mounted only when somebody looks): whoever waits for one
 *  whose server is gone may wait for ever, and cannot be killed. */
const REMOTE = /^(nfs|cifs|smb|ceph|9p|afs|coda|fuse|gluster|lustre|beegfs|gpfs|gfs2|ocfs2|orangefs|pvfs|virtiofs|autofs)/;

/** Whose view of the mounts: this process's, or that of another one's root (`/proc/<pid>/root`). */
export interface FileView { readonly root: string; readonly mountinfo: string }
export const HOST_VIEW: FileView = { root: '/', mountinfo: '/proc/self/mountinfo' };
export const viewOf = (pid: number): FileView => ({ root: `/proc/${pid}/root`, mountinfo: `/proc/${pid}/mountinfo` });

/** https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html: the first field is the id, the type stands behind the lone `-`. */
export function remoteMounts(mountinfo: string): Set<number> {
  const ids = new Set<number>();
  for (const line of mountinfo.split('\n')) if (REMOTE.test(line.slice(line.indexOf(' - ') + 3))) ids.add(parseInt(line, 10));
  return ids;
}

/**
 * Could a look at one of these absolute paths wait for a server? Does not wait itself: paths are walked in the kernel's cache alone, and
 * what is not there (or a kernel that cannot do that: before 5.12) counts as `yes`. Without such a mount nothing is walked.
 */
export function mayWait(paths: readonly string[], { root, mountinfo }: FileView): boolean {
  if (paths.length === 0) return false;
  let remote: Set<number>;
  let top = AT_FDCWD;
  try {
    remote = remoteMounts(readFileSync(mountinfo, 'utf8'));
    if (remote.size === 0) return false;
    if (root !== '/') top = openSync(root, O_RDONLY | O_DIRECTORY);
  } catch {
    return false; // that process is gone
  }
  try {
    return paths.some((path) => {
      const mount = cachedMount(top, path);
      return mount === undefined || remote.has(mount);
    });
  } finally {
    if (top !== AT_FDCWD) closeSync(top);
  }
}

/** The id of the mount that a path lies on, when the kernel knows it without asking anybody. */
function cachedMount(root: number, path: string): number | undefined {
  const how = new BigUint64Array([BigInt(O_PATH | O_CLOEXEC), 0n, BigInt(RESOLVE_CACHED | (root === AT_FDCWD ? 0 : RESOLVE_IN_ROOT))]);
  const fd = syscall(NR.openat2, root, cstring(path), how, 24);
  if (fd < 0) return undefined;
  try {
    const [, id] = /^mnt_id:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')) ?? [];
    return id === undefined ? undefined : Number(id);
  } finally {
    closeSync(fd);
  }
}

/** Looks at each path as the root of a view sees it: what a process of its own does, because it may never come back. */
export function lookAt(root: string, paths: readonly string[]): void {
  const top = openSync(root, O_RDONLY | O_DIRECTORY);
  for (const path of paths) {
    const fd = openInRoot(top, rawFromText(path), { flags: O_PATH });
    if (fd < 0) continue;
    statAt(fd, '');
    closeSync(fd);
  }
  closeSync(top);
}
