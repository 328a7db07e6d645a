import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fixture } from '../fixtures/make-images.ts';
import { footprint, leaks, loopOf, type Footprint, type OracleScope } from './leak-oracle.ts';

const top = join(import.meta.dirname, '../..');
export const NARU = join(top, 'dist/naru');

/** Where processors are emulated and shared, deadlines are longer. */
const PATIENCE = process.env['NARU_TEST_SLOW'] === undefined ? 1 : 5;

export interface Ran { code: number; out: string; err: string }

/** Runs a program to its end (bounded) without a terminal. */
export function run(command: string, args: readonly string[], options: { input?: string | Uint8Array; env?: Record<string, string>; timeoutMs?: number; cwd?: string } = {}): Ran {
  const result = spawnSync(command, args as string[], {
    encoding: 'utf8', input: options.input ?? '', timeout: PATIENCE * (options.timeoutMs ?? 30_000), maxBuffer: 256 << 20, cwd: options.cwd,
    env: { ...process.env, ...options.env },
  });
  return { code: result.status ?? 128, out: result.stdout ?? '', err: (result.stderr ?? '') + (result.error === undefined ? '' : String(result.error)) };
}

/** A network namespace that stands for a whole host's network (test/system/net-namespaces.ts). */
export interface DaemonNamespace { readonly name: string; within<T>(work: () => T): T }

/** One daemon of the test's own, in directories of its own, with names of its own in the kernel. */
export class TestDaemon {
  readonly root: string;
  readonly socket: string;
  readonly namespace: DaemonNamespace | undefined;
  readonly scope: OracleScope;
  process: ChildProcess | undefined;
  #baseline: Footprint | undefined;

  private constructor(root: string, namespace: DaemonNamespace | undefined) {
    this.root = root;
    this.namespace = namespace;
    this.socket = join(root, 'd.sock');
    const tag = createHash('sha256').update(join(root, 'data')).digest('hex').slice(0, 8);
    this.scope = { dataRoot: join(root, 'data'), stateDir: join(root, 'state'), bridge: `naru${tag}`, nftTable: `naru_${tag}`, cgroupParent: `/naru-${tag}`, daemonPid: 0, ...(namespace === undefined ? {} : { within: (work) => namespace.within(work) }) };
  }

  /** Further words for `naru daemon`. */
  readonly words: string[] = [];
  /** What is started: the executable, or a program that becomes it or stands for it. */
  program: readonly string[] = [NARU];

  static async start(options: { images?: readonly string[]; daemon?: readonly string[] | ((root: string) => readonly string[]); prepare?: (daemon: TestDaemon) => void; namespace?: DaemonNamespace; program?: readonly string[] } = {}): Promise<TestDaemon> {
    const daemon = new TestDaemon(mkdtempSync(join(tmpdir(), 'naru-test.')), options.namespace);
    if (options.program !== undefined) daemon.program = options.program;
    daemon.words.push(...(typeof options.daemon === 'function' ? options.daemon(daemon.root) : (options.daemon ?? [])));
    options.prepare?.(daemon);
    await daemon.up();
    for (const image of options.images ?? ['busybox']) {
      // Not by a command line: there are many daemons
      const loaded = await daemon.ask('POST', '/images/load?quiet=1', createReadStream(fixture(`${image}.tar`)));
      if (loaded.status !== 200 || loaded.text.includes('errorDetail')) throw new Error(`load ${image}: ${loaded.text}`);
    }
    daemon.mark();
    return daemon;
  }

