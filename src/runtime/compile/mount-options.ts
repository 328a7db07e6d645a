import {
  MOUNT_ATTR_NOATIME, MOUNT_ATTR_NODEV, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_RDONLY, MOUNT_ATTR_STRICTATIME, MS_PRIVATE, MS_SHARED, MS_SLAVE, MS_UNBINDABLE,
} from '#sys/numbers.ts';

/** The mask of the access time attributes, which are one field of three values. */
export const MOUNT_ATTR_ATIME = 0x70;

/** A change of mount attributes, as mount_setattr(2) takes it. */
export interface AttributeChange { set: number; clear: number }

export interface MountOptions {
  /** undefined: no bind; else whether the whole tree is bound. */
  readonly bind: 'bind' | 'rbind' | undefined;
  /** For this mount alone. */
  readonly attributes: AttributeChange;
  /** For it and everything mounted below it. */
  readonly recursive: AttributeChange;
  readonly propagation: { readonly type: number; readonly recursive: boolean } | undefined;
  readonly idmap: 'idmap' | 'ridmap' | undefined;
  /** Fill the new tmpfs with what it hides. */
  readonly copyUp: boolean;
  readonly remount: boolean;
  /** For the file system itself: `key=value` and `key`. */
  readonly data: readonly string[];
}

type Effect = readonly ['set' | 'clear', number];

/** Attribute options; each also exists with an `r` in front, for the whole tree (mount_setattr AT_RECURSIVE). */
const ATTRIBUTES: Readonly<Record<string, Effect>> = {
  ro: ['set', MOUNT_ATTR_RDONLY], rw: ['clear', MOUNT_ATTR_RDONLY],
  nosuid: ['set', MOUNT_ATTR_NOSUID], suid: ['clear', MOUNT_ATTR_NOSUID],
  nodev: ['set', MOUNT_ATTR_NODEV], dev: ['clear', MOUNT_ATTR_NODEV],
  noexec: ['set', MOUNT_ATTR_NOEXEC], exec: ['clear', MOUNT_ATTR_NOEXEC],
  nodiratime: ['set', MOUNT_ATTR_NODIRATIME], diratime: ['clear', MOUNT_ATTR_NODIRATIME],
  nosymfollow: ['set', MOUNT_ATTR_NOSYMFOLLOW], symfollow: ['clear', MOUNT_ATTR_NOSYMFOLLOW],
};

/** Values of the access time field. relatime is the kernel's default and its zero. */
const ACCESS_TIMES: Readonly<Record<string, number>> = {
  relatime: 0, norelatime: 0, noatime: MOUNT_ATTR_NOATIME, atime: 0, strictatime: MOUNT_ATTR_STRICTATIME, nostrictatime: 0,
};

const PROPAGATION: Readonly<Record<string, number>> = {
  shared: MS_SHARED, slave: MS_SLAVE, private: MS_PRIVATE, unbindable: MS_UNBINDABLE,
};

/** Options that say nothing to the kernel. `copy`, `nocopy`, `z`, `Z` are the engine's. */
const NO_EFFECT = ['defaults', 'async', 'loud', 'nomand', 'noiversion', 'silent', 'nolazytime'];
const IGNORED = new Set([...NO_EFFECT, 'copy', 'nocopy', 'z', 'Z']);

/** Options that say something to the superblock of a new file system: the kernel reads them itself. */
const SUPERBLOCK = ['dirsync', 'lazytime', 'mand', 'sync'];
const DIRECT = ['bind', 'rbind', 'idmap', 'ridmap', 'remount', 'tmpcopyup'];

/** Every option that is known by name, sorted. */
export const MOUNT_OPTION_NAMES: readonly string[] = [
  ...[ATTRIBUTES, ACCESS_TIMES, PROPAGATION].flatMap((table) => Object.keys(table).flatMap((name) => [name, `r${name}`])),
  ...SUPERBLOCK, ...DIRECT, ...NO_EFFECT,
].sort();

const apply = (change: AttributeChange, [direction, bit]: Effect): void => {
  change[direction] |= bit;
  change[direction === 'set' ? 'clear' : 'set'] &= ~bit;
};
const applyAccessTime = (change: AttributeChange, value: number): void => {
  change.clear |= MOUNT_ATTR_ATIME;
  change.set = (change.set & ~MOUNT_ATTR_ATIME) | value;
};

/** Read a mount's options (runtime-spec "Linux mount options"); of contradicting ones the last wins. */
export function parseMountOptions(options: readonly string[] = []): MountOptions {
  let bind: MountOptions['bind'];
  let propagation: MountOptions['propagation'];
  let idmap: MountOptions['idmap'];
  let copyUp = false;
  let remount = false;
  const attributes: AttributeChange = { set: 0, clear: 0 };
  const recursive: AttributeChange = { set: 0, clear: 0 };
  const data: string[] = [];
  for (const option of options) {
    const tail = option.charCodeAt(0) === 114 /* r */ ? option.slice(1) : undefined;
    if (option === 'bind' || option === 'rbind') bind = option;
    else if (Object.hasOwn(ATTRIBUTES, option)) apply(attributes, ATTRIBUTES[option]!);
    else if (Object.hasOwn(ACCESS_TIMES, option)) applyAccessTime(attributes, ACCESS_TIMES[option]!);
    else if (Object.hasOwn(PROPAGATION, option)) propagation = { type: PROPAGATION[option]!, recursive: false };
    else if (tail !== undefined && Object.hasOwn(PROPAGATION, tail)) propagation = { type: PROPAGATION[tail]!, recursive: true };
    else if (tail !== undefined && Object.hasOwn(ATTRIBUTES, tail)) apply(recursive, ATTRIBUTES[tail]!);
    else if (tail !== undefined && Object.hasOwn(ACCESS_TIMES, tail)) applyAccessTime(recursive, ACCESS_TIMES[tail]!);
    else if (option === 'idmap' || option === 'ridmap') idmap = option;
    else if (option === 'tmpcopyup') copyUp = true;
    else if (option === 'remount') remount = true;
    else if (!IGNORED.has(option) && option !== '') data.push(option);
  }
  return { bind, attributes, recursive, propagation, idmap, copyUp, remount, data };
}
