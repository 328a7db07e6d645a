import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

/** An engine under measurement: a Docker-compatible socket, the command line that people use with it, and its processes. */
export interface BenchEngine {
  readonly name: string;
  readonly cli: readonly string[];
  readonly socket: string;
  /** Command names whose memory counts. */
  readonly processes: RegExp;
  /** The daemon's process, while it runs. */
  pid?(): number | undefined;
  /** Starts the daemon and waits until it answers; returns milliseconds. */
  up(): Promise<number>;
  /** Ends the daemon; containers stay. */
  down(): Promise<void>;
  /** Ends everything and removes what it left. */
  destroy(): Promise<void>;
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => socket.write('GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n'));
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
    socket.setTimeout(2000, () => {
      socket.destroy();
      resolve(false);
    });
  });
}

async function launch(command: string[], log: string, socket: string): Promise<{ child: ChildProcess; ms: number }> {
  const out = openSync(log, 'a');
  const start = performance.now();
  const child = spawn(command[0] as string, command.slice(1), { stdio: ['ignore', out, out] });
  while (!(await answers(socket))) {
    if (child.exitCode !== null || performance.now() - start > 30_000) throw new Error(`${command[0]} did not come up: ${readFileSync(log, 'utf8').slice(-2000)}`);
    await wait(2);
  }
  return { child, ms: performance.now() - start };
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await gone;
}

function removeAll([command, ...words]: readonly string[]): void {
  const ids = spawnSync(command as string, [...words, 'ps', '-aq'], { encoding: 'utf8' }).stdout.split('\n').filter((l) => l !== '');
  if (ids.length > 0) spawnSync(command as string, [...words, 'rm', '-f', ...ids]);
  spawnSync(command as string, [...words, 'network', 'prune', '-f']);
}

/** Where engines keep what a reboot ends: on a tmpfs, as /run is where they are installed. */
const volatileDirectory = (root: string): string => {
  const directory = join('/dev/shm', root.replaceAll('/', '-').slice(1));
  mkdirSync(directory, { recursive: true });
  return directory;
};

