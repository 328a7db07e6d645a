import { NaruError } from '#spec/errors.ts';
import { isTerminal, isWritable, windowSize, writeSome } from '#sys/standard-streams.ts';
import { fs } from './on-demand.ts';

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
/** A page: what poll(2) calls writable takes as much (PIPE_BUF). */
const SURELY_TAKEN = 4096;
const EAGAIN = 11;

/** The real streams. */
export function processIo(): Io {
  return { out: (text) => writeAll(1, text), err: (text) => writeAll(2, text), write: writeLater, isTerminal, size: terminalSize, input: readInput };
}

function writeAll(fd: number, text: string): void {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) {
    const count = writeSome(fd, bytes);
    if (count >= 0) bytes = bytes.subarray(count);
    else if (count === -EAGAIN) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    else throw writeFailure(fd, bytes);
  }
}

async function writeLater(fd: number, bytes: Uint8Array): Promise<void> {
  // What surely does not wait needs no thread; without one, a short command has none.
  const ready = bytes.length <= SURELY_TAKEN && isWritable(fd) ? Math.max(0, writeSome(fd, bytes)) : 0;
  let rest = bytes.subarray(ready);
  while (rest.length > 0) {
    const written = await new Promise<number>((resolve, reject) => {
      fs().write(fd, rest, 0, rest.length, null, (error, count) => {
        if (error === null) resolve(count);
        else if (error.code === 'EAGAIN') setTimeout(() => resolve(0), 2);
        else reject(failureOf(fd, error));
      });
    });
    rest = rest.subarray(written);
  }
}

/** Why `bytes` were not taken: Node, asked for the same, says it. */
function writeFailure(fd: number, bytes: Uint8Array): NaruError {
  try {
    fs().writeSync(fd, bytes);
  } catch (error) {
    return failureOf(fd, error as NodeJS.ErrnoException);
  }
  return new NaruError('internal', `write ${streamName(fd)}: it failed and then did not`);
}

const streamName = (fd: number): string => (fd === 1 ? '/dev/stdout' : '/dev/stderr');

const SIGPIPE_STATUS = 141;

/** A reader that went away ends us in silence, as SIGPIPE would. */
function failureOf(fd: number, error: NodeJS.ErrnoException): NaruError {
  // Node's words: `ENOSPC: no space left on device, write`.
  const [, reason = error.message] = /^[A-Z0-9]+: (.*), write$/.exec(error.message) ?? [];
  const said = `write ${streamName(fd)}: ${reason}`;
  if (error.code === 'EPIPE') return new NaruError('canceled', '', { exitCode: SIGPIPE_STATUS, cause: new Error(said) });
  return new NaruError('internal', said, { cause: error });
}

/** A reader went away. */
export const isBrokenPipe = (error: unknown): error is NaruError => error instanceof NaruError && error.exitCode === SIGPIPE_STATUS && error.kind === 'canceled';

/** What we were given could not be written: whatever else happened, it is lost. */
export const isOutputFailure = (error: unknown): boolean => isBrokenPipe(error) || (error instanceof NaruError && error.message.startsWith('write /dev/std'));

/** What whoever passes signals on to a container says of a reader that went away: as with Docker, that signal ends nobody then. */
export const withoutSigpipe = (error: unknown): unknown => (isBrokenPipe(error) ? new NaruError('internal', (error.cause as Error).message, { cause: error }) : error);

async function terminalSize(): Promise<TerminalSize | undefined> {
  return isTerminal(1) ? windowSize(1) : undefined;
}

async function* readInput(): AsyncGenerator<Uint8Array, void> {
  for (;;) {
    const buffer = new Uint8Array(INPUT_CHUNK);
    const count = await new Promise<number>((resolve, reject) => {
      fs().read(0, buffer, 0, buffer.length, null, (error, bytes) => {
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
