/**
 * One command per number that the README claims: naru beside a floor in C, and beside Docker where it is installed, in one run.
 *   bench/run.ts [cli] [api] [exec] [many] [memory] [load] [streams] [restart] [registry] [travel] [runtime] [net], and of net alone: [flow] [cycle] [ports] [dns] [net-restart]
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fixture, makeFixtures } from '../test/fixtures/make-images.ts';
import { dialer } from '../src/client/dial.ts';
import { parseHostAddress } from '../src/client/host-address.ts';
import { type Method, Transport } from '../src/client/transport.ts';
import { dockerEngine, memory, naruEngine, podmanEngine, type BenchEngine } from './engines.ts';
import { dnsAnswers, dnsFloor } from './dns.ts';
import { type Bench, manyPorts, networkCycle, networkRestart, programsOf, throughput } from './net.ts';
import { concurrentPulls, pushAndPull } from './registry.ts';
import { planExecution, runtimeRun } from './runtime.ts';

const top = join(import.meta.dirname, '..');
const RUNS = Number(process.env['RUNS'] ?? 15);
const N = Number(process.env['N'] ?? 50);
const wanted = process.argv.slice(2);
const NET = ['flow', 'cycle', 'ports', 'dns', 'net-restart'];
const selected = (metric: string): boolean => wanted.length === 0 || wanted.includes(metric) || (NET.includes(metric) && wanted.includes('net'));

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const results: { metric: string; unit: string; values: Record<string, number> }[] = [];
function record(metric: string, unit: string, engine: string, value: number): void {
  let row = results.find((r) => r.metric === metric);
  if (row === undefined) results.push((row = { metric, unit, values: {} }));
  row.values[engine] = value;
  console.error(`  ${engine.padEnd(8)} ${metric.padEnd(34)} ${value.toFixed(2)} ${unit}`);
}

function call(engine: BenchEngine, ...args: string[]): string {
  const ran = spawnSync(engine.cli[0] as string, [...engine.cli.slice(1), ...args], { encoding: 'utf8', maxBuffer: 64 << 20, stdio: ['ignore', 'pipe', 'pipe'] });
  if (ran.status !== 0) throw new Error(`${engine.name} ${args.join(' ')}: exit ${ran.status}: ${ran.stderr}`);
  return ran.stdout.trim();
}
const timed = (work: () => void): number => {
  const start = performance.now();
  work();
  return performance.now() - start;
};
const repeated = (work: () => void, times = RUNS): number => {
  work();
  return median(Array.from({ length: times }, () => timed(work)));
};

/** Every engine is asked by the product's own client: node:http's own time would be part of each figure. */
class Api {
  readonly #transport: Transport;
  constructor(socket: string) {
    const host = `unix://${socket}`;
    this.#transport = new Transport({ dial: dialer(parseHostAddress(host, false), undefined), hostName: host });
  }
  async send(method: string, path: string, body?: object): Promise<Buffer> {
    const answer = await this.#transport.request(method as Method, path, body === undefined ? {} : { body: JSON.stringify(body) });
    const parts: Uint8Array[] = [];
    for await (const part of answer.body) parts.push(part);
    return Buffer.concat(parts);
  }
  close(): void {
    this.#transport.close();
  }
}

/** What is measured in small rounds, and of how many repeats each is. */
const ROUNDS = 5;
const EACH = Math.max(1, Math.round(RUNS / ROUNDS));

/**
 * Milliseconds of `once`, median. The engines take turns in small rounds, and the floor before and after each: this machine's speed
 * moves by half within minutes, and meets all of them.
 */
const inTurn = (metric: string, floorOf: keyof Floor, once: (engine: BenchEngine) => void | Promise<void>): Promise<void> =>
  timedInTurn(metric, floorOf, async (engine, count) => {
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      await once(engine);
      times.push(performance.now() - start);
    }
    return times;
  });

/** The same, of what measures itself: `turn` returns the milliseconds of each of its repeats. */
async function timedInTurn(metric: string, floorOf: keyof Floor, turn: (engine: BenchEngine, count: number) => readonly number[] | Promise<readonly number[]>): Promise<void> {
  const times = new Map(engines.map(({ name }): [string, number[]] => [name, []]));
  const least = [floor()];
  for (const engine of engines) await turn(engine, 1);
  for (let round = 0; round < ROUNDS; round++) {
    for (const engine of round % 2 === 0 ? engines : engines.toReversed()) {
      times.get(engine.name)?.push(...await turn(engine, EACH));
      least.push(floor());
    }
  }
  record(metric, 'ms', 'floor', median(least.map((each) => each[floorOf])));
  for (const [engine, each] of times) record(metric, 'ms', engine, median(each));
}

