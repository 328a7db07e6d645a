import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { readdirSync, readFileSync } from 'node:fs';
import { memory, proportionalSize, type BenchEngine } from './engines.ts';

/** What the network group asks of run.ts. */
export interface Bench {
  readonly record: (metric: string, unit: string, engine: string, value: number) => void;
  readonly call: (engine: BenchEngine, ...args: string[]) => string;
  readonly api: (engine: BenchEngine) => { send(method: string, path: string, body?: object): Promise<Buffer>; close(): void };
  /** Directory of the static programs that run in containers. */
  readonly programs: string;
}

const SECONDS = 1, ROUNDS = 10, PATH_ROUNDS = 80;
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
/** What does not come from whatever else the machine did. */
const lowerDecile = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 10)] ?? Number.NaN;
/** The machine's own iperf3, whose libraries a container gets with /usr. */
const USR = ['-v', '/usr:/usr:ro', 'busybox'];
const IPERF = [...loader(), '/usr/bin/iperf3'];

function loader(): string[] {
  const directory = readdirSync('/usr/lib').find((name) => /^(x86_64|aarch64)-linux-gnu$/.test(name)) ?? '';
  const program = readdirSync(`/usr/lib/${directory}`).find((name) => /^ld-linux-.*\.so\.\d$/.test(name)) ?? '';
  return [`/usr/lib/${directory}/${program}`, '--library-path', `/usr/lib/${directory}`];
}

/** Of one engine while all are measured in turn. */
interface Flow {
  readonly engine: BenchEngine;
  readonly address: string;
  /** Published on 127.0.0.1: iperf3 and HTTP. */
  readonly ports: readonly [iperf: number, http: number];
  readonly names: boolean;
}

/**
 * Throughput through each engine's network: between containers, and to a port that is published on 127.0.0.1. All engines are up at
 * the same time and measured in turn, in many short rounds: what else happens on the machine meets all of them. What a second tells is
 * mostly which processor the kernel gave to whom, so that naru is compared with the better peer within each round, and beside the
 * throughput stands the CPU time that the way itself takes (net-path.c), which is much the same from round to round.
 */
export async function throughput(engines: readonly BenchEngine[], { record, call, programs }: Bench): Promise<void> {
  const values = new Map<string, { unit: string; of: Map<string, number[]> }>();
  const note = (metric: string, unit: string, engine: string, value: number): void => {
    const row = values.get(metric) ?? { unit, of: new Map() };
    values.set(metric, row);
    row.of.set(engine, [...(row.of.get(engine) ?? []), value]);
  };
  const gbits = (text: string): number => (JSON.parse(text) as { end: { sum_received: { bits_per_second: number } } }).end.sum_received.bits_per_second / 1e9;
  const between = ({ engine }: Flow, host: string): number => gbits(call(engine, 'exec', 'bench-client', ...IPERF, '-J', '-t', String(SECONDS), '-c', host));
  const flows: Flow[] = [];
  try {
    for (const [i, engine] of engines.entries()) {
      const [iperf, http] = [5299 + i, 8089 + i];
      call(engine, 'network', 'create', 'bench-net');
      call(engine, 'run', '-d', '--name', 'bench-iperf', '--network', 'bench-net', '-p', `127.0.0.1:${iperf}:5201`, ...USR, ...IPERF, '-s');
      call(engine, 'run', '-d', '--name', 'bench-web', '--network', 'bench-net', '-p', `127.0.0.1:${http}:8080`, '-v', `${programs}:/b:ro`, 'busybox', '/b/tiny-http', '8080');
      call(engine, 'run', '-d', '--name', 'bench-client', '--network', 'bench-net', ...USR, 'sleep', '1000');
      const address = call(engine, 'inspect', '-f', '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}', 'bench-iperf');
      // podman has none without its resolver
      const names = spawnSync(engine.cli[0]!, [...engine.cli.slice(1), 'exec', 'bench-client', 'nslookup', 'bench-iperf']).status === 0;
      flows.push({ engine, address, ports: [iperf, http], names });
    }
    await wait(500);
    for (let round = 0; round < ROUNDS; round++) {
      for (const flow of round % 2 === 0 ? flows : flows.toReversed()) {
        const { engine: { name }, ports: [iperf, http] } = flow;
        note('container to container, by address', 'Gbit/s', name, between(flow, flow.address));
        if (flow.names) note('container to container, by name', 'Gbit/s', name, between(flow, 'bench-iperf'));
        note('published on 127.0.0.1', 'Gbit/s', name, gbits(spawnSync('iperf3', ['-J', '-t', String(SECONDS), '-c', '127.0.0.1', '-p', String(iperf)], { encoding: 'utf8' }).stdout));
        const wrk = spawnSync('wrk', ['-t1', '-c32', `-d${SECONDS}s`, `http://127.0.0.1:${http}/`], { encoding: 'utf8' }).stdout;
        note('published on 127.0.0.1, HTTP', 'req/s', name, Number(/Requests\/sec:\s+([\d.]+)/.exec(wrk)?.[1]));
      }
    }
    for (const [metric, { unit, of }] of values) {
      for (const [engine, list] of of) record(metric, unit, engine, median(list));
      const ratio = toBetterPeer(of);
      if (ratio !== undefined) record(`  ${metric}: naru ÷ the better peer, median of the rounds`, '', 'naru', ratio);
    }
    const pid = (engine: BenchEngine, name: string): string => call(engine, 'inspect', '-f', '{{.State.Pid}}', name);
    const ends = flows.flatMap(({ engine, address }) => [engine.name, pid(engine, 'bench-client'), pid(engine, 'bench-iperf'), address]);
    const path = spawnSync(join(programs, 'net-path'), [String(PATH_ROUNDS), ...ends], { encoding: 'utf8' });
    if (path.status !== 0) throw new Error(`net-path: ${path.stderr}`);
    const lines = Map.groupBy(path.stdout.trim().split('\n').map((line) => line.split(' ')), ([name]) => name!);
    for (const [name, list] of lines) {
      record('container to container, CPU time of a GiB', 's', name, lowerDecile(list.map(([, stream]) => Number(stream))));
      record('container to container, CPU time of a datagram', 'µs', name, lowerDecile(list.map(([, , datagram]) => Number(datagram))));
    }
  } finally {
    for (const { engine } of flows) {
      call(engine, 'rm', '-f', 'bench-iperf', 'bench-web', 'bench-client');
      call(engine, 'network', 'rm', 'bench-net');
    }
  }
}

