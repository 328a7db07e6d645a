import type { RawStream } from '#client/connection.ts';
import { demultiplex } from '#client/frames.ts';
import { NaruError } from '#spec/errors.ts';
import type { Io } from '../io.ts';
import { DetachFilter, DEFAULT_DETACH_KEYS, parseDetachKeys } from './detach-keys.ts';
import { rawTerminal } from './raw-terminal.ts';

export interface AttachedStreamsOptions {
  /** The container has a terminal: bytes are raw, and ours goes into raw mode. */
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly detachKeys: string;
}

/** What ended the session: the container's output, the user's detach keys, or (with no output to wait for) our own input. */
export type SessionEnd = 'output-ended' | 'detached' | 'input-ended';

/** Carries stdin, stdout and stderr over an attached connection. `close` gives the terminal back; call it on every path. */
export interface AttachedStreams { readonly ended: Promise<SessionEnd>; close(): void }

export async function attachStreams(stream: RawStream, io: Io, options: AttachedStreamsOptions): Promise<AttachedStreams> {
  const raw = options.stdin && options.tty && io.isTerminal(0);
  const restore = raw ? await rawTerminal() : (): void => {};
  const output = options.stdout || options.stderr ? copyOutput(stream, io, options).finally(restore) : undefined;
  const input = options.stdin ? copyInput(stream, io, raw ? detachFilter(options.detachKeys, io) : undefined) : Promise.resolve('input-ended' as const).finally(() => stream.closeWrite());
  output?.catch(() => {});

  const ended = (async (): Promise<SessionEnd> => {
    if (output === undefined) return input;
    const first = await Promise.race([output.then(() => 'output-ended' as const), input]);
    if (first !== 'input-ended') return first;
    await output;
    return 'output-ended';
  })();
  ended.catch(() => {});
  return {
    ended,
    close() {
      restore();
      stream.destroy();
    },
  };
}

async function copyOutput(stream: RawStream, io: Io, options: AttachedStreamsOptions): Promise<void> {
  if (options.tty) {
    for (let chunk = await stream.output.read(); chunk !== undefined; chunk = await stream.output.read()) await io.write(1, chunk);
    return;
  }
  await demultiplex(stream.output, (fd, bytes) => ((fd === 1 ? options.stdout : options.stderr) ? io.write(fd, bytes) : undefined));
}

async function copyInput(stream: RawStream, io: Io, filter: DetachFilter | undefined): Promise<'detached' | 'input-ended'> {
  try {
    for await (const chunk of io.input()) {
      if (filter === undefined) {
        await stream.write(chunk);
        continue;
      }
      const { bytes, detached } = filter.push(chunk);
      if (bytes.length > 0) await stream.write(bytes);
      if (detached) return 'detached';
    }
  } catch {
    // The container's end, or ours, is gone: its output says what happened.
  }
  stream.closeWrite();
  return 'input-ended';
}

function detachFilter(keys: string, io: Io): DetachFilter {
  try {
    return new DetachFilter(parseDetachKeys(keys));
  } catch (error) {
    io.err(`invalid detach escape keys, using default: ${(error as Error).message}\n`);
    return new DetachFilter(DEFAULT_DETACH_KEYS);
  }
}

/** Docker's refusal of `-it` without a terminal. */
export function checkTerminal(io: Io, stdin: boolean, tty: boolean): void {
  if (tty && stdin && !io.isTerminal(0)) throw new NaruError('invalid', 'the input device is not a TTY', { exitCode: 1 });
}
