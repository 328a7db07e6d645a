import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExitStatus, Task, TaskRequest } from '#core/tasks/port.ts';
import { createDriver, type DriverOptions, type NaruTaskDriver } from '#runtime/driver/create-driver.ts';
import { defaultSpec } from '#runtime/spec/default-spec.ts';
import { socketpair } from '#sys/descriptors.ts';

const top = join(import.meta.dirname, '../..');
const APPLETS = ['sh', 'true', 'false', 'ls', 'cat', 'mount', 'id', 'ps', 'hostname', 'sleep', 'stat', 'env', 'readlink', 'grep', 'touch', 'tty', 'stty', 'kill', 'echo', 'mkdir', 'rm', 'wc', 'ulimit', 'pwd', 'cp', 'dd'];

let helper: Uint8Array | undefined;
/** The helper, built from this tree; NARU_TEST_HELPER names one that was built where there is a compiler. */
export function helperBytes(): Uint8Array {
  const built = process.env['NARU_TEST_HELPER'];
  if (built !== undefined) helper ??= readFileSync(built);
  if (helper !== undefined) return helper;
  const out = mkdtempSync(join(tmpdir(), 'naru-helper.'));
  for (const [command, args] of [[process.execPath, [join(top, 'scripts/gen-ops.ts'), join(out, 'ops.h')]], ['sh', [join(top, 'native/build.sh'), out]]] as const) {
    const ran = spawnSync(command, args, { encoding: 'utf8' });
    if (ran.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${ran.stderr}`);
  }
  helper = readFileSync(join(out, 'naru-helper'));
  rmSync(out, { recursive: true, force: true });
  return helper;
}

export interface Finished { readonly out: string; readonly status: ExitStatus }
export type Change = (request: Writable<TaskRequest>) => void;
type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** A driver with directories and cgroups of its own, and a busybox image; everything goes at the end of the scope. */
export class Bench {
  readonly root = mkdtempSync(join(tmpdir(), 'naru-runtime.'));
  readonly parent = `/naru-test-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
  readonly lower: string;
  driver!: NaruTaskDriver;
  #count = 0;

  static async open(options: Partial<DriverOptions> = {}): Promise<Bench> {
    const bench = new Bench();
    bench.driver = await createDriver({ helper: helperBytes(), ...options });
    return bench;
  }

  constructor() {
    this.lower = join(this.root, 'image');
    mkdirSync(join(this.lower, 'bin'), { recursive: true });
    copyFileSync('/usr/bin/busybox', join(this.lower, 'bin/busybox'));
    for (const name of APPLETS) symlinkSync('busybox', join(this.lower, 'bin', name));
    for (const name of ['proc', 'dev', 'sys', 'etc', 'root', 'tmp', 'var']) mkdirSync(join(this.lower, name));
    chmodSync(join(this.lower, 'tmp'), 0o1777);
    chmodSync(this.root, 0o755);
    writeFileSync(join(this.lower, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n');
  }

  /** A request for `sh -c script` (or an argument list), Docker's defaults. */
  request(program: string | string[], change?: Change): Writable<TaskRequest> {
    const id = `t${process.pid}x${this.#count++}`;
    const directory = join(this.root, id);
    for (const name of ['state', 'upper', 'work']) mkdirSync(join(directory, name), { recursive: true });
    const spec = defaultSpec();
    spec.process!.args = typeof program === 'string' ? ['sh', '-c', program] : program;
    spec.hostname = 'box';
    spec.linux!.cgroupsPath = `${this.parent}/${id}`;
    const request: Writable<TaskRequest> = {
      id, spec, rootfs: { kind: 'overlay', lowers: [this.lower], upper: join(directory, 'upper'), work: join(directory, 'work'), volatile: true },
      stateDir: join(directory, 'state'), exitFile: join(directory, 'exit'), durable: false, io: { mode: 'pipes', stdin: 'none' }, network: [], init: false,
    };
    change?.(request);
    return request;
  }

  /** Start, with both outputs on one socket; `read` gives all output until the end. */
  async start(request: TaskRequest): Promise<{ task: Task; read(): string }> {
    const [ours, theirs] = socketpair('stream');
    const prepared = this.driver.prepare(request);
    try {
      await prepared.attach({ fd: theirs, stdin: false, stdout: true, stderr: true, framed: false, closeStdin: false, detachKeys: new Uint8Array() });
      const task = await this.driver.start(request, prepared);
      return { task, read: () => readAll(ours) };
    } catch (error) {
      closeSync(ours);
      throw error;
    }
  }

  async run(program: string | string[], change?: Change): Promise<Finished> {
    const request = this.request(program, change);
    const { task, read } = await this.start(request);
    const status = await task.exited;
    const out = read();
    await this.cleanUp(request);
    return { out, status };
  }

  cleanUp(request: TaskRequest): Promise<void> {
    return this.driver.cleanUp({ id: request.id, stateDir: request.stateDir, cgroupPath: request.spec.linux!.cgroupsPath! });
  }

  /** Groups of ours that are still there. */
  leftCgroups(): string[] {
    return this.driver.facts.cgroups.hierarchies.flatMap(({ mountPoint }) => {
      const directory = join(mountPoint, this.parent);
      return existsSync(directory) ? readdirSync(directory, { withFileTypes: true }).filter((e) => e.isDirectory()).map((e) => join(directory, e.name)) : [];
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.driver.close();
    for (const { mountPoint } of this.driver.facts.cgroups.hierarchies) {
      try {
        rmSync(join(mountPoint, this.parent), { recursive: false, force: true });
      } catch {
        spawnSync('rmdir', [join(mountPoint, this.parent)]);
      }
    }
    rmSync(this.root, { recursive: true, force: true });
  }
}

export function readAll(fd: number): string {
  const parts: Buffer[] = [];
  const buffer = Buffer.alloc(65536);
  for (let n = 1; n > 0;) {
    n = readSync(fd, buffer);
    parts.push(Buffer.from(buffer.subarray(0, n)));
  }
  closeSync(fd);
  return Buffer.concat(parts).toString();
}

/** The rejection of a promise; fails when there is none. */
export async function failure(work: Promise<unknown>): Promise<{ message: string; kind?: string; exitCode?: number; hint?: string }> {
  try {
    await work;
  } catch (error) {
    return error as { message: string };
  }
  throw new Error('it did not fail');
}
