import { spawn, spawnSync, type ChildProcess, type StdioOptions } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { defaultSpec } from '#runtime/spec/default-spec.ts';
import type { OciSpec } from '#spec/oci-runtime.ts';

export const NARU = join(import.meta.dirname, '../../dist/naru');
const APPLETS = [
  'sh', 'true', 'sleep', 'id', 'cat', 'ls', 'tty', 'stty', 'readlink', 'echo', 'grep', 'env', 'ps', 'touch', 'mount', 'kill', 'pwd', 'seq', 'tr', 'stat', 'mkdir', 'ln', 'rm', 'mv',
  'ip', 'hostname', 'umount', 'head', 'dd', 'mknod', 'unshare', 'chmod', 'wc', 'usleep',
];
/** Where processors are emulated and shared, deadlines are longer. */
const PATIENCE = process.env['NARU_TEST_SLOW'] === undefined ? 1 : 5;

export interface Said { readonly status: number | null; readonly out: string; readonly err: string }
export interface Bundle { readonly id: string; readonly path: string; readonly rootfs: string; readonly config: string }

/** `naru runtime` (or another command line like it) with a root, bundles and cgroups of the test's own; `destroy` ends and removes all. */
export class RuntimeBundles {
  readonly top: string;
  readonly root: string;
  readonly parent = `/naru-cli-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
  readonly #program: readonly string[];
  #count = 0;

  /** `program`: what stands in front of the global flags; `top`: a directory of the test's own. */
  constructor(program: readonly string[] = [NARU, 'runtime'], top: string = mkdtempSync(join(tmpdir(), 'naru-runtime-cli.'))) {
    this.#program = program;
    this.top = top;
    this.root = join(top, 'root');
  }

  /** A bundle with busybox that runs `args`: a list, or a script for sh. */
  bundle(args: string | readonly string[], change?: (spec: OciSpec) => void): Bundle {
    const id = `c${this.#count++}`;
    const path = join(this.top, id);
    const rootfs = join(path, 'rootfs');
    mkdirSync(join(rootfs, 'bin'), { recursive: true });
    for (const name of ['proc', 'dev', 'sys', 'tmp', 'etc']) mkdirSync(join(rootfs, name));
    copyFileSync('/usr/bin/busybox', join(rootfs, 'bin/busybox'));
    for (const name of APPLETS) symlinkSync('busybox', join(rootfs, 'bin', name));
    const spec = defaultSpec();
    spec.process!.args = typeof args === 'string' ? ['sh', '-c', args] : [...args];
    spec.linux!.cgroupsPath = `${this.parent}/${id}`;
    change?.(spec);
    const config = join(path, 'config.json');
    writeFileSync(config, JSON.stringify(spec));
    return { id, path, rootfs, config };
  }

  command(...args: readonly string[]): string[] {
    return [...this.#program, '--root', this.root, ...args];
  }

  /** To its end. `stdio` of what starts a container that stays: its streams would be waited for. */
  run(args: readonly string[], options: { readonly input?: string; readonly stdio?: StdioOptions; readonly env?: Record<string, string> } = {}): Said {
    const [program, ...words] = this.command(...args) as [string, ...string[]];
    const ran = spawnSync(program, words, {
      encoding: 'utf8', timeout: PATIENCE * 20_000, ...(options.stdio !== undefined ? { stdio: options.stdio } : { input: options.input ?? '' }),
      env: { ...process.env, ...options.env },
    });
    return { status: ran.status, out: ran.stdout ?? '', err: ran.stderr ?? '' };
  }

  /** What must succeed; its output. */
  ok(...args: readonly string[]): string {
    const said = this.run(args);
    if (said.status !== 0) throw new Error(`naru runtime ${args.join(' ')}: ${said.status}: ${said.err}`);
    return said.out;
  }

  /** For commands whose container keeps the streams that it was given. */
  background(...args: readonly string[]): number | null {
    return this.run(args, { stdio: 'ignore' }).status;
  }

  start(args: readonly string[], stdio: StdioOptions): ChildProcess {
    const [program, ...words] = this.command(...args) as [string, ...string[]];
    return spawn(program, words, { stdio });
  }

  state(id: string): { status: string; pid: number; [key: string]: unknown } {
    return JSON.parse(this.ok('state', id)) as { status: string; pid: number };
  }

  /** Groups of a container that are there. */
  groups(id: string): string[] {
    return detectCgroups().hierarchies.map((h) => `${h.mountPoint}${this.parent}/${id}`).filter((path) => existsSync(path));
  }

  /** Everything of ours that is left on the machine: state, groups, mounts, processes. */
  left(): string[] {
    const found = existsSync(this.root) ? readdirSync(this.root).map((name) => `state ${name}`) : [];
    for (const { mountPoint } of detectCgroups().hierarchies) {
      const directory = mountPoint + this.parent;
      if (existsSync(directory)) found.push(...readdirSync(directory, { withFileTypes: true }).filter((e) => e.isDirectory()).map((e) => `group ${directory}/${e.name}`));
    }
    found.push(...readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => line.includes(this.top)).map((line) => `mount ${line}`));
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        if (readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(this.parent) && !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) found.push(`process ${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`);
      } catch {
        // it ended
      }
    }
    return found;
  }

  /** Removes every container; what is left below --root then, [] when all is well. */
  clear(): string[] {
    if (!existsSync(this.root)) return [];
    for (const id of readdirSync(this.root)) this.run(['delete', '--force', id]);
    return readdirSync(this.root);
  }

  destroy(): void {
    this.clear();
    for (const { mountPoint } of detectCgroups().hierarchies) {
      try {
        rmdirSync(mountPoint + this.parent);
      } catch {
        // never made
      }
    }
    rmSync(this.top, { recursive: true, force: true });
  }
}

/** Waits until `met`; false after the deadline. */
export async function until(met: () => boolean, deadlineMs = 10_000): Promise<boolean> {
  for (const end = Date.now() + deadlineMs; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 10))) if (met()) return true;
  return met();
}
