import { statfsSync } from 'node:fs';

/** statfs(2): `f_type`, under the names that Docker gives them. */
const NAMES: Readonly<Record<number, string>> = {
  0xef53: 'extfs', 0x58465342: 'xfs', 0x9123683e: 'btrfs', 0x01021994: 'tmpfs', 0x794c7630: 'overlayfs', 0x2fc12fc1: 'zfs', 0x6969: 'nfs', 0xf2f52010: 'f2fs',
  0x65735546: 'fuse', 0xca451a4e: 'bcachefs', 0x52654973: 'reiserfs', 0x3153464a: 'jfs', 0xf15f: 'ecryptfs',
};

/** The kind of file system under a path: `extfs`. */
export const backingFilesystem = (path: string): string => NAMES[statfsSync(path).type] ?? '<unknown>';
