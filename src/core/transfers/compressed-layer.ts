import { spawn } from 'node:child_process';
import { NaruError } from '#spec/errors.ts';
import type { Helpers } from '../jobs/helpers.ts';
import type { CompressedBlob, CompressPlan, JobFailure } from '../jobs/job.ts';
import { command, environment, type SelfCommand } from '../jobs/start-job.ts';
import type { CompressedLayer } from './transfer-store.ts';

const MAX_WORDS = 65536;

/** A compressing job, begun anew at each `open` and each `send`. */
export function compressedLayer({ self, helpers }: { self: SelfCommand; helpers: Helpers }, plan: CompressPlan, signal: AbortSignal): CompressedLayer {
  let finished: Promise<CompressedBlob> | undefined;

  async function* open(): AsyncGenerator<Uint8Array, void, undefined> {
    if (signal.aborted) throw new NaruError('canceled', 'canceled');
    const [program, args] = command(self, { kind: 'compress', ...plan });
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment(), cwd: '/' });
    const abort = (): void => void child.kill('SIGKILL');
    signal.addEventListener('abort', abort, { once: true });
    let words = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (words.length < MAX_WORDS) words += text;
    });
    const ended = new Promise<number>((resolve) => {
      child.on('error', () => resolve(127));
      child.on('close', (code) => resolve(code ?? 128));
    });
    finished = ended.then((code) => {
      if (signal.aborted) throw new NaruError('canceled', 'canceled');
      if (code === 0) return JSON.parse(words) as CompressedBlob;
      throw failureOf(words, code);
    });
    finished.catch(() => {});
    let whole = false;
    try {
      yield* child.stdout as AsyncIterable<Uint8Array>;
      await finished;
      whole = true;
    } finally {
      signal.removeEventListener('abort', abort);
      if (!whole) child.kill('SIGKILL');
      await ended;
    }
  }

  async function send(request: unknown, onProgress: (done: number) => void): Promise<unknown> {
    const job = helpers.run({ kind: 'send', ...plan, request }, { signal });
    let step = await job.next();
    for (; step.done !== true; step = await job.next()) onProgress(step.value.done);
    const { answer, blob } = step.value.sent!;
    finished = blob === undefined ? undefined : Promise.resolve(blob);
    return answer;
  }

  return {
    open,
    send: self === undefined ? undefined : send,
    finish() {
      if (finished === undefined) throw new NaruError('internal', 'a layer was finished before all of it was read');
      return finished;
    },
  };
}

function failureOf(words: string, code: number): NaruError {
  try {
    const { kind, message, hint } = JSON.parse(words) as JobFailure;
    return new NaruError(kind, message, hint === undefined ? {} : { hint });
  } catch {
    return new NaruError('internal', `a helper process failed (${code}): ${words.slice(0, 1000)}`);
  }
}
