/** The real helper, driven through its protocol: what the tests in this folder share. They need root. */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, closeSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodePlan } from '#runtime/plan/encode.ts';
import type { OpName } from '#runtime/plan/ops.ts';
import type { OpArgs, PlanOp } from '#runtime/plan/plan.ts';
import { connectSeqpacket, sealedMemfd, sendWithDescriptors, socketpair } from '#sys/descriptors.ts';
import { adoptSocket, type FdSocket } from '#sys/fd-socket.ts';
import { ptr } from 'bun:ffi';
import {
  CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS, MS_PRIVATE, MS_REC, NR, O_DIRECTORY,
  O_PATH,
} from '#sys/numbers.ts';
import { check, syscall } from '#sys/syscalls.ts';

const top = join(import.meta.dirname, '..', '..');

export const MSG = {
  SPAWN: 1, ATTACH: 2, RESIZE: 3, SIGNAL: 4, START: 5, CLOSE_STDIN: 6, SUBSCRIBE: 7,
  STARTED: 101, FAILED: 102, EXITED: 103, ATTACH_END: 104, OOM: 105, TRACE: 106, CREATED: 107, ATTACHED: 108,
} as const;
export const ATTACH = { STDIN: 1, STDOUT: 2, STDERR: 4, FRAMED: 8, CLOSE_STDIN: 16 } as const;
export const SIGKILL = 9, SIGTERM = 15;
export const ENOENT = 2, EINVAL = 22;
/** The section of a FAILED for a plan that was refused. */
export const NO_SECTION = 0xffffffff;

