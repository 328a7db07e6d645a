import { NaruError } from '#spec/errors.ts';
import { idOf, readAccounts, readGroups, type Account, type Group } from './account-files.ts';

/** Contents of the image's /etc/passwd and /etc/group; undefined: there is none (or nothing that may be read). */
export interface AccountFiles { readonly passwd: Uint8Array | undefined; readonly group: Uint8Array | undefined }

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** The primary group first (CVE-2022-36109), then those that list the user; without duplicates. */
  readonly additionalGids: readonly number[];
  /** `/` for a user without an account. */
  readonly home: string;
}

const RANGE = 'uids and gids must be in range 0-2147483647';

/**
 * `user`, `user:group`, `:group` or nothing (root), each a name or a number, as `docker run --user` takes it. A name must be
 * in the image's files, a number need not. Throws `invalid` in Docker's words.
 */
export function resolveUser(spec: string, files: AccountFiles): ResolvedUser {
  const colon = spec.indexOf(':');
  const user = colon < 0 ? spec : spec.slice(0, colon);
  const group = colon < 0 ? '' : spec.slice(colon + 1);
  const account = findAccount(user, files);
  const uid = account?.uid ?? numeric(user === '' ? '0' : user, () => `unable to find user ${user}: no matching entries in passwd file`);
  if (group !== '') {
    const gid = findGroup(group, files);
    return { uid, gid, additionalGids: [gid], home: homeOf(account) };
  }
  const gid = account?.gid ?? 0;
  const listed = account === undefined ? [] : [...readGroups(files.group)].filter((g) => g.members.includes(account.name)).map((g) => g.gid);
  return { uid, gid, additionalGids: [...new Set([gid, ...listed])], home: homeOf(account) };
}

/** `--group-add`: names or numbers to group ids, in order. Throws `invalid` in Docker's words. */
export const resolveGroups = (groups: readonly string[], files: AccountFiles): number[] => groups.map((group) => findGroup(group, files));

const homeOf = (account: Account | undefined): string => (account === undefined || account.home === '' ? '/' : account.home);

/** A number is looked up as a uid, never as a name: an account called `0` is not root (nor the other way round). */
function findAccount(user: string, files: AccountFiles): Account | undefined {
  const uid = user === '' ? 0 : /^\d+$/.test(user) ? idOf(user) : undefined;
  const matches = uid === undefined ? (a: Account): boolean => a.name === user : (a: Account): boolean => a.uid === uid;
  if (/^\d+$/.test(user) && uid === undefined) throw new NaruError('invalid', RANGE);
  for (const account of readAccounts(files.passwd)) if (matches(account)) return account;
  return undefined;
}

function findGroup(group: string, files: AccountFiles): number {
  const number = /^\d+$/.test(group);
  const gid = number ? numeric(group, () => '') : undefined;
  const matches = (g: Group): boolean => (gid === undefined ? g.name === group : g.gid === gid);
  for (const found of readGroups(files.group)) if (matches(found)) return found.gid;
  return gid ?? numeric(group, () => `unable to find group ${group}: no matching entries in group file`);
}

function numeric(text: string, missing: () => string): number {
  if (!/^[+-]?\d+$/.test(text)) throw new NaruError('invalid', missing());
  const id = idOf(text);
  if (id === undefined) throw new NaruError('invalid', RANGE);
  return id;
}
