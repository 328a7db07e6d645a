import { lstatSync, readlinkSync, realpathSync, statSync, type Stats } from 'node:fs';
import { basename, dirname, join, normalize, resolve } from 'node:path';
import { NaruError } from '#spec/errors.ts';

/** One end of a copy. */
export interface CopyEnd { readonly path: string; readonly exists: boolean; readonly isDirectory: boolean; /** The name that the user gave it, when a symbolic link hides it. */ readonly rebaseName: string }

const MAX_LINKS = 10;

/** `/a/b/` and `/a/b/.` say that b is a directory: kept after cleaning. */
export function keepTrailing(cleaned: string, original: string): string {
  let out = cleaned;
  if (endsInDot(original) && !endsInDot(out)) out = `${out.endsWith('/') ? out : `${out}/`}.`;
  if (original.endsWith('/') && !out.endsWith('/')) out += '/';
  return out;
}

export const endsInDot = (path: string): boolean => path === '.' || path.endsWith('/.');
export const absolutePath = (path: string): string => keepTrailing(resolve(path), path);

/** Directory and last name; a trailing `/.` is a last name of `.`. */
export function splitEntry(path: string): [string, string] {
  const cleaned = normalize(path).replace(/(.)\/+$/, '$1').replace(/\/\.$/, '') || '/';
  return endsInDot(path) ? [cleaned, '.'] : [dirname(cleaned), basename(cleaned) || '/'];
}

function systemError(verb: string, path: string, cause: unknown): NaruError {
  const code = (cause as NodeJS.ErrnoException).code;
  const reason = code === 'ENOENT' ? 'no such file or directory' : code === 'EACCES' ? 'permission denied' : code === 'ENOTDIR' ? 'not a directory' : (cause as Error).message;
  return new NaruError(code === 'ENOENT' ? 'not-found' : 'invalid', `${verb} ${path}: ${reason}`, { cause });
}

/** The local source of a copy: links before the last component are followed, the last one only when asked. */
export function localSource(path: string, followLink: boolean): CopyEnd {
  let real: string;
  let rebaseName = '';
  try {
    if (followLink) {
      real = keepTrailing(realpathSync(path), path);
      const name = splitEntry(path)[1];
      if (name !== splitEntry(real)[1]) rebaseName = name;
    } else if (path.endsWith('/') || endsInDot(path)) {
      // A trailing slash looks through a link too.
      const [, name] = splitEntry(path);
      real = keepTrailing(endsInDot(path) ? realpathSync(splitEntry(path)[0]) : join(realpathSync(dirname(path.replace(/\/+$/, ''))), name), path);
    } else real = join(realpathSync(dirname(path)), basename(path));
    const stat = path.endsWith('/') || endsInDot(path) ? statSync(real) : lstatSync(real);
    if ((path.endsWith('/') || endsInDot(path)) && !stat.isDirectory()) throw new NaruError('invalid', 'not a directory');
    return { path: real, exists: true, isDirectory: stat.isDirectory(), rebaseName };
  } catch (cause) {
    if (cause instanceof NaruError || (cause as NodeJS.ErrnoException).code === 'ENOTDIR') throw new NaruError('invalid', 'not a directory', { cause });
    throw systemError('lstat', path, cause);
  }
}

/** The local destination of a copy: a symbolic link is followed; it need not exist, its parent must. */
export function localDestination(original: string): CopyEnd {
  let path = original;
  for (let i = 0; ; i++) {
    if (i > MAX_LINKS) throw new NaruError('invalid', `too many symlinks in ${original}`);
    let stat: Stats;
    try {
      stat = lstatSync(path);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw systemError('lstat', path, cause);
      const parent = splitEntry(path)[0];
      try {
        if (!statSync(parent).isDirectory()) throw new NaruError('invalid', 'not a directory');
      } catch (inner) {
        throw inner instanceof NaruError ? inner : systemError('stat', parent, inner);
      }
      return { path, exists: false, isDirectory: false, rebaseName: '' };
    }
    if (!stat.isSymbolicLink()) return { path, exists: true, isDirectory: stat.isDirectory(), rebaseName: '' };
    const target = readlinkSync(path);
    path = target.startsWith('/') ? target : join(splitEntry(path)[0], target);
  }
}

/** Where an archive of `source` is extracted, and how its first name changes, so that it arrives at `destination`. */
export function arrange(source: CopyEnd, destination: CopyEnd): { directory: string; rebase: readonly [string, string] | undefined } {
  const [directory, name] = splitEntry(destination.path);
  const sourceName = source.rebaseName === '' ? splitEntry(source.path)[1] : source.rebaseName;
  if (destination.exists && destination.isDirectory) return { directory: destination.path, rebase: undefined };
  if (destination.exists && source.isDirectory) throw new NaruError('conflict', 'cannot copy directory');
  if (!destination.exists && !source.isDirectory && (destination.path.endsWith('/') || endsInDot(destination.path))) throw new NaruError('not-found', 'no such directory');
  return { directory, rebase: [sourceName, name] };
}

/** Refuses a local destination that is neither directory nor regular file, or has no directory to be in. */
export function checkOutputPath(path: string): void {
  const directory = dirname(normalize(path).replace(/(.)\/$/, '$1'));
  try {
    statSync(directory);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') throw new NaruError('not-found', `invalid output path: directory ${JSON.stringify(directory)} does not exist`, { cause });
  }
  let stat: Stats;
  try {
    stat = statSync(path);
  } catch {
    return;
  }
  if (stat.isCharacterDevice() || stat.isBlockDevice()) throw new NaruError('invalid', `invalid output path: ${JSON.stringify(path)} must be a directory or a regular file: got a device`);
}
