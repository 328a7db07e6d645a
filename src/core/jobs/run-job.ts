import { closeSync, readFileSync, writeSync } from 'node:fs';
import { openDirectory, syncfs } from '#sys/files.ts';
import { NaruError } from '#spec/errors.ts';
import { check } from '#sys/syscalls.ts';
import { decompressed } from '../archive/decompress.ts';
import { asNaruError } from '../images/as-naru-error.ts';
import { readArchive } from '../images/read-archive.ts';
import { resolveArchive } from '../images/resolve-archive.ts';
import { saveChunks } from '../images/save-archive.ts';
import { stageLayer } from '../images/stage-layer.ts';
import { digester } from '../content/digest.ts';
import { layerTar } from '../layers/write-layer-tar.ts';
import { compressLayer } from '../layers/compress-layer.ts';
import { takeBlob } from '../transfers/take-blob.ts';
import { packChunks } from '../trees/pack-tree.ts';
import { HashThread } from './hash-thread.ts';
import { readDescriptor } from './read-descriptor.ts';
import type { CompressedBlob, CompressPlan, Job, JobEvent, JobFailure, JobResult, Send, ServedJob } from './job.ts';

/** Between two progress lines of a layer, milliseconds. */
const PROGRESS_EVERY = 100;

/** `internal core <job>`: does one job and exits. The job is JSON, or `-` when it comes on stdin. */
export async function runJob(args: readonly string[], ports: { send?: Send } = {}): Promise<void> {
  process.umask(0o022);
  if (args[0] === 'serve') return await serveJobs(ports);
  try {
    const job = JSON.parse(args[0] === '-' ? readFileSync(0, 'utf8') : (args[0] ?? 'null')) as Job;
    if (job.kind === 'save') await save(job);
    else if (job.kind === 'compress') writeAll(Buffer.from(JSON.stringify(await compress(job))), 2);
    else if (job.kind === 'blob' || job.kind === 'send') throw new NaruError('invalid', `${job.kind} is done by a helper that serves`);
    else say({ kind: 'result', result: await stage(job) });
    process.exit(0);
  } catch (error) {
    try {
      writeSync(2, JSON.stringify(failureOf(error)));
    } catch {
      // The daemon is gone.
    }
    process.exit(1);
  }
}

function failureOf(error: unknown): JobFailure {
  const { kind, message, hint } = asNaruError(error);
  return { kind, message, ...(hint === undefined ? {} : { hint }) };
}

/** One job after another, until there is no more to do or one fails: what such a one leaves behind is gone with the process. */
async function serveJobs({ send }: { send?: Send }): Promise<void> {
  const lines = linesOf(readDescriptor(0));
  // Kept for all jobs: a thread costs a start.
  let threads: readonly [HashThread, HashThread] | undefined;
  try {
    for (let line = await lines.next(); line.done !== true; line = await lines.next()) {
      const job = JSON.parse(line.value) as ServedJob;
      if (job.kind === 'blob' && job.threads) threads ??= [new HashThread(), new HashThread()];
      say({ kind: 'result', result: job.kind === 'blob' ? await takeOne(job, lines, threads) : job.kind === 'send' ? await sendOne(job, send) : await stage(job) });
    }
    process.exit(0);
  } catch (error) {
    try {
      say({ kind: 'failure', failure: failureOf(error) });
    } catch {
      // The daemon is gone.
    }
    process.exit(1);
  }
}

async function takeOne(job: Extract<Job, { kind: 'blob' }>, lines: AsyncIterator<string>, threads: readonly [HashThread, HashThread] | undefined): Promise<JobResult> {
  const report = progress();
  const onProgress = (done: number): void => report({ name: 'blob', done, total: job.size, complete: done === job.size });
  return { images: [], layers: [await takeBlob(lengthsIn(lines, job.size), job, { incoming: job.incoming, onProgress, ...(job.threads && threads !== undefined ? { hashes: threads } : {}) })] };
}

async function sendOne(job: Extract<Job, { kind: 'send' }>, send: Send | undefined): Promise<JobResult> {
  if (send === undefined) throw new NaruError('unsupported', 'this helper sends nothing');
  const report = progress();
  let blob: CompressedBlob | undefined;
  let over = false;
  async function* bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    const source = compressing(job);
    let done = 0;
    try {
      for (let step = await source.next(); ; step = await source.next()) {
        if (over) return;
        if (step.done === true) {
          blob = step.value;
          return;
        }
        done += step.value.byteLength;
        report({ name: 'send', done, total: 0, complete: false });
        yield step.value;
      }
    } finally {
      await source.return(undefined as never);
    }
  }
  try {
    const answer = await send(job.request, bytes());
    return { images: [], layers: [], sent: { answer, ...(blob === undefined ? {} : { blob }) } };
  } finally {
    over = true;
  }
}

