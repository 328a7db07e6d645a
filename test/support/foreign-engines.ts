import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NARU, run, type Ran } from './daemon.ts';

const README = join(import.meta.dirname, '../../README.md');
/** Where the README says that the runtime lies. */
const README_PATH = '/usr/local/bin/naru-runtime';
const READY_MS = 20_000;

/** A block of the README with this language and these words in it, with the runtime where this test has it. */
export function readmeBlock(language: string, words: string, runtime: string): string {
  const blocks = [...readFileSync(README, 'utf8').matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)];
  const found = blocks.find(([, name, text]) => name === language && text!.includes(words));
  if (found === undefined) throw new Error(`the README has no ${language} block with ${JSON.stringify(words)}`);
  return found[2]!.replaceAll(README_PATH, runtime);
}

/** Another engine's directories, processes and cgroups, all of the test's own, and what must be gone in the end. */
export class ForeignEngine {
  readonly root: string;
  /** A link of this name to naru's executable: the runtime. */
  readonly runtime: string;
  readonly cgroupParent: string;
  readonly #children: ChildProcess[] = [];

  constructor(name: string) {
    this.root = mkdtempSync(join(tmpdir(), `naru-${name}.`));
    this.runtime = join(this.root, 'naru-runtime');
    symlinkSync(NARU, this.runtime);
    mkdirSync(this.path('bin'));
    symlinkSync(NARU, this.path('bin/runc'));
    this.cgroupParent = `/naru-${name}-${process.pid}`;
  }

  path(name: string): string {
    return join(this.root, name);
  }

  file(name: string, text: string): string {
    writeFileSync(this.path(name), text);
    return this.path(name);
  }

  /** Starts a daemon, for which `runc` is naru, too; ready when `probe` succeeds. */
  async daemon(command: readonly string[], probe: () => boolean): Promise<void> {
    const log = openSync(this.path('log'), 'a');
    const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', log, log], env: { ...process.env, PATH: `${this.path('bin')}:${process.env['PATH']}` } });
    closeSync(log);
    this.#children.push(child);
    const end = Date.now() + READY_MS;
    while (!probe()) {
      if (child.exitCode !== null || Date.now() > end) throw new Error(`${command[0]} did not come up: ${readFileSync(this.path('log'), 'utf8').slice(-3000)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** With a terminal of its own (script(1)). */
  terminal(command: readonly string[]): Ran {
    return run('script', ['-qec', command.map((word) => `'${word.replaceAll('\'', '\'\\\'\'')}'`).join(' '), '/dev/null']);
  }

  /** Cgroups below our parent that hold or are a container's. */
  leftGroups(): string[] {
    return readdirSync('/sys/fs/cgroup').flatMap((name) => {
      const top = join('/sys/fs/cgroup', name, this.cgroupParent);
      return existsSync(top) ? readdirSync(top, { withFileTypes: true }).filter((e) => e.isDirectory()).map((e) => join(top, e.name)) : [];
    });
  }

  /** The helper's processes that belong to our containers. */
  leftShims(): string[] {
    return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith('naru-') && readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(this.cgroupParent);
      } catch {
        return false;
      }
    });
  }

  /** Ends the daemons, the last first, and removes everything. */
  async destroy(): Promise<void> {
    for (const child of this.#children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await gone;
      clearTimeout(late);
    }
    const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n').map((line) => line.split(' ')[1] ?? '').filter((path) => path.startsWith(`${this.root}/`));
    for (const path of mounts.toReversed()) spawnSync('umount', ['-l', path]);
    spawnSync('sh', ['-c', `for d in /sys/fs/cgroup/*${this.cgroupParent} /sys/fs/cgroup${this.cgroupParent}; do [ -d "$d" ] && find "$d" -depth -type d -exec rmdir {} +; done`]);
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** containerd alone; the path of its socket. */
export async function startContainerd(engine: ForeignEngine, config = ''): Promise<string> {
  const socket = engine.path('containerd.sock');
  mkdirSync(engine.path('cd'));
  const plugins = config === '' ? 'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n' : '';
  engine.file('containerd.toml', `version = 2\nroot = "${engine.path('cd')}"\nstate = "${engine.path('cds')}"\n${plugins}[grpc]\n  address = "${socket}"\n${config}`);
  await engine.daemon(['containerd', '-c', engine.path('containerd.toml')], () => existsSync(socket) && run('ctr', ['-a', socket, '--connect-timeout', '1s', 'version']).code === 0);
  return socket;
}
