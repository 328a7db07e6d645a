import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { NaruError, type ErrorKind } from '#spec/errors.ts';
import { drained } from '../archive/drained.ts';
import type { SavedArchive } from '../store.ts';
import type { Job, JobEvent, JobFailure, JobResult } from './job.ts';

export type SelfCommand = readonly string[] | undefined;

/** Only what the program needs: a job reads strangers' archives. */
export const environment = (): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin' });

/** job undefined: it comes on stdin. */
export function command(self: SelfCommand, job: Job | undefined): [string, string[]] {
  const json = job === undefined ? '-' : JSON.stringify(job);
  if (self !== undefined) return [self[0]!, [...self.slice(1), 'internal', 'core', json]];
  return [process.execPath, [new URL('./job-main.ts', import.meta.url).pathname, json]];
}

/** A process that does one job after another. */
export function serveCommand(self: SelfCommand): [string, string[]] {
  if (self !== undefined) return [self[0]!, [...self.slice(1), 'internal', 'core', 'serve']];
  return [process.execPath, [new URL('./job-main.ts', import.meta.url).pathname, 'serve']];
}

/** Runs a job that stages layers; yields its progress, returns its result. `input` goes to its stdin. */
export async function* runStagingJob(self: SelfCommand, job: Job, options: { input?: Readable; signal?: AbortSignal } = {}): AsyncGenerator<Extract<JobEvent, { kind: 'progress' }>, JobResult, undefined> {
  const [program, args] = command(self, job);
  const child = spawn(program, args, { stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'], env: environment(), cwd: '/' });
  const abort = (): void => void child.kill('SIGKILL');
  options.signal?.addEventListener('abort', abort, { once: true });
  const ended = exit(child);
  const fed = options.input === undefined ? Promise.resolve(undefined) : feed(options.input, child);
  let result: JobResult | undefined;
  let finished = false;
  try {
    if (options.signal?.aborted === true) abort();
    for await (const line of createInterface({ input: child.stdout!, crlfDelay: Infinity })) {
      const event = JSON.parse(line) as JobEvent;
      if (event.kind === 'result') result = event.result;
      else if (event.kind === 'progress') yield event;
    }
    const failure = await ended;
    if (options.signal?.aborted === true) throw new NaruError('canceled', 'canceled');
    // An input that broke explains a job that complains of a cut archive.
    const broken = result === undefined ? await fed : undefined;
    if (broken !== undefined) throw broken;
    if (failure !== undefined) throw failure;
    if (result === undefined) throw new NaruError('internal', 'a helper process ended without a result');
    finished = true;
    return result;
  } finally {
    options.signal?.removeEventListener('abort', abort);
    if (!finished) {
      abort();
      options.input?.destroy();
      await ended;
    }
  }
}

/** Copies the input; resolves to the error that broke it, if one did. */
async function feed(input: Readable, child: ChildProcess): Promise<Error | undefined> {
  const sink = child.stdin!;
  sink.on('error', () => {}); // the job gave up: its own words say why
  try {
    for await (const chunk of input as AsyncIterable<Uint8Array>) {
      if (sink.destroyed) break;
      if (!sink.write(chunk)) await drained(sink);
    }
    sink.end();
    return undefined;
  } catch (error) {
    sink.destroy();
    return error as Error;
  }
}

/** Resolves when the process is gone: to its complaint, or undefined when all was well. */
export async function exit(child: ChildProcess): Promise<NaruError | undefined> {
  let complaint = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    if (complaint.length < 65536) complaint += text;
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.on('error', () => resolve([127, null]));
    child.on('close', (c, s) => resolve([c, s]));
  });
  if (code === 0) return undefined;
  try {
    const failure = JSON.parse(complaint) as JobFailure;
    return new NaruError(failure.kind as ErrorKind, failure.message, failure.hint === undefined ? {} : { hint: failure.hint });
  } catch {
    return new NaruError('internal', `a helper process failed (${signal ?? code}): ${complaint.slice(0, 1000)}`);
  }
}

/** The archive of a save job. */
export function saveArchive(self: SelfCommand, job: Extract<Job, { kind: 'save' }>): SavedArchive {
  const begin = (stdout: 'pipe' | number): { child: ChildProcess; ended: Promise<NaruError | undefined> } => {
    const [program, args] = command(self, undefined);
    const child = spawn(program, args, { stdio: ['pipe', stdout, 'pipe'], env: environment(), cwd: '/' });
    const ended = exit(child);
    child.stdin!.on('error', () => {});
    child.stdin!.end(JSON.stringify(job));
    return { child, ended };
  };
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    const { child, ended } = begin('pipe');
    let finished = false;
    try {
      yield* child.stdout as AsyncIterable<Uint8Array>;
      const failure = await ended;
      if (failure !== undefined) throw failure;
      finished = true;
    } finally {
      if (!finished) child.kill('SIGKILL');
      await ended;
    }
  }
  return {
    size: job.archive.size,
    stream: () => Readable.from(chunks(), { objectMode: false, highWaterMark: 1 << 18 }),
    async writeTo(fd, signal) {
      signal.throwIfAborted();
      const { child, ended } = begin(fd);
      const abort = (): void => void child.kill('SIGKILL');
      signal.addEventListener('abort', abort, { once: true });
      const failure = await ended;
      signal.removeEventListener('abort', abort);
      signal.throwIfAborted();
      if (failure !== undefined) throw failure;
    },
  };
}
