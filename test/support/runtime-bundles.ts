import { spawn, spawnSync, type ChildProcess, type StdioOptions } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { defaultSpec } from '#runtime/spec/default-spec.ts';
import type { OciSpec } from '#spec/oci-runtime.ts';

const NARU = join(import.meta.dirname, '../../dist/naru');
const APPLETS = ['sh', 'true', 'sleep', 'id', 'cat', 'ls', 'tty', 'stty', 'readlink', 'echo', 'grep', 'env', 'ps', 'touch', 'mount', 'kill', 'pwd', 'seq', 'tr'];
/** Where processors are emulated and shared, deadlines are longer. */
const PATIENCE = process.env['NARU_TEST_SLOW'] === undefined ? 1 : 5;

export interface Said { readonly status: number | null; readonly out: string; readonly err: string }
export interface Bundle { readonly id: string; readonly path: string }

/** `naru runtime` with a root, bundles and cgroups of the test's own. */
export class RuntimeBundles {
  readonly top = mkdtempSync(join(tmpdir(), 'naru-runtime-cli.'));
  readonly root = join(this.top, 'root');
  readonly parent = `/naru-cli-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
  #count = 0;

  /** A bundle with busybox that runs `args`. */
  bundle(args: readonly string[], change?: (spec: OciSpec) => void): Bundle {
    const id = `c${this.#count++}`;
    const path = join(this.top, id);
    mkdirSync(join(path, 'rootfs/bin'), { recursive: true });
    for (const name of ['proc', 'dev', 'sys', 'tmp']) mkdirSync(join(path, 'rootfs', name));
    copyFileSync('/usr/bin/busybox', join(path, 'rootfs/bin/busybox'));
    for (const name of APPLETS) symlinkSync('busybox', join(path, 'rootfs/bin', name));
    const spec = defaultSpec();
    spec.process!.args = [...args];
    spec.linux!.cgroupsPath = `${this.parent}/${id}`;
    change?.(spec);
    writeFileSync(join(path, 'config.json'), JSON.stringify(spec));
    return { id, path };
  }

  command(...args: readonly string[]): string[] {
    return [NARU, 'runtime', '--root', this.root, ...args];
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

  /** Removes every container; what is left below --root then, [] when all is well. */
  clear(): string[] {
    if (!existsSync(this.root)) return [];
    for (const id of readdirSync(this.root)) this.run(['delete', '--force', id]);
    return readdirSync(this.root);
  }

  destroy(): void {
    this.clear();
    for (const { mountPoint } of detectCgroups().hierarchies) spawnSync('rmdir', [mountPoint + this.parent]);
    rmSync(this.top, { recursive: true, force: true });
  }
}