let built: string | undefined;
/** The helper, compiled once for each run of the tests. */
export function helper(): string {
  if (built !== undefined) return built;
  const out = mkdtempSync(join(tmpdir(), 'naru-native-'));
  process.on('exit', () => rmSync(out, { recursive: true, force: true }));
  for (const command of [[process.execPath, 'scripts/gen-ops.ts', join(out, 'ops.h')], ['sh', 'native/build.sh', out]]) {
    const { status, stderr } = spawnSync(command[0]!, command.slice(1), { cwd: top, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  }
  return (built = join(out, 'naru-helper'));
}

export function op<N extends OpName>(section: PlanOp['section'], name: N, args: OpArgs<N>, more: Partial<PlanOp> = {}): PlanOp {
  return { name, section, args, why: 'test', ...more } as unknown as PlanOp;
}
export const prepare = <N extends OpName>(name: N, args: OpArgs<N>, more?: Partial<PlanOp>): PlanOp => op('prepare', name, args, more);
export const parent = <N extends OpName>(name: N, args: OpArgs<N>, more?: Partial<PlanOp>): PlanOp => op('parent', name, args, more);
export const child = <N extends OpName>(name: N, args: OpArgs<N>, more?: Partial<PlanOp>): PlanOp => op('child', name, args, more);
export const cleanup = <N extends OpName>(name: N, args: OpArgs<N>, more?: Partial<PlanOp>): PlanOp => op('cleanup', name, args, more);

export const clone = (flags = 0): PlanOp => prepare('clone', { flags, cgroup: -1 });
export const exec = (argv: string[], env: string[] = ['PATH=/bin', 'HOME=/']): PlanOp =>
  child('exec', { candidates: [argv[0]!], argv, env });
/** A script run by the host's busybox. */
export const sh = (script: string): PlanOp =>
  child('exec', { candidates: ['/bin/busybox'], argv: ['sh', '-c', script], env: ['PATH=/bin'] });

/** A directory for one test. */
export class Scratch {
  readonly dir = mkdtempSync(join(tmpdir(), 'naru-t-'));
  path(...parts: string[]): string {
    return join(this.dir, ...parts);
  }
  read(name: string): Buffer {
    return readFileSync(this.path(name));
  }
  /** A root file system of the host's static busybox: its path. */
  busyboxRoot(name = 'root'): string {
    const root = this.path(name);
    for (const dir of ['bin', 'dev', 'proc', 'sys', 'tmp', 'etc']) mkdirSync(join(root, dir), { recursive: true });
    copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
    chmodSync(join(root, 'bin/busybox'), 0o755);
    for (const applet of ['sh', 'true', 'cat', 'echo', 'sleep', 'stty', 'id', 'kill', 'ls', 'ps', 'mount', 'yes', 'head']) {
      symlinkSync('busybox', join(root, 'bin', applet));
    }
    return root;
  }
  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

export const SLOT = { ROOT: 16, PROC: 17, DEV: 18, PTS: 19, SLAVE: 20, NULL: 21, MOUNT: 22 } as const;

/** An overlay on a busybox root, entered by pivot_root in fresh namespaces: everything up to the exec. */
export function container(scratch: Scratch, more: { before?: PlanOp[]; inside?: PlanOp[]; flags?: number; root?: string } = {}): PlanOp[] {
  const root = more.root ?? scratch.busyboxRoot();
  for (const dir of ['up', 'work', 'mnt']) mkdirSync(scratch.path(dir), { recursive: true });
  return [
    ...(more.before ?? []),
    prepare('fs_mount', {
      slot: SLOT.ROOT, type: 'overlay', attr: 0,
      options: ['source=overlay', `lowerdir=${root}`, `upperdir=${scratch.path('up')}`, `workdir=${scratch.path('work')}`],
    }),
    clone(more.flags ?? CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP),
    child('mount', { source: '', target: '/', type: '', flags: MS_REC | MS_PRIVATE, data: '' }),
    child('open', { slot: SLOT.MOUNT, at: -1, path: scratch.path('mnt'), flags: O_PATH | O_DIRECTORY, mode: 0, resolve: 0 }),
    child('attach', { slot: SLOT.ROOT, root: SLOT.MOUNT, path: '.' }),
    child('fs_mount', { slot: SLOT.PROC, type: 'proc', options: [], attr: 14 }),
    child('target', { root: SLOT.ROOT, path: 'proc', kind: 0, like: -1, mode: 0o755 }),
    child('attach', { slot: SLOT.PROC, root: SLOT.ROOT, path: 'proc' }),
    child('fs_mount', { slot: SLOT.DEV, type: 'tmpfs', options: ['mode=755', 'size=65536k'], attr: 2 }),
    child('attach', { slot: SLOT.DEV, root: SLOT.ROOT, path: 'dev' }),
    child('mknod', { root: SLOT.ROOT, path: 'dev/null', mode: 0o20666, dev: 0x103, uid: 0, gid: 0 }),
    ...(more.inside ?? []),
    child('pivot', { root: SLOT.ROOT, old: -1 }),
    child('sethostname', { name: 'box' }),
  ];
}

/** A devpts of the container's own. For `inside`. */
export const withDevpts: readonly PlanOp[] = [
  child('fs_mount', { slot: SLOT.PTS, type: 'devpts', options: ['newinstance', 'ptmxmode=0666', 'mode=0620'], attr: 10 }),
  child('target', { root: SLOT.ROOT, path: 'dev/pts', kind: 0, like: -1, mode: 0o755 }),
  child('attach', { slot: SLOT.PTS, root: SLOT.ROOT, path: 'dev/pts' }),
  child('symlink', { root: SLOT.ROOT, path: 'dev/ptmx', to: 'pts/ptmx' }),
];

export interface Message {
  readonly type: number;
  readonly seq: number;
  readonly body: DataView;
}

/** One SEQPACKET connection to a shim. */
export class Connection {
  readonly #socket: FdSocket;
  readonly #queue: Message[];
  readonly #state: { closed: boolean; wake: () => void };
  #seq = 1;

  private constructor(socket: FdSocket, queue: Message[], state: { closed: boolean; wake: () => void }) {
    this.#socket = socket;
    this.#queue = queue;
    this.#state = state;
  }

  static async of(fd: number): Promise<Connection> {
    const queue: Message[] = [];
    const state = { closed: false, wake: (): void => {} };
    const socket = await adoptSocket(fd, {
      data(bytes) {
        const view = new DataView(Uint8Array.from(bytes).buffer);
        queue.push({ type: view.getUint32(0, true), seq: view.getUint32(4, true), body: new DataView(view.buffer, 8) });
        state.wake();
      },
      close() {
        state.closed = true;
        state.wake();
      },
    });
    return new Connection(socket, queue, state);
  }

  send(type: number, words: readonly number[] = [], more: { descriptors?: readonly number[]; bytes?: Uint8Array } = {}): number {
    const seq = this.#seq++;
    sendTo(this.#socket.fd, { type, seq, words, ...more });
    return seq;
  }

  /** The next message of this type; others before it are kept. */
  async expect(type: number, ms = 5000): Promise<Message> {
    return this.expectAny([type], ms);
  }

  async expectAny(types: readonly number[], ms = 5000): Promise<Message> {
    const deadline = Date.now() + ms;
    for (;;) {
      const at = this.#queue.findIndex((m) => types.includes(m.type));
      if (at >= 0) return this.#queue.splice(at, 1)[0]!;
      const failed = this.#queue.find((m) => m.type === MSG.FAILED);
      if (failed !== undefined) assert.fail(`the shim FAILED: ${JSON.stringify(failure(failed))}`);
      const left = deadline - Date.now();
      if (this.#state.closed || left <= 0) {
        assert.fail(`no message ${types}${this.#state.closed ? ': the shim closed' : ''}; there are ${this.#queue.map((m) => m.type).join(' ')}`);
      }
      await this.#change(left);
    }
  }

  async closed(ms = 5000): Promise<void> {
    const deadline = Date.now() + ms;
    while (!this.#state.closed) {
      if (Date.now() > deadline) assert.fail('the shim did not end');
      await this.#change(50);
    }
  }

  seen(type: number): boolean {
    return this.#queue.some((m) => m.type === type);
  }

  close(): void {
    this.#state.closed = true;
    this.#socket.close();
  }

  /** SIGKILL, unless the shim has ended. */
  kill(): void {
    if (!this.#state.closed) sendWithDescriptors(this.#socket.fd, new Uint8Array(Uint32Array.of(MSG.SIGNAL, 0, SIGKILL).buffer), []);
  }

  #change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#state.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Attach a new client. */
  async attach(flags: number, keys: readonly number[] = []): Promise<Client> {
    const [mine, theirs] = socketpair('stream');
    const seq = this.send(MSG.ATTACH, [flags, keys.length], { descriptors: [theirs], bytes: Uint8Array.from(keys) });
    closeSync(theirs);
    return Client.of(mine, seq);
  }
}

/** The far end of an attached stream. */
export class Client {
  readonly seq: number;
  readonly #chunks: Uint8Array[] = [];
  #socket!: FdSocket;
  #ended = false;
  #wake = (): void => {};

  private constructor(seq: number) {
    this.seq = seq;
  }

  static async of(fd: number, seq: number): Promise<Client> {
    const client = new Client(seq);
    const end = (): void => {
      client.#ended = true;
      client.#wake();
    };
    client.#socket = await adoptSocket(fd, {
      data(bytes) {
        client.#chunks.push(Uint8Array.from(bytes));
        client.#wake();
      },
      end,
      close: end,
    });
    return client;
  }

  write(text: string | Uint8Array): number {
    return this.#socket.write(typeof text === 'string' ? new TextEncoder().encode(text) : text);
  }
  shutdown(): void {
    this.#socket.shutdown();
  }
  close(): void {
    this.#socket.close();
  }
  pause(): void {
    this.#socket.pause();
  }
  resume(): void {
    this.#socket.resume();
  }
  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }
  get text(): string {
    return this.bytes.toString();
  }
  /** Wait until the text contains `part`. */
  async until(part: string, ms = 5000): Promise<string> {
    const deadline = Date.now() + ms;
    while (!this.text.includes(part)) {
      if (this.#ended || Date.now() > deadline) assert.fail(`no ${JSON.stringify(part)} in ${JSON.stringify(this.text)}`);
      await this.#change();
    }
    return this.text;
  }
  /** Wait for the end of the stream: all its bytes. */
  async all(ms = 40_000): Promise<Buffer> {
    const deadline = Date.now() + ms;
    while (!this.#ended) {
      if (Date.now() > deadline) assert.fail(`the stream does not end after ${this.bytes.byteLength} bytes`);
      await this.#change();
    }
    return this.bytes;
  }
  #change(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 100);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

interface Outgoing {
  readonly type: number;
  readonly seq: number;
  readonly words?: readonly number[];
  readonly descriptors?: readonly number[];
  readonly bytes?: Uint8Array;
}

function sendTo(fd: number, message: Outgoing): void {
  const words = Uint32Array.from([message.type, message.seq, ...(message.words ?? [])]);
  const extra = message.bytes ?? new Uint8Array(0);
  const bytes = new Uint8Array(words.byteLength + extra.byteLength);
  bytes.set(new Uint8Array(words.buffer));
  bytes.set(extra, words.byteLength);
  const result = sendWithDescriptors(fd, bytes, message.descriptors ?? []);
  assert.equal(result, bytes.byteLength, 'sendmsg');
}

/** A running fork server. */
export class Spawner {
  readonly process: ChildProcess;
  readonly #fd: number;
  readonly #connections: Connection[] = [];
  #seq = 1;
  #ended = false;

  constructor(mode = 'spawner') {
    const [mine, theirs] = socketpair('seqpacket');
    this.#fd = mine;
    this.process = spawn(helper(), [mode], { stdio: ['ignore', 'ignore', 'inherit', theirs] });
    closeSync(theirs);
  }

  /** Start a shim for the plan. prelude: messages already in the connection when the shim begins. */
  async spawn(ops: readonly PlanOp[] | Uint8Array, options: SpawnOptions = {}): Promise<Connection> {
    const connection = await spawnOver(this.#fd, this.#seq++, ops, options);
    this.#connections.push(connection);
    return connection;
  }

  /** As when the daemon dies: the fork server ends. */
  end(): void {
    if (!this.#ended) closeSync(this.#fd);
    this.#ended = true;
  }

  [Symbol.dispose](): void {
    // What a failed test left behind would live on for ever: that is what shims are for.
    for (const connection of this.#connections) connection.kill();
    this.end();
  }
}

export interface SpawnOptions {
  readonly slots?: readonly number[];
  readonly trace?: boolean;
  /** Called with our end of the connection before the shim has the other. */
  readonly before?: (connection: Connection) => Promise<void>;
}

async function spawnOver(fd: number, seq: number, ops: readonly PlanOp[] | Uint8Array, options: SpawnOptions): Promise<Connection> {
  const bytes = ops instanceof Uint8Array ? ops : encodePlan({ ops }, { trace: options.trace === true });
  const [mine, theirs] = socketpair('seqpacket');
  const connection = await Connection.of(mine);
  await options.before?.(connection);
  const plan = sealedMemfd('plan', bytes);
  sendTo(fd, { type: MSG.SPAWN, seq, descriptors: [theirs, plan, ...(options.slots ?? [])] });
  closeSync(theirs);
  closeSync(plan);
  return connection;
}

/** Exec through a shim's own socket. */
export async function spawnThrough(path: string, ops: readonly PlanOp[], options: SpawnOptions = {}): Promise<Connection> {
  const fd = connectSeqpacket(path);
  const connection = await spawnOver(fd, 7, ops, options);
  closeSync(fd);
  return connection;
}

export const connectTo = async (path: string): Promise<Connection> => Connection.of(connectSeqpacket(path));

export const pidOf = (started: Message): number => started.body.getInt32(0, true);

export function failure(message: Message): { section: number; index: number; errno: number; extra: number } {
  const { body } = message;
  return {
    section: body.getUint32(0, true), index: body.getUint32(4, true), errno: body.getInt32(8, true), extra: body.getUint32(12, true),
  };
}

export function exit(message: Message): { code: number; signal: number; ooms: number } {
  const { body } = message;
  return { code: body.getInt32(0, true), signal: body.getInt32(4, true), ooms: body.getUint32(8, true) };
}

export interface LogRecord {
  readonly stream: number;
  readonly time: bigint;
  readonly payload: Buffer;
}

/** The records of a log file, each of them checked from both ends. */
export function logRecords(bytes: Buffer): LogRecord[] {
  const records: LogRecord[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = bytes.readUInt32LE(at);
    const whole = 16 + size + 4;
    assert.equal(bytes.readUInt32LE(at + whole - 4), whole);
    records.push({ stream: bytes.readUInt8(at + 4), time: bytes.readBigUInt64LE(at + 8), payload: bytes.subarray(at + 16, at + 16 + size) });
    at += whole;
  }
  return records;
}

export const logText = (bytes: Buffer, stream = 1): string =>
  Buffer.concat(logRecords(bytes).filter((r) => r.stream === stream).map((r) => r.payload)).toString();

/** Split Docker's multiplexed stream. */
export function frames(bytes: Buffer): { stream: number; payload: string }[] {
  const out: { stream: number; payload: string }[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = bytes.readUInt32BE(at + 4);
    out.push({ stream: bytes[at]!, payload: bytes.subarray(at + 8, at + 8 + size).toString() });
    at += 8 + size;
  }
  return out;
}

/** recvmsg(2): the bytes and the descriptors that came with them (at most four). Waits. */
export function receive(fd: number): { text: string; descriptors: number[] } {
  const bytes = new Uint8Array(256), control = new Uint8Array(64);
  const iov = new BigUint64Array([BigInt(ptr(bytes)), BigInt(bytes.byteLength)]);
  const header = new BigUint64Array([0n, 0n, BigInt(ptr(iov)), 1n, BigInt(ptr(control)), BigInt(control.byteLength), 0n]);
  const n = check(syscall(NR.recvmsg, fd, header, 0), 'recvmsg');
  const view = new DataView(control.buffer);
  const count = header[5]! >= 20n ? (Number(view.getBigUint64(0, true)) - 16) / 4 : 0;
  const descriptors = Array.from({ length: count }, (_, i) => view.getInt32(16 + 4 * i, true));
  return { text: new TextDecoder().decode(bytes.subarray(0, n + 0 * iov.byteLength)), descriptors };
}

/** Listen on a unix socket; the function waits for one connection and gives its descriptor. */
export function listenUnix(path: string, type: 'stream' | 'seqpacket' = 'stream'): () => number {
  const name = new TextEncoder().encode(`${path}\0`);
  const address = new Uint8Array(2 + name.byteLength);
  address[0] = 1;
  address.set(name, 2);
  const fd = check(syscall(NR.socket, 1, type === 'stream' ? 1 : 5, 0), 'socket');
  check(syscall(NR.bind, fd, address, address.byteLength), 'bind');
  check(syscall(NR.listen, fd, 1), 'listen');
  return () => {
    const accepted = check(syscall(process.arch === 'x64' ? 288 : 242, fd, null, null, 0), 'accept4');
    closeSync(fd);
    return accepted;
  };
}