  async up(): Promise<void> {
    const log = openSync(join(this.root, 'log'), 'a');
    const [program, ...words] = this.namespace === undefined ? this.program : ['nsenter', `--net=/run/netns/${this.namespace.name}`, ...this.program];
    this.process = spawn(program!, [...words, 'daemon', '--data-root', this.scope.dataRoot, '--state-dir', this.scope.stateDir, '--host', `unix://${this.socket}`, '--pidfile', join(this.root, 'pid'), ...this.words], { stdio: ['ignore', log, log] });
    closeSync(log);
    this.scope.daemonPid = this.process.pid as number;
    const end = Date.now() + PATIENCE * 10_000;
    while (!(await answers(this.socket))) {
      if (this.process.exitCode !== null || Date.now() > end) throw new Error(`the daemon did not come up: ${this.log()}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  log(): string {
    return readFileSync(join(this.root, 'log'), 'utf8').slice(-4000);
  }

  /** Ends the daemon's process with a signal and waits until it is gone; containers stay. */
  async down(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(signal);
    await gone;
  }

  async restart(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.down(signal);
    await this.up();
  }

  /** The real Docker CLI against this daemon. */
  docker(...args: string[]): Ran {
    return run('docker', ['-H', `unix://${this.socket}`, ...args]);
  }

  naru(...args: string[]): Ran {
    return run(NARU, ['-H', `unix://${this.socket}`, ...args]);
  }

  /** With text on stdin. */
  pipe(cli: 'docker' | 'naru', input: string | Uint8Array, ...args: string[]): Ran {
    return run(cli === 'docker' ? 'docker' : NARU, ['-H', `unix://${this.socket}`, ...args], { input });
  }

  /** Sends a signal to the client once its output holds `after`. */
  async signalled(cli: 'docker' | 'naru', words: readonly string[], { after, signal }: { after: string; signal: NodeJS.Signals }): Promise<{ code: number; out: string }> {
    const client = spawn(cli === 'docker' ? 'docker' : NARU, ['-H', `unix://${this.socket}`, ...words], { stdio: ['ignore', 'pipe', 'ignore'] });
    let out = '';
    let sent = false;
    client.stdout.on('data', (bytes: Buffer) => {
      out += bytes.toString();
      if (!sent && out.includes(after)) sent = client.kill(signal);
    });
    const late = setTimeout(() => client.kill('SIGKILL'), PATIENCE * 20_000);
    const code = await new Promise<number>((resolve) => client.once('close', (status) => resolve(status ?? 128)));
    clearTimeout(late);
    return { code, out };
  }

  /** Output of a command that must succeed. */
  ok(...args: string[]): string {
    const ran = this.docker(...args);
    if (ran.code !== 0) throw new Error(`docker ${args.join(' ')}: exit ${ran.code}: ${ran.err}${ran.out}`);
    return ran.out.trimEnd();
  }

  /** One API request with curl. */
  api(method: string, path: string, body?: unknown): { status: number; json: unknown; text: string } {
    const args = ['-s', '--max-time', '20', '--unix-socket', this.socket, '-X', method, '-w', '\n%{http_code}', `http://d${path}`];
    // By stdin: one word of a command line holds at most 128 KiB.
    if (body !== undefined) args.push('-H', 'Content-Type: application/json', '--data-binary', '@-');
    const { out } = run('curl', args, { input: body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body) });
    const cut = out.lastIndexOf('\n');
    const text = out.slice(0, cut);
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      json = undefined;
    }
    return { status: Number(out.slice(cut + 1)), json, text };
  }

  /** One API request over a connection of its own, as many at once as one likes. A stream is sent as an archive, anything else as JSON. */
  ask(method: string, path: string, body?: unknown): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const sent = request({ socketPath: this.socket, method, path: `/v1.51${path}`, agent: false, timeout: PATIENCE * 30_000, headers: body === undefined ? {} : { 'Content-Type': body instanceof Readable ? 'application/x-tar' : 'application/json' } }, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => (text += part)).on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
      });
      sent.on('timeout', () => sent.destroy(new Error(`${method} ${path} is not answered`))).on('error', reject);
      if (body instanceof Readable) body.on('error', reject).pipe(sent);
      else sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  mark(): void {
    this.#baseline = footprint(this.scope);
  }

  /** Every container with its anonymous volumes. */
  async removeAll(): Promise<void> {
    const list = await this.ask('GET', '/containers/json?all=1');
    const removed = await Promise.all((JSON.parse(list.text) as { Id: string }[]).map(({ Id }) => this.ask('DELETE', `/containers/${Id}?force=1&v=1`)));
    // One that went by itself meanwhile is as good.
    for (const { status, text } of removed) if (status !== 204 && status !== 404 && status !== 409) throw new Error(`rm -f: ${status} ${text}`);
  }

  /** All containers and the networks that somebody made; what leaked, '' for nothing. */
  async emptied(): Promise<string> {
    await this.removeAll();
    await this.ask('POST', '/networks/prune');
    return this.leaked();
  }

  /** Removes all containers, then compares with the baseline. Returns what leaked, '' for nothing. */
  async leaked(): Promise<string> {
    await this.removeAll();
    return this.#baseline === undefined ? 'no baseline' : leaks(this.scope, this.#baseline);
  }

  /** Ends everything and removes the directories, the bridge, the table and the cgroups. */
  async destroy(): Promise<void> {
    try {
      // Killed, and not started again: what is left of it is not this one's to remove
      await this.removeAll().catch(() => {});
    } finally {
      await this.down('SIGTERM');
      // What it left in a namespace of the test's own goes with that
      if (this.namespace === undefined) for (const link of [this.scope.bridge, loopOf(this.scope)]) spawnSync('ip', ['link', 'del', link]);
      if (this.namespace === undefined) for (const family of ['inet', 'bridge', 'ip', 'ip6']) spawnSync('nft', ['delete', 'table', family, this.scope.nftTable]);
      spawnSync('sh', ['-c', `for d in /sys/fs/cgroup/*${this.scope.cgroupParent} /sys/fs/cgroup${this.scope.cgroupParent}; do [ -d "$d" ] && find "$d" -depth -type d -exec rmdir {} +; done`]);
      if (existsSync(this.root)) rmSync(this.root, { recursive: true, force: true });
    }
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