export function naruEngine(executable: string, root: string): BenchEngine {
  const state = volatileDirectory(root);
  const socket = join(root, 'naru.sock');
  let child: ChildProcess | undefined;
  const cli = [executable, '-H', `unix://${socket}`];
  mkdirSync(root, { recursive: true });
  return {
    name: 'naru', cli, socket, processes: /^naru/, pid: () => child?.pid,
    async up() {
      const started = await launch([executable, 'daemon', '--data-root', join(root, 'data'), '--state-dir', state, '--host', `unix://${socket}`], join(root, 'log'), socket);
      child = started.child;
      return started.ms;
    },
    down: () => end(child),
    async destroy() {
      removeAll(cli);
      await end(child);
      // A daemon leaves its bridge and table to its containers; here there are none left.
      const tag = createHash('sha256').update(join(root, 'data')).digest('hex').slice(0, 8);
      spawnSync('ip', ['link', 'del', `naru${tag}`]);
      for (const family of ['inet', 'bridge']) spawnSync('nft', ['delete', 'table', family, `naru_${tag}`]);
      spawnSync('sh', ['-c', `for d in /sys/fs/cgroup/*/naru-${tag} /sys/fs/cgroup/naru-${tag}; do [ -d "$d" ] && find "$d" -depth -type d -exec rmdir {} +; done`]);
      for (const directory of [state, root]) rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Debian's dockerd with containerd and runc in directories of its own; undefined where it is not installed. */
export function dockerEngine(root: string): BenchEngine | undefined {
  const dockerd = ['/usr/sbin/dockerd', '/usr/bin/dockerd'].find(existsSync);
  if (dockerd === undefined || !existsSync('/usr/bin/containerd')) return undefined;
  mkdirSync(root, { recursive: true });
  const state = volatileDirectory(root);
  const socket = join(root, 'docker.sock');
  const containerdSocket = join(root, 'containerd.sock');
  writeFileSync(join(root, 'containerd.toml'), `version = 2\nroot = "${root}/cd"\nstate = "${state}/cds"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "${containerdSocket}"\n`);
  let child: ChildProcess | undefined;
  let containerd: ChildProcess | undefined;
  const rules = spawnSync('iptables-save', { encoding: 'utf8' }).stdout ?? '';
  const cli = ['docker', '-H', `unix://${socket}`];
  return {
    name: 'docker', cli, socket, processes: /^(dockerd|containerd|containerd-shim.*|docker-proxy)$/, pid: () => child?.pid,
    async up() {
      if (containerd === undefined) {
        const out = openSync(join(root, 'containerd.log'), 'a');
        containerd = spawn('/usr/bin/containerd', ['-c', join(root, 'containerd.toml')], { stdio: ['ignore', out, out] });
        for (let i = 0; i < 500 && !existsSync(containerdSocket); i++) await wait(10);
      }
      const started = await launch([dockerd, '--containerd', containerdSocket, '-H', `unix://${socket}`, '--data-root', join(root, 'data'), '--exec-root', join(state, 'exec'), '--pidfile', join(root, 'pid'), '--exec-opt', 'native.cgroupdriver=cgroupfs', '--cgroup-parent', '/naru-bench-docker', '--live-restore', '--log-level', 'error'], join(root, 'docker.log'), socket);
      child = started.child;
      return started.ms;
    },
    down: () => end(child),
    async destroy() {
      removeAll(cli);
      await end(child);
      await end(containerd);
      spawnSync('ip', ['link', 'del', 'docker0']);
      // dockerd leaves its rules and a FORWARD policy of DROP: back to what stood here before.
      if (rules.includes('*')) spawnSync('iptables-restore', { input: rules });
      else spawnSync('sh', ['-c', 'for t in nat filter raw mangle; do nft delete table ip $t; nft delete table ip6 $t; done 2>/dev/null']);
      for (const controller of readdirSync('/sys/fs/cgroup')) spawnSync('sh', ['-c', `d=/sys/fs/cgroup/${controller}/naru-bench-docker; [ -d $d ] && find $d -depth -type d -exec rmdir {} +`]);
      for (const directory of [state, root]) {
        spawnSync('sh', ['-c', `awk '$2 ~ "^${directory}/" {print $2}' /proc/mounts | sort -r | xargs -r umount -l`]);
        rmSync(directory, { recursive: true, force: true });
      }
    },
  };
}

/** podman with runc, which has no daemon; undefined where it is not installed. */
export function podmanEngine(root: string): BenchEngine | undefined {
  if (!existsSync('/usr/bin/podman')) return undefined;
  mkdirSync(root, { recursive: true });
  // Its default limits are above those of some machines
  const configuration = join(root, 'containers.conf');
  writeFileSync(configuration, '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n');
  const cli = ['env', `CONTAINERS_CONF=${configuration}`, 'podman', '--root', join(root, 'root'), '--runroot', join(root, 'run'), '--tmpdir', join(root, 'tmp'),
    '--network-config-dir', join(root, 'networks'), '--cgroup-manager=cgroupfs', '--events-backend=file', '--runtime', '/usr/bin/runc'];
  return {
    name: 'podman', cli, socket: '', processes: /^(conmon|netavark|aardvark-dns)$/,
    up: () => Promise.resolve(0),
    down: () => Promise.resolve(),
    async destroy() {
      removeAll(cli);
      spawnSync('ip', ['link', 'del', 'podman0']);
      spawnSync('sh', ['-c', `awk '$2 ~ "^${root}/" {print $2}' /proc/mounts | sort -r | xargs -r umount -l`]);
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** Proportional set size of all processes whose command name matches, in MiB. */
export function memory(processes: RegExp, what: Share = 'Pss'): number {
  let mib = 0;
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      if (processes.test(readFileSync(`/proc/${pid}/comm`, 'utf8').trim())) mib += proportionalSize(Number(pid), what);
    } catch {
      // it ended while we looked
    }
  }
  return mib;
}

/** All of it, or what is no file's. */
type Share = 'Pss' | 'Pss_Anon';

/** Of one process, in MiB. */
export const proportionalSize = (pid: number, what: Share = 'Pss'): number =>
  Number(new RegExp(`^${what}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) / 1024;