/** The peer is chosen by its median of all rounds, not anew in each: the better of two that vary would be the luckier one. */
function toBetterPeer(of: ReadonlyMap<string, number[]>): number | undefined {
  const own = of.get('naru');
  const peer = [...of].filter(([name]) => name !== 'naru').toSorted(([, a], [, b]) => median(b) - median(a))[0]?.[1];
  return own === undefined || peer === undefined ? undefined : median(own.map((value, round) => value / peer[round]!));
}

/**
 * Networks and a container on them, through the API: one after another, where each waits for what the kernel does after the removal of
 * the one before, and with a pause in between.
 */
export async function networkCycle(engine: BenchEngine, { record, call, api }: Bench): Promise<void> {
  const id = call(engine, 'run', '-d', 'busybox', 'sleep', '1000');
  const connection = api(engine);
  const cycles = async (pause: number): Promise<number> => {
    const times: number[] = [];
    for (let i = 0; i < 12; i++) {
      await wait(pause);
      const start = performance.now();
      await connection.send('POST', '/networks/create', { Name: `bench-n${i}` });
      await connection.send('POST', `/networks/bench-n${i}/connect`, { Container: id });
      await connection.send('POST', `/networks/bench-n${i}/disconnect`, { Container: id });
      await connection.send('DELETE', `/networks/bench-n${i}`);
      if (i >= 2) times.push(performance.now() - start);
    }
    return median(times);
  };
  record('network create+connect+disconnect+rm', 'ms', engine.name, await cycles(100));
  record('  the same, no pause after the one before', 'ms', engine.name, await cycles(0));
  connection.close();
  call(engine, 'rm', '-f', id);
}

/** What is the engine's own (anonymous memory: program text comes and goes with what runs) once it is idle: a daemon that trims itself
 *  does so when it has done something since. In MiB. */
async function settledMemory(engine: BenchEngine, connection: ReturnType<Bench['api']>): Promise<number> {
  if (engine.name !== 'naru') {
    await wait(500);
    return memory(engine.processes, 'Pss_Anon');
  }
  for (let i = 0; i < 300; i++) await connection.send('GET', '/version');
  let least = Infinity;
  for (let i = 0; i < 10; i++) {
    await wait(250);
    least = Math.min(least, proportionalSize(engine.pid?.() ?? 0, 'Pss_Anon'));
  }
  return least;
}

