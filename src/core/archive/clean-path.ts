import { NaruError } from '#spec/errors.ts';

/** Lexically cleaned path relative to the root, '' for the root itself: what Docker makes of an entry's name. Absolute names
 *  mean the archive's root. Throws `corrupt` for a name that would climb out. */
export function cleanPath(name: string): string {
  const parts: string[] = [];
  let absolute = name.startsWith('/');
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.length > 0) parts.pop();
    else if (!absolute) throw escapes(name);
  }
  return parts.join('/');
}

const escapes = (name: string): NaruError =>
  new NaruError('corrupt', `invalid archive: entry ${JSON.stringify(name.slice(0, 200))} leads outside of the archive's root`);

/** Directory part ('' for the root) and last name of a cleaned path. */
export function splitPath(path: string): { parent: string; base: string } {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? { parent: '', base: path } : { parent: path.slice(0, slash), base: path.slice(slash + 1) };
}
