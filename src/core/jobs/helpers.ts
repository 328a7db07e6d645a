import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { NaruError } from '#spec/errors.ts';
import { createSlots } from '../transfers/slots.ts';
import { drained } from '../archive/drained.ts';
import type { JobEvent, JobResult, ServedJob } from './job.ts';
import { environment, exit, serveCommand, type SelfCommand } from './start-job.ts';

export type JobProgress = Extract<JobEvent, { kind: 'progress' }>;

export interface ServeOptions {
  readonly signal?: AbortSignal;
  /** How long the file of a `blob` job is by now. When it throws, the job ends with that. */
  readonly lengths?: AsyncIterable<number>;
}

/** Processes that do one job after another (`internal core serve`): a layer each would cost a start and the compiling of the same
 *  code again, and as many at once would hold the memory of as many. */
export interface Helpers {
  /** Waits while all are busy. Yields the job's progress, returns its result. */
  run(job: ServedJob, options?: ServeOptions): AsyncGenerator<JobProgress, JobResult, undefined>;
}

/** Without work a helper ends after so long, milliseconds. */
const IDLE = 500;

interface Helper {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly lines: AsyncIterator<string>;
  readonly ended: Promise<NaruError | undefined>;
  gone: boolean;
  timer: NodeJS.Timeout | undefined;
}

/** `most` at the same time. */
export function openHelpers(self: SelfCommand, most: number): Helpers {
  const slots = createSlots(most);
  const idle: Helper[] = [];
  const never = new AbortController().signal;

  function begin(): Helper {
    const [program, args] = serveCommand(self);
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: environment(), cwd: '/' });
    child.stdin.on('error', () => {}); // it is gone: its words or its end say so
    const helper: Helper = { child, lines: createInterface({ input: child.stdout, crlfDelay: Infinity })[Symbol.asyncIterator](), ended: exit(child), gone: false, timer: undefined };
    void helper.ended.then(() => {
      helper.gone = true;
      retire(helper);
    });
    return helper;
  }

  function retire(helper: Helper): void {
    clearTimeout(helper.timer);
    const at = idle.indexOf(helper);
    if (at >= 0) idle.splice(at, 1);
    helper.child.stdin.end();
  }

  function take(): Helper {
    const helper = idle.pop();
    if (helper === undefined) return begin();
    clearTimeout(helper.timer);
    return helper.gone ? begin() : helper;
  }

  function giveBack(helper: Helper): void {
    idle.push(helper);
    helper.timer = setTimeout(() => retire(helper), IDLE);
    helper.timer.unref();
  }

  async function* run(job: ServedJob, { signal = never, lengths }: ServeOptions = {}): AsyncGenerator<JobProgress, JobResult, undefined> {
    const free = await slots.take(signal);
    const helper = take();
    const { child } = helper;
    let broken: { error: unknown } | undefined;
    let whole = false;
    const abort = (): void => void child.kill('SIGKILL');
    signal.addEventListener('abort', abort, { once: true });
    try {
      if (signal.aborted) throw new NaruError('canceled', 'canceled');
      child.stdin.write(`${JSON.stringify(job)}\n`);
      if (lengths !== undefined) {
        void feed(lengths, child.stdin).catch((error: unknown) => {
          broken = { error };
          abort();
        });
      }
      for (let line = await helper.lines.next(); line.done !== true; line = await helper.lines.next()) {
        const event = JSON.parse(line.value) as JobEvent;
        if (event.kind === 'progress') yield event;
        else if (event.kind === 'failure') throw new NaruError(event.failure.kind, event.failure.message, event.failure.hint === undefined ? {} : { hint: event.failure.hint });
        else {
          whole = true;
          return event.result;
        }
      }
      const failure = await helper.ended;
      if (signal.aborted) throw new NaruError('canceled', 'canceled');
      throw broken === undefined ? (failure ?? new NaruError('internal', 'a helper process ended without a result')) : broken.error;
    } finally {
      signal.removeEventListener('abort', abort);
      // After a failure nobody knows what is left of it.
      if (whole && !helper.gone && !signal.aborted) giveBack(helper);
      else {
        abort();
        await helper.ended;
      }
      free();
    }
  }

  return { run };
}

async function feed(lengths: AsyncIterable<number>, sink: Writable): Promise<void> {
  for await (const length of lengths) {
    if (sink.destroyed) return;
    if (!sink.write(`${length}\n`)) await drained(sink);
  }
}

/** The result of a job of which nobody follows the progress. */
export async function resultOf(job: AsyncGenerator<JobProgress, JobResult, undefined>): Promise<JobResult> {
  for (;;) {
    const step = await job.next();
    if (step.done === true) return step.value;
  }
}