/** Milliseconds of a container's whole life and of fork and exec, in C. */
interface Floor { readonly container: number; readonly forkexec: number }
function floor(): Floor {
  const rootfs = join(work, 'rootfs');
  if (!existsSync(rootfs)) {
    for (const name of ['rootfs', 'floor']) mkdirSync(join(work, name));
    spawnSync('tar', ['-C', rootfs, '-xf', fixture('busybox-rootfs.tar')]);
  }
  const ran = spawnSync(join(top, 'dist/obj/floor'), [rootfs, join(work, 'floor'), '11'], { encoding: 'utf8' });
  if (ran.status !== 0) throw new Error(`floor: exit ${ran.status}: ${ran.stderr}`);
  const value = (name: string): number => Number(new RegExp(`^${name} (.*)$`, 'm').exec(ran.stdout)?.[1]);
  return { container: value('container'), forkexec: value('forkexec') };
}

const runRounds = (): Promise<void> => inTurn('CLI run --rm busybox true', 'container', (engine) => void call(engine, 'run', '--rm', 'busybox', 'true'));

const apis = (): Map<BenchEngine, Api> => new Map(engines.map((engine) => [engine, new Api(engine.socket)]));

async function apiRounds(): Promise<void> {
  const connections = apis();
  await inTurn('API create+start+wait+delete', 'container', async (engine) => {
    const api = connections.get(engine) as Api;
    const { Id } = JSON.parse((await api.send('POST', '/containers/create', { Image: 'busybox', Cmd: ['true'] })).toString()) as { Id: string };
    await api.send('POST', `/containers/${Id}/start`);
    await api.send('POST', `/containers/${Id}/wait`);
    await api.send('DELETE', `/containers/${Id}`);
  });
  for (const api of connections.values()) api.close();
}

const UNCOUNTED = 2;

async function execRounds(): Promise<void> {
  for (const engine of engines) call(engine, 'run', '-d', '--name', 'bench-x', 'busybox', 'sleep', '1000');
  await inTurn('CLI exec c true', 'forkexec', (engine) => void call(engine, 'exec', 'bench-x', 'true'));
  // Of a few milliseconds, a client in TypeScript would be one; each turn begins with two that are not counted, as each floor is the
  // median of eleven in a row: all are hot.
  await timedInTurn('API exec create+start to end', 'forkexec', (engine, count) => {
    const ran = spawnSync(join(top, 'dist/obj/exec-client'), [engine.socket, 'bench-x', String(UNCOUNTED), String(count)], { encoding: 'utf8' });
    if (ran.status !== 0) throw new Error(`${engine.name}: ${ran.stderr}`);
    return ran.stdout.trim().split('\n').map(Number);
  });
  for (const engine of engines) call(engine, 'rm', '-f', 'bench-x');
}

/** Seconds of N starts by each engine, in as many turns: `each` makes `count` of them. */
async function startsInTurn(metric: string, turns: number, each: (engine: BenchEngine, count: number) => void | Promise<void>): Promise<void> {
  const sums = new Map(engines.map(({ name }): [string, number] => [name, 0]));
  for (let turn = 0; turn < turns; turn++) {
    const count = Math.floor(((turn + 1) * N) / turns) - Math.floor((turn * N) / turns);
    for (const engine of turn % 2 === 0 ? engines : engines.toReversed()) {
      const start = performance.now();
      await each(engine, count);
      sums.set(engine.name, (sums.get(engine.name) ?? 0) + performance.now() - start);
    }
  }
  for (const [engine, sum] of sums) record(metric, 's', engine, sum / 1000);
}

async function eightAtATime(engine: BenchEngine, count: number): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: 8 }, async () => {
    while (next++ < count) {
      await new Promise<void>((resolve, reject) => {
        const child = spawn(engine.cli[0] as string, [...engine.cli.slice(1), 'run', '-d', 'busybox', 'sleep', '1000'], { stdio: 'ignore' });
        child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`run -d: ${code}`))));
      });
    }
  }));
}

