import { NR } from './numbers.ts';
import { syscall } from './syscalls.ts';

/** Extended attributes of a name below a directory descriptor. The kernel has no `*at` calls for them before 6.13, so the way
 *  goes through /proc/self/fd, whose link leads to exactly that directory; the last name is not followed. name '' is the
 *  descriptor itself (which may be O_PATH). */
const where = (dir: number, name: string): Uint8Array =>
  Buffer.from(name === '' ? `/proc/self/fd/${dir}\0` : `/proc/self/fd/${dir}/${name}\0`, 'latin1');

// name '' must follow the magic link itself: getxattr instead of lgetxattr. x86_64 and the generic table differ.
const x64 = process.arch === 'x64';
const SETXATTR = x64 ? 188 : 5, GETXATTR = x64 ? 191 : 8, LISTXATTR = x64 ? 194 : 11, REMOVEXATTR = x64 ? 197 : 14, LREMOVEXATTR = x64 ? 198 : 15;

const buffer = Buffer.allocUnsafe(65536);

/** Names of all attributes; -errno on failure. */
export function listXattrs(dir: number, name: string): string[] | number {
  const length = syscall(name === '' ? LISTXATTR : NR.llistxattr, where(dir, name), buffer, buffer.byteLength);
  if (length <= 0) return length === 0 ? [] : length;
  return buffer.toString('latin1', 0, length - 1).split('\0');
}

/** The value, or undefined when there is none; -errno on other failures. */
export function getXattr(dir: number, name: string, attribute: string): Uint8Array | number | undefined {
  const length = syscall(name === '' ? GETXATTR : NR.lgetxattr, where(dir, name), Buffer.from(`${attribute}\0`, 'latin1'), buffer, buffer.byteLength);
  if (length === -61) return undefined;
  return length < 0 ? length : Uint8Array.from(buffer.subarray(0, length));
}

/** 0 or -errno. */
export const setXattr = (dir: number, name: string, attribute: { name: string; value: Uint8Array }): number =>
  syscall(name === '' ? SETXATTR : NR.lsetxattr, where(dir, name), Buffer.from(`${attribute.name}\0`, 'latin1'), attribute.value, attribute.value.byteLength, 0);

export const removeXattr = (dir: number, name: string, attribute: string): number =>
  syscall(name === '' ? REMOVEXATTR : LREMOVEXATTR, where(dir, name), Buffer.from(`${attribute}\0`, 'latin1'));
