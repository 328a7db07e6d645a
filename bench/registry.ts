import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fixture, FIXTURES } from '../test/fixtures/make-images.ts';
import type { BenchEngine } from './engines.ts';

export type Record = (metric: string, unit: string, engine: string, value: number) => void;
const IMAGES = ['debian', 'layers8'];
const ROUNDS = Number(process.env['ROUNDS'] ?? 3);
const CLIENTS = 32;
const BLOB_BYTES = 50_000_000;

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function run(command: string, args: string[]): void {
  const ran = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 << 20 });
  if (ran.status !== 0) throw new Error(`${command} ${args.join(' ')}: exit ${ran.status}: ${ran.stderr}`);
}

/** An image of 402 MB in 8 layers, half of each random, half of it text that compresses to two thirds. */
export function layers8Archive(): string {
  const output = fixture('layers8.tar');
  if (existsSync(output)) return output;
  const directory = mkdtempSync(join(FIXTURES, 'layers8.'));
  const diffIds: string[] = [];
  const layers: string[] = [];
  for (let i = 0; i < 8; i++) {
    const root = join(directory, `root${i}`, 'data', String(i));
    mkdirSync(root, { recursive: true });
    for (let j = 0; j < 5; j++) {
      writeFileSync(join(root, `r${j}`), randomBytes(5_000_000));
      const words = randomBytes(3_750_000).toString('base64').replace(/.{76}/g, (line) => `${line.slice(0, 16)}abcdefghij lorem ipsum abcdefghij lorem ipsum abcdefghij lor\n`);
      writeFileSync(join(root, `t${j}`), words.slice(0, 5_000_000));
    }
    const layer = join(directory, `${i}.tar`);
    run('tar', ['-C', join(directory, `root${i}`), '--sort=name', '--numeric-owner', '--owner=0', '--group=0', '--mtime=2024-01-01', '-cf', layer, '.']);
    rmSync(join(directory, `root${i}`), { recursive: true });
    diffIds.push(`sha256:${sha256(readFileSync(layer))}`);
    layers.push(`${i}.tar`);
  }
  const config = JSON.stringify({
    architecture: process.arch === 'x64' ? 'amd64' : 'arm64', os: 'linux', created: '2024-01-01T00:00:00Z', config: { Cmd: ['/none'] },
    rootfs: { type: 'layers', diff_ids: diffIds }, history: diffIds.map(() => ({ created: '2024-01-01T00:00:00Z', created_by: 'bench' })),
  });
  const id = sha256(Buffer.from(config));
  writeFileSync(join(directory, `${id}.json`), config);
  writeFileSync(join(directory, 'manifest.json'), JSON.stringify([{ Config: `${id}.json`, RepoTags: ['layers8:latest'], Layers: layers }]));
  run('tar', ['-C', directory, '-cf', `${output}.tmp`, 'manifest.json', `${id}.json`, ...layers]);
  renameSync(`${output}.tmp`, output);
  rmSync(directory, { recursive: true });
  return output;
}

/** Podman without a daemon of its own: only for the image rows. */
export function podman(root: string): { name: string; cli: string[]; destroy(): void } | undefined {
  if (spawnSync('podman', ['--version']).status !== 0) return undefined;
  const cli = ['podman', '--root', join(root, 'storage'), '--runroot', join(root, 'run')];
  return { name: 'podman', cli, destroy: () => { spawnSync(cli[0] as string, [...cli.slice(1), 'rmi', '-fa']); spawnSync('umount', [join(root, 'storage', 'overlay')]); rmSync(root, { recursive: true, force: true }); } };
}

interface Registry extends AsyncDisposable { host: string; process: ChildProcess }

/** `naru`: our own server; `docker`: Debian's docker-registry. Each on a port and a directory of its own. */
async function registry(kind: 'naru' | 'docker', executable: string, root: string): Promise<Registry> {
  const socket = createServer();
  await new Promise<void>((resolve) => socket.listen(0, '127.0.0.1', resolve));
  const { port } = socket.address() as AddressInfo;
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  const directory = mkdtempSync(join(root, 'registry.'));
  writeFileSync(join(directory, 'config.yml'), `version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: ${directory}/data}}\nhttp: {addr: "127.0.0.1:${port}"}\n`);
  const command = kind === 'docker' ? ['docker-registry', 'serve', join(directory, 'config.yml')] : [executable, 'registry', 'serve', '--port', String(port), '--data', join(directory, 'data'), '--access-log', 'off'];
  const child = spawn(command[0] as string, command.slice(1), { stdio: 'ignore' });
  for (let i = 0; !(await fetch(`http://127.0.0.1:${port}/v2/`).then((answer) => answer.ok, () => false)); i++) {
    if (i > 1000 || child.exitCode !== null) throw new Error(`${command[0]} did not come up`);
    await wait(10);
  }
  return {
    host: `127.0.0.1:${port}`, process: child,
    async [Symbol.asyncDispose]() {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Proportional set size of a process and all its descendants, in MiB. */
function memoryOfTree(root: number): number {
  const parents = new Map<number, number>();
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try { parents.set(Number(pid), Number(/\) \S+ (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1])); } catch { /* it ended */ }
  }
  const below = (pid: number | undefined): boolean => pid === root || (pid !== undefined && pid > 1 && below(parents.get(pid)));
  let kib = 0;
  for (const pid of parents.keys()) {
    if (!below(pid)) continue;
    try { kib += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0); } catch { /* it ended */ }
  }
  return kib / 1024;
}

