import { HEADER_BYTES, isHeader, OVERHEAD_BYTES, readU32, STDOUT, TRAILER_BYTES } from './log-record.ts';
import type { LogFile } from './log-files.ts';

/** Where the last lines begin: a record of a file, and how many bytes of its payload come before them. */
export interface TailStart { readonly file: number; readonly offset: number; readonly skip: number }

const CHUNK = 256 * 1024;
const NEWLINE = 10;

/**
 * Finds the last `lines` lines of the chosen streams from the end, by the records' trailers: what is read depends on how much is wanted,
 * not on how long the log is. Damage ends the search where it is found.
 */
export async function findTail(files: readonly LogFile[], lines: number, streams: { stdout: boolean; stderr: boolean }): Promise<TailStart> {
  const last = files.length - 1;
  if (last < 0) return { file: 0, offset: 0, skip: 0 };
  if (lines === 0) return { file: last, offset: files[last]!.size, skip: 0 };
  // The newline that ends the last line does not begin another.
  let wanted = lines;
  let atEnd = true;
  for (let file = last; file >= 0; file--) {
    const { handle, size } = files[file]!;
    let base = size; // the window holds [base, base + window.length)
    let window: Uint8Array = new Uint8Array(0);
    let position = size;
    const need = async (from: number): Promise<void> => {
      while (base > from) {
        const start = Math.max(0, Math.min(from, base - CHUNK));
        const more = new Uint8Array(base - start);
        await handle.read(more, 0, more.length, start);
        const kept = window.subarray(0, Math.max(0, position - base));
        const joined = new Uint8Array(more.length + kept.length);
        joined.set(more);
        joined.set(kept, more.length);
        window = joined;
        base = start;
      }
    };
    while (position >= OVERHEAD_BYTES) {
      await need(position - TRAILER_BYTES);
      const whole = readU32(window, position - TRAILER_BYTES - base);
      if (whole < OVERHEAD_BYTES || whole > position) return { file, offset: position, skip: 0 };
      const start = position - whole;
      await need(start);
      const at = start - base;
      if (!isHeader(window, at) || readU32(window, at) !== whole - OVERHEAD_BYTES) return { file, offset: position, skip: 0 };
      if (window[at + 4] === STDOUT ? streams.stdout : streams.stderr) {
        const payload = window.subarray(at + HEADER_BYTES, at + whole - TRAILER_BYTES);
        for (let i = payload.length - 1; i >= 0; i--) {
          if (atEnd) {
            atEnd = false;
            if (payload[i] === NEWLINE) continue;
          } else if (payload[i] !== NEWLINE) continue;
          else if (--wanted === 0) return i + 1 === payload.length ? { file, offset: position, skip: 0 } : { file, offset: start, skip: i + 1 };
        }
      }
      position = start;
    }
  }
  return { file: 0, offset: 0, skip: 0 };
}
