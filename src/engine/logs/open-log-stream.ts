import { Readable } from 'node:stream';
import { NaruError } from '#spec/errors.ts';
import type { LogOptions } from '#api/engine-port.ts';
import type { EngineContext } from '../engine-context.ts';
import { formatLogTime, nowNano } from '../time/timestamps.ts';
import type { Container } from '../containers/container.ts';
import { logPath } from '../containers/container-paths.ts';
import { convertRecords, type Conversion, type LineState } from './convert-records.ts';
import { findTail, type TailStart } from './find-tail.ts';
import { nextLogFile, openLogFiles, type LogFile } from './log-files.ts';
import { HEADER_BYTES, OVERHEAD_BYTES, readU32 } from './log-record.ts';

const CHUNK = 1024 * 1024;
/** A follower at the end looks again after so many milliseconds, doubling up to the longest. */
const FIRST_PAUSE_MS = 4;
const LONGEST_PAUSE_MS = 100;

/** The log as Docker sends it: frames, or raw bytes for a terminal. With `follow` it ends when the container does. Throws invalid when
 *  no stream is chosen, unsupported for a container without a log. */
export function openLogStream(engine: EngineContext, container: Container, options: LogOptions, signal: AbortSignal): Readable {
  if (!options.stdout && !options.stderr) throw new NaruError('invalid', 'Bad parameters: you must choose at least one stream');
  if (container.doc.hostConfig.LogConfig?.Type === 'none') throw new NaruError('unsupported', 'configured logging driver does not support reading');
  const head = options.details ? detailsOf(container) : '';
  const encoder = new TextEncoder();
  const conversion: Conversion = {
    framed: container.doc.config.Tty !== true && options.framed !== false, stdout: options.stdout, stderr: options.stderr, since: options.since, until: options.until,
    prefix: !options.timestamps && !options.details ? undefined : (time) => encoder.encode(`${options.timestamps ? `${formatLogTime(time)} ` : ''}${head}`),
  };
  const follow = options.follow && (container.task !== undefined || container.state.status === 'starting');
  const running = (): boolean => container.task !== undefined || container.state.status === 'starting';
  return Readable.from(readLog({ path: logPath(engine, container.id), conversion, tail: options.tail, follow, running }, AbortSignal.any([signal, engine.closing])), { objectMode: false, highWaterMark: CHUNK });
}

