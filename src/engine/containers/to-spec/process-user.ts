import { closeSync, lstatSync, openSync, constants } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import type { OciProcess } from '#spec/oci-runtime.ts';
import { MAX_ACCOUNT_FILE } from '#runtime/users/account-files.ts';
import { resolveGroups, resolveUser, type AccountFiles } from '#runtime/users/resolve-user.ts';
import type { EngineContext } from '../../engine-context.ts';
import type { Container } from '../container.ts';

export interface ProcessUser { readonly user: OciProcess['user']; readonly home: string | undefined }

const CACHE_LIMIT = 512;
const cache = new Map<string, ProcessUser>();

/**
 * Ids of a user and groups that are given by name or number, looked up in the container's own /etc/passwd and /etc/group (through
 * descriptors, regular files of a bounded size alone). What an unchanged image says is kept: a usual start opens nothing.
 */
export function findProcessUser(engine: EngineContext, container: Container, { user, groups }: { user: string; groups: readonly string[] }): ProcessUser {
  const image = container.imageId;
  if (container.task !== undefined || image === '' || changedAccounts(engine, container)) {
    return withRoot(engine, container, (root) => resolve(readFiles(engine, root), { user, groups }));
  }
  const key = `${image}\n${user}\n${groups.join(',')}`;
  let found = cache.get(key);
  if (found === undefined) {
    const root = engine.store.snapshots.openImage(image as Digest);
    try {
      found = resolve(readFiles(engine, root), { user, groups });
    } finally {
      closeSync(root);
    }
    if (cache.size >= CACHE_LIMIT) cache.clear();
    cache.set(key, found);
  }
  return found;
}

const readFiles = ({ trees }: EngineContext, root: number): AccountFiles => ({
  passwd: trees.readFile(root, '/etc/passwd', MAX_ACCOUNT_FILE), group: trees.readFile(root, '/etc/group', MAX_ACCOUNT_FILE),
});

function resolve(files: AccountFiles, { user, groups }: { user: string; groups: readonly string[] }): ProcessUser {
  const { uid, gid, additionalGids, home } = resolveUser(user, files);
  return { user: { uid, gid, additionalGids: [...new Set([...additionalGids, ...resolveGroups(groups, files)])] }, home };
}

/** Did the container write an account file of its own? Its writable directory tells, without a mount. */
function changedAccounts({ store }: EngineContext, container: Container): boolean {
  const upper = store.snapshots.mount(container.id)?.upper;
  if (upper === undefined) return false;
  const has = (path: string): boolean => lstatSync(`${upper}/${path}`, { throwIfNoEntry: false }) !== undefined;
  const etc = lstatSync(`${upper}/etc`, { throwIfNoEntry: false });
  if (etc === undefined) return false;
  return !etc.isDirectory() || has('etc/passwd') || has('etc/group');
}

/** The container's tree as it is now: of a running one through its first process, otherwise as a detached mount. */
export function withRoot<T>(engine: EngineContext, container: Container, work: (root: number) => T): T {
  const { task } = container;
  const root = task === undefined
    ? engine.store.snapshots.open(container.id, { readOnly: true })
    : openProcessRoot(task.pid);
  try {
    // The number could have been given to another process before it was opened: the task must still be there.
    if (task !== undefined && container.task !== task) throw new NaruError('conflict', `container ${container.id} is not running`);
    return work(root);
  } finally {
    closeSync(root);
  }
}

/** The root directory of a process as a descriptor that the caller closes. */
export function openProcessRoot(pid: number): number {
  try {
    return openSync(`/proc/${pid}/root`, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (cause) {
    throw new NaruError('conflict', `the root of process ${pid} cannot be opened: ${(cause as Error).message}`, { cause });
  }
}
