import { spawnSync, type SpawnSyncOptions } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { defaultSpec } from '#runtime/spec/default-spec.ts';
import type { OciSpec } from '#spec/oci-runtime.ts';

export const NARU = join(import.meta.dirname, '../../dist/naru');
const APPLETS = ['sh', 'true', 'sleep', 'id', 'cat', 'ls', 'stat', 'mount', 'grep', 'readlink', 'touch', 'mkdir', 'ln', 'rm', 'mv', 'ip', 'hostname', 'umount', 'head', 'dd', 'mknod', 'unshare', 'kill', 'ps', 'stty', 'chmod', 'wc', 'usleep', 'tr', 'env', 'tty'];

export interface Ran { readonly status: number | null; readonly out: string; readonly err: string }
export interface TestBundle { readonly id: string; readonly path: string; readonly rootfs: string; readonly config: string }

/** Bundles with busybox for `naru runtime`, with a state root and cgroups of their own; `dispose` ends and removes everything. */
export class OciBundles {
  readonly top = mkdtempSync(join(tmpdir(), 'naru-oci.'));
  readonly root = join(this.top, 'root');
  readonly parent = `/naru-oci-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
  /** The command in front of the verb. */
  readonly command: readonly string[];
  #count = 0;

  constructor(command: readonly string[] = [NARU, 'runtime']) {
    this.command = command;
  }

  /** `args`: a script for sh, or a list. */
  make(args: string | string[], change?: (spec: OciSpec) => void): TestBundle {
    const id = `c${this.#count++}`;
    const path = join(this.top, id);
    const rootfs = join(path, 'rootfs');
    mkdirSync(join(rootfs, 'bin'), { recursive: true });
    for (const name of ['proc', 'dev', 'sys', 'tmp', 'etc']) mkdirSync(join(rootfs, name));
    copyFileSync('/usr/bin/busybox', join(rootfs, 'bin/busybox'));
    for (const name of APPLETS) symlinkSync('busybox', join(rootfs, 'bin', name));
    const spec = defaultSpec();
    spec.process!.args = typeof args === 'string' ? ['sh', '-c', args] : args;
    spec.linux!.cgroupsPath = `${this.parent}/${id}`;
    change?.(spec);
    const config = join(path, 'config.json');
    writeFileSync(config, JSON.stringify(spec));
    return { id, path, rootfs, config };
  }

  /** `naru runtime …` with its output; not for commands whose container keeps the streams. */
  runtime(...args: string[]): Ran {
    return this.#spawn(args, { encoding: 'utf8' });
  }

  /** For create and run -d: the container keeps its streams, which are nothing. */
  background(...args: string[]): Ran {
    return this.#spawn(args, { encoding: 'utf8', stdio: 'ignore' });
  }

  #spawn(args: string[], options: SpawnSyncOptions): Ran {
    const ran = spawnSync(this.command[0]!, [...this.command.slice(1), '--root', this.root, ...args], { timeout: 30_000, ...options });
    return { status: ran.status, out: String(ran.stdout ?? ''), err: String(ran.stderr ?? '') };
  }

  /** One foreground container from start to end. */
  run(args: string | string[], change?: (spec: OciSpec) => void): Ran {
    const { id, path } = this.make(args, change);
    return this.runtime('run', '-b', path, id);
  }

  state(id: string): { status: string; pid: number } {
    return JSON.parse(this.runtime('state', id).out) as { status: string; pid: number };
  }

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

  dispose(): void {
    if (existsSync(this.root)) for (const id of readdirSync(this.root)) this.runtime('delete', '--force', id);
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
