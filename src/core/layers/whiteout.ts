import type { FileStat } from '#sys/files.ts';
import { getXattr } from '#sys/files-xattr.ts';
import { S_IFCHR, S_IFMT } from '#sys/numbers.ts';

/** What marks a directory that hides what lies below it. https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories */
export const OPAQUE_XATTR = { name: 'trusted.overlay.opaque', value: new Uint8Array([0x79]) };

/** overlayfs marks a deleted name by a character device 0:0. */
export const isWhiteout = (stat: FileStat): boolean => (stat.mode & S_IFMT) === S_IFCHR && stat.rdevMajor === 0 && stat.rdevMinor === 0;

/** ... and a directory that hides what lies below it by an attribute. */
export function isOpaque(dir: number, name: string): boolean {
  const value = getXattr(dir, name, 'trusted.overlay.opaque');
  return value instanceof Uint8Array && value.byteLength === 1 && value[0] === 0x79;
}