/** Of one file, until it is whole: the line after that is the next job's. */
async function* lengthsIn(lines: AsyncIterator<string>, size: number): AsyncGenerator<number, void, undefined> {
  for (let length = -1; length < size; ) {
    const line = await lines.next();
    if (line.done === true) return;
    yield (length = Number(line.value));
  }
}

async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + Buffer.from(chunk).toString('utf8')).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
}

async function stage(job: Exclude<Job, { kind: 'save' | 'compress' | 'blob' | 'send' }>): Promise<JobResult> {
  const { incoming } = job;
  switch (job.kind) {
    case 'load': {
      const contents = await readArchive(readDescriptor(0), { incoming, onProgress: progress(), hash: new HashThread() });
      const { images, layers } = resolveArchive(contents, job.platform);
      sync(incoming);
      return { images: images.map(({ config, tags }) => ({ config: Buffer.from(config).toString('base64'), tags })), layers: [...layers.values()] };
    }
    case 'layer': {
      const layer = await stageLayer(decompressed(readDescriptor(0)), { incoming, name: '0', hash: new HashThread() });
      sync(incoming);
      return { images: [], layers: [layer] };
    }
    case 'relay': {
      const layer = await stageLayer(chunksOf(layerTar(job.layer, job.recipe)), { incoming, name: '0', hash: new HashThread() });
      if (layer.diffId !== job.diffId) throw new NaruError('corrupt', `layer ${job.diffId} in the store is damaged`, { hint: 'naru system check --repair finds what is damaged' });
      return { images: [], layers: [layer] };
    }
    case 'verify': {
      const hash = new HashThread();
      job.layers.forEach(({ name, ...layer }, i) => {
        const problem = problemOf(layer, hash);
        say({ kind: 'progress', name, done: i + 1, total: job.layers.length, complete: true, ...(problem === undefined ? {} : { problem }) });
      });
      return { images: [], layers: [] };
    }
    case 'sync': {
      sync(incoming);
      return { images: [], layers: [] };
    }
    case 'commit': {
      const upper = check(openDirectory(job.upper), `open ${job.upper}`);
      const layer = await stageLayer(packChunks(upper, { path: '/', name: '', closeRoot: true, layer: true }), { incoming, name: '0' });
      sync(incoming);
      return { images: [], layers: [layer] };
    }
  }
}

/** What is wrong with a layer: its tar, written again, must have its digest. */
function problemOf({ layer, recipe, diffId }: { layer: string; recipe: string; diffId: string }, hash: HashThread): string | undefined {
  let failure: string | undefined;
  try {
    for (const chunk of layerTar(layer, recipe)) hash.update(chunk);
  } catch (error) {
    failure = error instanceof NaruError ? error.message : String((error as NodeJS.ErrnoException).code ?? error);
  }
  const digest = hash.digest(); // also after a failure: it begins anew with the next
  return failure ?? (digest === diffId ? undefined : `its content has digest ${digest}`);
}

async function* chunksOf(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  yield* chunks;
}

/** One sync of the file system instead of one for each file. */
function sync(directory: string): void {
  const fd = check(openDirectory(directory), `open ${directory}`);
  const result = syncfs(fd);
  closeSync(fd);
  check(result, 'sync layers to disk');
}

function progress(): (progress: { name: string; done: number; total: number; complete: boolean }) => void {
  let next = 0;
  return (event) => {
    const now = performance.now();
    if (!event.complete && now < next) return;
    next = now + PROGRESS_EVERY;
    say({ kind: 'progress', ...event });
  };
}

function say(event: JobEvent): void {
  writeAll(Buffer.from(`${JSON.stringify(event)}\n`));
}

async function save(job: Extract<Job, { kind: 'save' }>): Promise<void> {
  for (const chunk of saveChunks(job.archive)) writeAll(chunk);
}

async function compress(plan: CompressPlan): Promise<CompressedBlob> {
  const chunks = compressing(plan);
  for (let step = await chunks.next(); ; step = await chunks.next()) {
    if (step.done === true) return step.value;
    writeAll(step.value);
  }
}

/** A layer's compressed bytes, and at the end what they were. */
async function* compressing({ layer, recipe, diffId, ...how }: CompressPlan): AsyncGenerator<Uint8Array, CompressedBlob, undefined> {
  const hash = digester();
  let size = 0;
  for await (const chunk of compressLayer({ layer, recipe, diffId }, how)) {
    hash.update(chunk);
    size += chunk.byteLength;
    yield chunk;
  }
  return { digest: hash.digest(), size };
}

/** Blocks while the daemon does not read: that is the back-pressure. */
function writeAll(bytes: Uint8Array, fd = 1): void {
  for (let at = 0; at < bytes.byteLength; ) at += writeSync(fd, bytes, at);
}