/** What `--details` shows: the labels and variables that the log options name. */
function detailsOf({ doc }: Container): string {
  const { Config = {} } = doc.hostConfig.LogConfig ?? {};
  const pairs: string[] = [];
  for (const name of (Config['labels'] ?? '').split(',')) {
    const value = doc.config.Labels?.[name];
    if (value !== undefined) pairs.push(`${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  }
  for (const name of (Config['env'] ?? '').split(',')) {
    const variable = (doc.config.Env ?? []).find((entry) => name !== '' && entry.startsWith(`${name}=`));
    if (variable !== undefined) pairs.push(`${encodeURIComponent(name)}=${encodeURIComponent(variable.slice(name.length + 1))}`);
  }
  return pairs.length === 0 ? '' : `${pairs.join(',')} `;
}

export interface ReadLog {
  readonly path: string;
  readonly conversion: Conversion;
  /** Lines from the end; -1: all. */
  readonly tail: number;
  readonly follow: boolean;
  /** May more be written? Asked after the end was reached. */
  readonly running: () => boolean;
}

/** The bytes of a log, in large pieces. A consumer that does not take them stops the reading. */
export async function* readLog({ path, conversion, tail, follow, running }: ReadLog, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const state: LineState = { open: new Set() };
  const files = await openLogFiles(path);
  let current: LogFile | undefined;
  try {
    const start: TailStart = tail < 0 ? { file: 0, offset: 0, skip: 0 } : await findTail(files, tail, conversion);
    for (let i = start.file; i < files.length; i++) {
      const newest = i === files.length - 1;
      const reader = new FileReader(files[i]!, i === start.file ? start.offset : 0, i === start.file ? start.skip : 0);
      if ((yield* drain(reader, { conversion, state, signal })) === 'until') return;
      if (newest && follow) {
        current = files[i];
        yield* followLog({ path, reader, conversion, state, running }, signal);
        return;
      }
    }
    if (files.length === 0 && follow) yield* followLog({ path, reader: undefined, conversion, state, running }, signal);
  } finally {
    await Promise.all(files.filter((file) => file !== current).map((file) => file.handle.close()));
    await current?.handle.close();
  }
}

interface Drain { readonly conversion: Conversion; readonly state: LineState; readonly signal: AbortSignal }

/** Everything that the file holds now. */
async function* drain(reader: FileReader, { conversion, state, signal }: Drain): AsyncGenerator<Uint8Array, 'until' | 'end'> {
  for (;;) {
    if (signal.aborted) return 'until';
    const bytes = await reader.read();
    if (bytes === undefined) return 'end';
    const { consumed, output, end } = convertRecords(bytes, conversion, state);
    reader.consumed(consumed);
    if (output.length > 0) yield output;
    if (end === 'until') return 'until';
    if (end === 'damaged') return 'end';
    if (consumed === 0 && reader.atEnd) return 'end';
  }
}

interface Follow { path: string; reader: FileReader | undefined; conversion: Conversion; state: LineState; running: () => boolean }

async function* followLog({ path, reader, conversion, state, running }: Follow, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  let current = reader;
  const opened: LogFile[] = [];
  try {
    for (let wait = FIRST_PAUSE_MS; !signal.aborted; ) {
      // Asked before reading: what was written before the end is then seen.
      const last = !running() || (conversion.until !== 0n && nowNano() > conversion.until);
      let some = false;
      for (;;) {
        // A file that is not the newest any more gets no records: what came just before it was put aside is read first.
        const next: LogFile | undefined = current === undefined ? (await openLogFiles(path)).at(-1) : await nextLogFile(path, current.inode);
        if (next !== undefined) opened.push(next);
        if (current !== undefined) {
          const steps = drain(current, { conversion, state, signal });
          for (let step = await steps.next(); ; step = await steps.next()) {
            if (step.done === true) {
              if (step.value === 'until') return;
              break;
            }
            some = true;
            yield step.value;
          }
        }
        if (next === undefined) break;
        current = new FileReader(next, 0, 0);
      }
      if (last) return;
      wait = some ? FIRST_PAUSE_MS : Math.min(wait * 2, LONGEST_PAUSE_MS);
      await pause(wait, signal);
    }
  } finally {
    await Promise.all(opened.map((file) => file.handle.close()));
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done, { once: true });
  });
}

/** Reads a file in chunks that begin with a record; what was not consumed comes again. */
class FileReader {
  readonly inode: number;
  readonly #file: LogFile;
  #position: number;
  #skip: number;
  #size = CHUNK;
  atEnd = false;

  constructor(file: LogFile, offset: number, skip: number) {
    this.#file = file;
    this.inode = file.inode;
    this.#position = offset;
    this.#skip = skip;
  }

  /** undefined at the end (for now). */
  async read(): Promise<Uint8Array | undefined> {
    const buffer = new Uint8Array(this.#size);
    const { bytesRead } = await this.#file.handle.read(buffer, 0, buffer.length, this.#position);
    this.atEnd = bytesRead < buffer.length;
    if (bytesRead < OVERHEAD_BYTES) {
      // A log of one file only is emptied when it is full.
      if (bytesRead === 0 && this.#position > 0 && (await this.#file.handle.stat()).size < this.#position) this.#position = 0;
      return undefined;
    }
    const bytes = buffer.subarray(0, bytesRead);
    return this.#skip === 0 ? bytes : this.#cut(bytes);
  }

  consumed(count: number): void {
    this.#position += count;
    if (count > 0) this.#size = CHUNK;
    else if (!this.atEnd) this.#size *= 2; // a record longer than the chunk
  }

  /** The first record without the lines before the tail: a shorter record in its place. */
  #cut(bytes: Uint8Array): Uint8Array {
    const length = readU32(bytes, 0);
    if (bytes.length < OVERHEAD_BYTES + length) return bytes;
    const skip = Math.min(this.#skip, length);
    this.#skip = 0;
    bytes.copyWithin(skip, 0, HEADER_BYTES);
    const rest = bytes.subarray(skip);
    new DataView(rest.buffer, rest.byteOffset).setUint32(0, length - skip, true);
    this.#position += skip; // so that `consumed` ends where the record does
    return rest;
  }
}
