import { fstatSync, read, write, writeSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';

/** A terminal's size in characters. */
export interface TerminalSize { readonly rows: number; readonly columns: number }

/**
 * The process's streams. Text is written synchronously: with node's `process.stdout` the program would start 14 ms (of 20)
 * later, and nothing is lost when it exits.
 */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  /** Bulk output with back-pressure: 1 stdout, 2 stderr. */
  write(fd: 1 | 2, bytes: Uint8Array): Promise<void>;
  isTerminal(fd: 0 | 1 | 2): boolean;
  /** The size of the terminal at stdout, or undefined. */
  size(): Promise<TerminalSize | undefined>;
  /** Stdin, chunk by chunk. */
  input(): AsyncGenerator<Uint8Array, void>;
}

const INPUT_CHUNK = 64 << 10;

/** The real streams. */
export function processIo(): Io {
  return { out: (text) => writeAll(1, text), err: (text) => writeAll(2, text), write: writeLater, isTerminal, size: terminalSize, input: readInput };
}

function writeAll(fd: number, text: string): void {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw writeFailure(fd, error as NodeJS.ErrnoException);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
}

async function writeLater(fd: number, bytes: Uint8Array): Promise<void> {
  let rest = bytes;
  while (rest.length > 0) {
    const written = await new Promise<number>((resolve, reject) => {
      write(fd, rest, 0, rest.length, null, (error, count) => {
        if (error === null) resolve(count);
        else if (error.code === 'EAGAIN') setTimeout(() => resolve(0), 2);
        else reject(writeFailure(fd, error));
      });
    });
    rest = rest.subarray(written);
  }
}

/** A reader that went away ends us in silence, as SIGPIPE would. */
function writeFailure(fd: number, error: NodeJS.ErrnoException): NaruError {
  if (error.code === 'EPIPE') return new NaruError('canceled', '', { exitCode: 141, cause: error });
  return new NaruError('internal', `write ${fd === 1 ? '/dev/stdout' : '/dev/stderr'}: ${error.message}`, { cause: error });
}

// Major numbers of character devices that are surely no terminals: memory (null, zero), and of those that surely are.
const MEMORY_DEVICES = 1;
const PSEUDO_TERMINALS = 136;

function isTerminal(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    if (!stat.isCharacterDevice()) return false;
    const major = (stat.rdev >> 8) & 0xfff;
    if (major === MEMORY_DEVICES) return false;
    if (major >= PSEUDO_TERMINALS && major < PSEUDO_TERMINALS + 8) return true;
    return major === 4 || major === 5;
  } catch {
    return false;
  }
}

async function terminalSize(): Promise<TerminalSize | undefined> {
  if (!isTerminal(1)) return undefined;
  const { WriteStream } = await import('node:tty');
  const [columns, rows] = new WriteStream(1).getWindowSize();
  return { columns, rows };
}

async function* readInput(): AsyncGenerator<Uint8Array, void> {
  for (;;) {
    const buffer = new Uint8Array(INPUT_CHUNK);
    const count = await new Promise<number>((resolve, reject) => {
      read(0, buffer, 0, buffer.length, null, (error, bytes) => {
        if (error === null) resolve(bytes);
        else if (error.code === 'EAGAIN') setTimeout(() => resolve(-1), 5);
        else if (error.code === 'EOF' || error.code === 'EIO') resolve(0);
        else reject(error);
      });
    });
    if (count === 0) return;
    if (count > 0) yield buffer.subarray(0, count);
  }
}