async function many(): Promise<void> {
  const all = (engine: BenchEngine): string[] => call(engine, 'ps', '-aq').split('\n').filter((l) => l !== '');
  const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2000));
  // Idle means after work: a daemon that trims itself does so when there was some.
  for (const engine of engines) for (let i = 0; i < 5; i++) call(engine, 'run', '--rm', 'busybox', 'true');
  await settle();
  for (const engine of engines) record('idle memory (PSS)', 'MiB', engine.name, memory(engine.processes));
  const start = (engine: BenchEngine, count: number): void => {
    for (let i = 0; i < count; i++) call(engine, 'run', '-d', 'busybox', 'sleep', '1000');
  };
  // What a container takes is told by the last N of more: the first ones find what the daemon holds anyway, or has just given back.
  for (const engine of engines) start(engine, N);
  await settle();
  const first = new Map(engines.map((engine): [BenchEngine, { mib: number; ids: string[] }] => [engine, { mib: memory(engine.processes), ids: all(engine) }]));
  await startsInTurn(`${N} starts one by one`, 5, start);
  await settle();
  for (const [engine, { mib }] of first) record('memory per running container (PSS)', 'MiB', engine.name, (memory(engine.processes) - mib) / N);
  for (const [engine, { ids }] of first) call(engine, 'rm', '-f', ...ids);
  for (const engine of engines) record(`ps with ${N}`, 'ms', engine.name, repeated(() => call(engine, 'ps')));
  for (const engine of engines) {
    const ids = all(engine);
    record(`rm -f of ${N}`, 's', engine.name, timed(() => call(engine, 'rm', '-f', ...ids)) / 1000);
  }
  await startsInTurn(`${N} starts, 8 at a time`, 2, eightAtATime);
  for (const engine of engines) call(engine, 'rm', '-f', ...all(engine));
}

function load(engine: BenchEngine): void {
  const megabytes = statSync(fixture('debian.tar')).size / 1e6;
  const times = Array.from({ length: 3 }, () => {
    spawnSync(engine.cli[0] as string, [...engine.cli.slice(1), 'rmi', '-f', 'debian']);
    return timed(() => call(engine, 'load', '-q', '-i', fixture('debian.tar')));
  });
  record('load debian', 'MB/s', engine.name, megabytes / (median(times) / 1000));
  const out = join(tmpdir(), `naru-bench-save-${process.pid}.tar`);
  record('save debian', 's', engine.name, median(Array.from({ length: 3 }, () => timed(() => call(engine, 'save', '-o', out, 'debian')))) / 1000);
  rmSync(out, { force: true });
}

function streams(engine: BenchEngine): void {
  const script = 'dd if=/dev/zero bs=1M count=200 2>/dev/null | base64 -w 76';
  const megabytes = 283;
  const discard = (args: string[]): number => timed(() => {
    const ran = spawnSync('sh', ['-c', '"$@" > /dev/null', 'sh', ...engine.cli, ...args], { encoding: 'utf8' });
    if (ran.status !== 0) throw new Error(`${engine.name} ${args.join(' ')}: ${ran.stderr}`);
  });
  record('attach', 'MB/s', engine.name, megabytes / (discard(['run', '--rm', '--network', 'none', 'busybox', 'sh', '-c', script]) / 1000));
  call(engine, 'run', '-d', '--name', 'bench-log', '--network', 'none', 'busybox', 'sh', '-c', script);
  call(engine, 'wait', 'bench-log');
  record('logs', 'MB/s', engine.name, megabytes / (median(Array.from({ length: 3 }, () => discard(['logs', 'bench-log']))) / 1000));
  record('logs --tail 10', 'ms', engine.name, repeated(() => call(engine, 'logs', '--tail', '10', 'bench-log'), 5));
  call(engine, 'rm', 'bench-log');
}

async function restart(engine: BenchEngine): Promise<void> {
  const ids = Array.from({ length: N }, () => call(engine, 'create', 'busybox', 'true'));
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    await engine.down();
    times.push(await engine.up());
  }
  record(`daemon ready with ${N} stopped`, 'ms', engine.name, median(times));
  call(engine, 'rm', ...ids);
}

