import { readFileSync } from 'node:fs';
import type { ExitStatus } from '#core/tasks/port.ts';

const EXIT_MAGIC = 0x5458454e; // "NEXT"
const EXIT_BYTES = 32;

/** A shell's way to say both in one number. */
export const exitCode = (code: number, signal: number): number => (signal > 0 ? 128 + signal : code & 0xff);

/** The record in bytes; undefined when it is none (torn, or another file). */
export function decodeExitRecord(bytes: Uint8Array): ExitStatus | undefined {
  if (bytes.byteLength !== EXIT_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, EXIT_BYTES);
  if (view.getUint32(0, true) !== EXIT_MAGIC) return undefined;
  const signal = view.getInt32(8, true);
  return { code: exitCode(view.getInt32(4, true), signal), signal, oomKills: view.getUint32(12, true), at: view.getBigUint64(24, true) };
}

/** The exit record at `path`; undefined when there is none. */
export function readExitRecord(path: string): ExitStatus | undefined {
  try {
    return decodeExitRecord(readFileSync(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