/** Many ports of one container: the time and memory that they add, and the processes. */
export async function manyPorts(engine: BenchEngine, { record, api }: Bench): Promise<void> {
  // dockerd takes some 100 ms and two processes for each
  const count = engine.name === 'naru' ? 1000 : 50;
  const connection = api(engine);
  const processes = (): number => readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && engine.processes.test(readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
    } catch {
      return false;
    }
  }).length;
  const one = async (ports: number): Promise<{ ms: number; mib: number; processes: number }> => {
    const names = Array.from({ length: ports }, (_, i) => String(21000 + i));
    const { Id } = JSON.parse((await connection.send('POST', '/containers/create', {
      Image: 'busybox', Cmd: ['sleep', '1000'], ExposedPorts: Object.fromEntries(names.map((name) => [`${name}/tcp`, {}])),
      HostConfig: { PortBindings: Object.fromEntries(names.map((name) => [`${name}/tcp`, [{ HostPort: name }]])) },
    })).toString()) as { Id: string };
    const start = performance.now();
    await connection.send('POST', `/containers/${Id}/start`);
    const ms = performance.now() - start;
    const result = { ms, mib: await settledMemory(engine, connection), processes: processes() };
    await connection.send('DELETE', `/containers/${Id}?force=1`);
    return result;
  };
  await one(1);
  const without = [await one(0), await one(0), await one(0)];
  const withPorts = engine.name === 'naru' ? [await one(count), await one(count), await one(count)] : [await one(count)];
  const added = (of: (each: { ms: number; mib: number; processes: number }) => number): number => median(withPorts.map(of)) - median(without.map(of));
  record(`${count} published ports: added to the start`, 'ms', engine.name, added((each) => each.ms));
  record(`${count} published ports: added memory`, 'MiB', engine.name, added((each) => each.mib));
  record(`${count} published ports: added processes`, '', engine.name, added((each) => each.processes));
  connection.close();
}

/** The daemon comes up with many containers on many networks, half of them running, under a ping flood to one. */
export async function networkRestart(engine: BenchEngine, { record, api }: Bench, { containers, networks }: { containers: number; networks: number }): Promise<void> {
  const connection = api(engine);
  for (let i = 0; i < networks; i++) await connection.send('POST', '/networks/create', { Name: `bench-n${i}`, IPAM: { Config: [{ Subnet: `10.123.${i}.0/24` }] } });
  const ids: string[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < containers; i = next++) {
      const { Id } = JSON.parse((await connection.send('POST', '/containers/create', {
        Image: 'busybox', Cmd: ['sleep', '100000'], ExposedPorts: { '80/tcp': {} },
        HostConfig: { NetworkMode: `bench-n${i % networks}`, PortBindings: { '80/tcp': [{ HostPort: String(23000 + i) }] } },
      })).toString()) as { Id: string };
      ids.push(Id);
      if (i % 2 === 0) await connection.send('POST', `/containers/${Id}/start`);
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
  const { NetworkSettings } = JSON.parse((await connection.send('GET', `/containers/${ids[0]}/json`)).toString()) as { NetworkSettings: { Networks: Record<string, { IPAddress: string }> } };
  connection.close();
  const times: number[] = [];
  const ping = spawn('ping', ['-i', '0.001', '-q', Object.values(NetworkSettings.Networks)[0]!.IPAddress], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  ping.stdout.on('data', (bytes) => (said += String(bytes)));
  const ended = new Promise((resolve) => ping.once('exit', resolve));
  await wait(300);
  for (let i = 0; i < 3; i++) {
    await engine.down();
    times.push(await engine.up());
  }
  await wait(300);
  ping.kill('SIGINT');
  await ended;
  const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(said) ?? [];
  record(`daemon ready with ${containers} on ${networks} networks`, 'ms', engine.name, median(times));
  record(`  packets lost of ${sent}, a ping each ms`, '', engine.name, Number(sent) - Number(received));
  const after = api(engine);
  next = 0;
  await Promise.all(Array.from({ length: 4 }, async () => {
    for (let id = ids[next++]; id !== undefined; id = ids[next++]) await after.send('DELETE', `/containers/${id}?force=1`);
  }));
  for (let i = 0; i < networks; i++) await after.send('DELETE', `/networks/bench-n${i}`);
  after.close();
}

export const programsOf = (top: string): string => join(top, 'dist/obj');