async function watched<T>(pid: number, work: () => Promise<T>): Promise<{ value: T; peak: number }> {
  let peak = 0;
  const timer = setInterval(() => { peak = Math.max(peak, memoryOfTree(pid)); }, 50);
  try {
    return { value: await work(), peak };
  } finally {
    clearInterval(timer);
  }
}

/** Runs a command beside this process; seconds. */
function timed(command: readonly string[], args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(command[0] as string, [...command.slice(1), ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (text) => { said += String(text); });
    child.on('error', reject).on('close', (code) => (code === 0 ? resolve((performance.now() - start) / 1000) : reject(new Error(`${command.join(' ')} ${args.join(' ')}: ${code}: ${said}`))));
  });
}

/** 32 clients, one blob of 50 MB: our server beside Debian's docker-registry. */
export async function concurrentPulls(executable: string, root: string, record: Record): Promise<void> {
  const blob = randomBytes(BLOB_BYTES);
  const digest = `sha256:${sha256(blob)}`;
  for (const kind of ['docker', 'naru'] as const) {
    if (kind === 'docker' && spawnSync('docker-registry', ['--version']).status !== 0) continue;
    await using one = await registry(kind, executable, root);
    const begun = await fetch(`http://${one.host}/v2/bench/blob/blobs/uploads/`, { method: 'POST' });
    const location = new URL(begun.headers.get('location') as string, `http://${one.host}`);
    location.searchParams.set('digest', digest);
    const stored = await fetch(location, { method: 'PUT', body: blob, headers: { 'content-type': 'application/octet-stream' } });
    if (stored.status !== 201) throw new Error(`${kind}: PUT of the blob gave ${stored.status}`);
    const urls = Array.from({ length: CLIENTS }, () => ['-o', '/dev/null', `http://${one.host}/v2/bench/blob/blobs/${digest}`]).flat();
    const { value, peak } = await watched(one.process.pid as number, async () => {
      const times: number[] = [];
      for (let i = 0; i < 5; i++) times.push(await timed(['curl', '-s', '--fail', '-Z', '--parallel-max', String(CLIENTS), '--parallel-immediate'], urls));
      return median(times);
    });
    record(`registry: ${CLIENTS} clients pull one 50 MB blob`, 'MB/s', kind, (CLIENTS * BLOB_BYTES) / 1e6 / value);
    record('registry: peak memory then (PSS)', 'MiB', kind, peak);
  }
}

/** What was written and deleted before is on the disk: who makes sure that its own is does not wait for it. */
const settled = (): void => void run('sync', []);

/** Push and pull through a local registry; the same image, the same registry server for every engine. */
export async function pushAndPull(engines: readonly BenchEngine[], { executable, root, record }: { executable: string; root: string; record: Record }): Promise<void> {
  const archives: { [image: string]: string } = { debian: fixture('debian.tar'), layers8: layers8Archive() };
  const other = podman(join(root, 'podman'));
  const clients: { name: string; cli: readonly string[]; insecure: string[]; pid?: number | undefined }[] = engines.map((e) => ({ name: e.name, cli: e.cli, insecure: [], pid: e.pid?.() }));
  if (other !== undefined) clients.push({ name: other.name, cli: other.cli, insecure: ['--tls-verify=false'] });
  try {
    for (const image of IMAGES) {
      for (const { name, cli, insecure, pid } of clients) {
        run(cli[0] as string, [...cli.slice(1), 'load', '-q', '-i', archives[image] as string]);
        const [pushes, pulls, peaks]: [number[], number[], number[]] = [[], [], []];
        for (let i = 0; i < ROUNDS; i++) {
          // An empty registry each time: nothing of an earlier push may be mounted or skipped.
          await using one = await registry('docker', executable, root);
          const reference = `${one.host}/bench/${image}:latest`;
          run(cli[0] as string, [...cli.slice(1), 'tag', image, reference]);
          settled();
          pushes.push(await timed(cli, ['push', '-q', ...insecure, reference]));
          run(cli[0] as string, [...cli.slice(1), 'rmi', reference]);
        }
        run(cli[0] as string, [...cli.slice(1), 'rmi', '-f', image]);
        record(`push ${image}`, 's', name, median(pushes));
        await using one = await registry('docker', executable, root);
        const reference = `${one.host}/bench/${image}:latest`;
        run('skopeo', ['copy', '-q', '--dest-tls-verify=false', `docker-archive:${archives[image]}`, `docker://${reference}`]);
        for (let i = 0; i <= ROUNDS; i++) {
          settled();
          const pull = (): Promise<number> => timed(cli, ['pull', '-q', ...insecure, reference]);
          // The last round is for the memory: looking at it holds up who is looked at.
          if (i < ROUNDS) pulls.push(await pull());
          else if (pid !== undefined) peaks.push((await watched(pid, pull)).peak);
          else break;
          run(cli[0] as string, [...cli.slice(1), 'rmi', '-f', reference]);
        }
        record(`pull ${image}`, 's', name, median(pulls));
        if (peaks.length > 0) record(`daemon's peak memory while pulling ${image} (PSS)`, 'MiB', name, Math.max(...peaks));
      }
    }
  } finally {
    other?.destroy();
  }
}