/** The runtime alone, beside others of its kind and beside the floor: all on a tmpfs, as /run is. */
async function runtimeRows(): Promise<void> {
  const scratch = mkdtempSync('/dev/shm/naru-bench.');
  try {
    const rootfs = join(scratch, 'rootfs');
    for (const name of ['rootfs', 'floor']) mkdirSync(join(scratch, name));
    spawnSync('tar', ['-C', rootfs, '-xf', fixture('busybox-rootfs.tar')]);
    const bench = { executable: join(top, 'dist/naru'), helper: join(top, 'dist/obj/naru-helper'), hideCgroup2: join(top, 'dist/obj/hide-cgroup2'), rootfs, work: scratch, runs: RUNS, record, median };
    runtimeRun(bench);
    const floor = spawnSync(join(top, 'dist/obj/floor'), [rootfs, join(scratch, 'floor'), '100'], { encoding: 'utf8' }).stdout;
    for (const [name, metric] of [['start', 'plan, spawn to exec'], ['container', 'plan, beside a whole container in C']] as const) record(metric, 'ms', 'floor', Number(new RegExp(`^${name} (.*)$`, 'm').exec(floor)?.[1]));
    await planExecution(bench);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

await makeFixtures();
const work = mkdtempSync(join(tmpdir(), 'naru-bench.'));
const enginesNeeded = wanted.length === 0 || wanted.some((metric) => metric !== 'runtime');
const engines = !enginesNeeded ? [] : [dockerEngine(join(work, 'docker')), naruEngine(join(top, 'dist/naru'), join(work, 'naru'))].filter((e) => e !== undefined);
try {
  if (selected('runtime')) await runtimeRows();
  for (const engine of engines) {
    await engine.up();
    call(engine, 'load', '-q', '-i', fixture('busybox.tar'));
  }
  const inTurns: [string, () => Promise<void>][] = [['cli', runRounds], ['api', apiRounds], ['exec', execRounds], ['many', many]];
  for (const [name, measure] of inTurns) if (selected(name)) await measure();
  const rounds: [string, (engine: BenchEngine) => void | Promise<void>][] = [['load', load], ['streams', streams], ['restart', restart]];
  for (const [name, round] of rounds) if (selected(name)) for (const engine of engines) await round(engine);
  const registries = { executable: join(top, 'dist/naru'), root: work, record };
  if (selected('registry')) await concurrentPulls(registries.executable, work, record);
  if (selected('travel')) await pushAndPull(engines, registries);
  const bench: Bench = { record, call, api: (engine) => new Api(engine.socket), programs: programsOf(top) };
  const podman = selected('flow') ? podmanEngine(join(work, 'podman')) : undefined;
  if (podman !== undefined) {
    await podman.up();
    engines.push(podman);
    call(podman, 'load', '-q', '-i', fixture('busybox.tar'));
  }
  const naru = engines.filter((engine) => engine.name === 'naru');
  const withApi = engines.filter((engine) => engine.socket !== '');
  if (selected('flow')) await throughput(engines, bench);
  if (selected('cycle')) for (const engine of withApi) await networkCycle(engine, bench);
  if (selected('ports')) for (const engine of withApi) await manyPorts(engine, bench);
  if (selected('dns')) {
    for (const engine of naru) dnsFloor(engine, bench);
    for (const engine of withApi) dnsAnswers(engine, bench);
  }
  if (selected('net-restart')) for (const engine of naru) await networkRestart(engine, bench, { containers: Number(process.env['CONTAINERS'] ?? 400), networks: 20 });
} finally {
  for (const engine of engines) await engine.destroy();
  if (existsSync(work)) rmSync(work, { recursive: true, force: true });
}

const known = ['floor', 'runc', 'crun', 'docker', 'naru', 'podman'];
const columns = known.filter((name) => results.some((r) => name in r.values));
console.log(`| | ${columns.join(' | ')} | unit | naru ÷ floor | better than ${results.some((r) => 'docker' in r.values) ? 'docker' : 'runc'} |`);
console.log(`| --- | ${columns.map(() => '---').join(' | ')} | --- | --- | --- |`);
for (const { metric, unit, values } of results) {
  const ratio = (a?: number, b?: number): string => (a === undefined || b === undefined || b === 0 ? '' : (a / b).toFixed(1));
  // How many times better: less time and memory, or more throughput.
  const better = ['MB/s', 'Gbit/s', 'req/s', '1/s'].includes(unit) ? ratio(values['naru'], values['docker']) : ratio(values['docker'] ?? values['runc'], values['naru']);
  console.log(`| ${metric} | ${columns.map((c) => (values[c] === undefined ? '' : values[c].toFixed(2))).join(' | ')} | ${unit} | ${ratio(values['naru'], values['floor'])} | ${better} |`);
}
