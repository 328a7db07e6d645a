/** What a tar member is, whichever dialect wrote it (ustar, GNU, PAX). */
export type TarType = 'file' | 'link' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo';

export interface TarEntry {
  /** Raw string (sys/files.ts), as written: not cleaned, may be absolute or hold `..`. */
  readonly name: string;
  readonly linkName: string;
  readonly type: TarType;
  /** Permission bits (07777). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content that follow; 0 for all but files. */
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

export const BLOCK = 512;

/** Limits on what a stranger's archive may ask for. The kernel's own: PATH_MAX, with its NUL. */
export const MAX_PATH = 4095;
export const MAX_ENTRIES = 4_000_000;
/** All extended headers of one entry together. */
export const MAX_EXTENDED_HEADER = 1 << 20;
/** XATTR_SIZE_MAX. */
export const MAX_XATTR = 65536;

/** Bytes that fill the last block. */
export const padding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;
