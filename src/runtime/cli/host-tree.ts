import { rmdirSync } from 'node:fs';
import { hostTree } from '#runtime/compile/compile-host-tree.ts';
import { NaruError } from '#spec/errors.ts';
import { MNT_DETACH, MS_PRIVATE, MS_REC, NR } from '#sys/numbers.ts';
import { check, syscall } from '#sys/syscalls.ts';

const UMOUNT_NOFOLLOW = 8;
const EINVAL = 22;
/** EINVAL: it is no mount point any more, somebody else was faster. */
const tolerant = (result: number, what: string): unknown => result === -EINVAL || check(result, what);
/** The rootfs, what it stands on, and what somebody may have put there meanwhile. */
const MOST = 64;

/**
 * Detaches the mounts of a container that has no mount namespace, and removes the directory over which they stood: from then on nothing can
 * be mounted there, whoever is still at it. Nothing when there are none. Must come before its state is removed, which would otherwise
 * be the contents of its rootfs and of all that is bound in it.
 */
export function releaseHostTree(stateDir: string): void {
  const path = hostTree(stateDir);
  for (let i = 0; i < MOST; i++) {
    try {
      return rmdirSync(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return;
      if (code !== 'EBUSY') throw error;
    }
    // Peers first, or mounts of the host's would go with their clones.
    tolerant(syscall(NR.mount, null, path, null, MS_REC | MS_PRIVATE, null), `mount --make-rprivate ${path}`);
    tolerant(syscall(NR.umount2, path, MNT_DETACH | UMOUNT_NOFOLLOW), `umount ${path}`);
  }
  throw new NaruError('unavailable', `${path}: there is always another mount`, { hint: 'who mounts there? It is the tree of a container without a mount namespace' });
}
