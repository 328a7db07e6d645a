import { rawFromText } from '#sys/files.ts';

/** What entries of `docker cp`'s archive are named by: the path's last name, `.` for a path that ends in `/.`, `/` for the root.
 *  Clients take it off again. */
export function packedName(path: string): string {
  if (/(^|\/)\.\/?$/.test(path) && path !== '.') return '.';
  const parts = path.split('/').filter((part) => part !== '');
  return parts.length === 0 || parts[parts.length - 1] === '.' ? '/' : rawFromText(parts[parts.length - 1]!);
}
