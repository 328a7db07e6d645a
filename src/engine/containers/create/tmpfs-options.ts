import { NaruError } from '#spec/errors.ts';

const FLAGS = new Set(['ro', 'rw', 'noexec', 'exec', 'nosuid', 'suid', 'nodev', 'dev', 'noatime', 'atime', 'nodiratime', 'diratime', 'relatime', 'norelatime', 'strictatime', 'nostrictatime', 'sync', 'async', 'dirsync', 'remount', 'mand', 'nomand', 'private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave', 'unbindable', 'runbindable']);
const VALUES = new Set(['mode', 'uid', 'gid', 'size', 'nr_inodes', 'nr_blocks', 'mpol']);

/** `--tmpfs` options over the defaults noexec, nosuid, nodev; a later word takes back an earlier one. Throws invalid. */
export function tmpfsOptions(text: string): string[] {
  let options = ['noexec', 'nosuid', 'nodev'];
  for (const word of text === '' ? [] : text.split(',')) {
    const [key = '', value] = word.split('=', 2);
    const known = value === undefined ? FLAGS.has(key) : VALUES.has(key) && /^[\w.%:,-]+$/.test(value);
    if (!known) throw new NaruError('invalid', `invalid tmpfs option [${JSON.stringify(word)}]`);
    const opposite = key.startsWith('no') ? key.slice(2) : `no${key}`;
    options = options.filter((other) => other !== opposite && other.split('=', 1)[0] !== key && !(key === 'rw' && other === 'ro') && !(key === 'ro' && other === 'rw'));
    if (key !== 'exec' && key !== 'suid' && key !== 'dev') options.push(word);
  }
  return options;
}
