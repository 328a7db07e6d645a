import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { removeCgroup } from '#runtime/cgroups/cgroup-control.ts';
import { ensureParents } from '#runtime/cgroups/ensure-parents.ts';
import { compileTask } from '#runtime/compile/compile-task.ts';
import { detectHost } from '#runtime/driver/detect-host.ts';
import { startSpawner } from '#runtime/driver/spawner.ts';
import { encodePlan } from '#runtime/plan/encode.ts';
import { defaultSpec } from '#runtime/spec/default-spec.ts';
import type { OciSpec } from '#spec/oci-runtime.ts';
import { closeQuietly, sealedMemfd, socketpair } from '#sys/descriptors.ts';
import { NR } from '#sys/numbers.ts';
import { check, syscall } from '#sys/syscalls.ts';

type Record = (metric: string, unit: string, engine: string, value: number) => void;
export interface RuntimeBench {
  readonly executable: string;
  readonly helper: string;
  /** The program of that name, built. */
  readonly hideCgroup2: string;
  /** A busybox root file system. */
  readonly rootfs: string;
  readonly work: string;
  readonly runs: number;
  readonly record: Record;
  median(values: number[]): number;
}

const STARTED = 101, EXITED = 103;

/** The whole command: `run` of a bundle whose program is `true`, in a network namespace of its own that nobody configures. Each
 *  round runs every runtime once. State lies on a tmpfs, where a machine has /run. */
export function runtimeRun({ executable, hideCgroup2, rootfs, work, runs, record, median }: RuntimeBench): void {
  const bundle = join(work, 'bundle');
  mkdirSync(bundle);
  const root = `/dev/shm/naru-bench-${process.pid}`;
  const spec = defaultSpec();
  spec.ociVersion = '1.0.2'; // which all of them know
  spec.process!.args = ['/bin/true'];
  spec.root = { path: rootfs };
  delete spec.linux!.seccomp; // Debian's crun refuses what its libseccomp does not know
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
  const runtimes: [string, string[]][] = [['runc', ['runc']], ['crun', [hideCgroup2, 'crun']], ['naru', [executable, 'runtime']]];
  const times = new Map<string, number[]>();
  for (let i = 0; i < runs + 2; i++) {
    for (const [name, [program, ...words]] of runtimes) {
      const start = performance.now();
      const ran = spawnSync(program!, [...words, '--root', `${root}/${name}`, 'run', '--bundle', bundle, `bench-${name}`], { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
      const took = performance.now() - start;
      if (ran.status !== 0) {
        if (i === 0) console.error(`  ${name}: ${ran.error?.message ?? ran.stderr}`);
        continue;
      }
      if (i >= 2) times.set(name, [...(times.get(name) ?? []), took]);
    }
  }
  rmSync(root, { recursive: true, force: true });
  for (const [name, all] of times) record('runtime run true, no network', 'ms', name, median(all));
}

/** The helper alone, hot: from the request for a shim to the word that the program runs. The plan is a container's as Docker makes it
 *  (overlay, 14 capabilities, the default filter, hidden paths, devices) without a network. `work` and the floor's scratch lie on a
 *  tmpfs: what a disk needs for a new file is no part of it. */
export async function planExecution({ helper, rootfs, work, runs, record, median }: RuntimeBench): Promise<void> {
  const spawner = startSpawner(readFileSync(helper));
  const host = detectHost();
  const times: number[] = [];
  const parent = `/naru-bench-${process.pid}`;
  ensureParents(host.cgroups, `${parent}/x`);
  const buffer = new Uint8Array(65536);
  for (let i = 0; i < runs + 5; i++) {
    const id = `plan${i}`;
    const stateDir = join(work, id);
    for (const name of ['', 'upper', 'work']) mkdirSync(join(stateDir, name));
    const spec: OciSpec = defaultSpec();
    spec.process!.args = ['/bin/true'];
    spec.linux!.cgroupsPath = `${parent}/${id}`;
    const plan = encodePlan(compileTask({
      id, spec, stateDir, exitFile: join(stateDir, 'exit'), durable: false, network: [], init: false, io: { mode: 'null', stdin: 'none' },
      rootfs: { kind: 'overlay', lowers: [rootfs], upper: join(stateDir, 'upper'), work: join(stateDir, 'work'), volatile: true },
    }, host, { cgroupParentsReady: true }));
    const memory = sealedMemfd('plan', plan);
    const [ours, theirs] = socketpair('seqpacket');
    const start = performance.now();
    await spawner.spawn([theirs, memory]);
    let type = receive(ours, buffer);
    const took = performance.now() - start;
    closeQuietly(theirs);
    closeQuietly(memory);
    if (type !== STARTED) throw new Error(`the plan failed: message ${type}, ${new Uint32Array(buffer.slice(8, 24).buffer).join(' ')}`);
    while (type !== EXITED) type = receive(ours, buffer);
    closeQuietly(ours);
    if (i >= 5) times.push(took);
  }
  spawner.close();
  await removeCgroup(host.cgroups, parent);
  for (const metric of ['plan, spawn to exec', 'plan, beside a whole container in C']) record(metric, 'ms', 'naru', median(times));
}

/** Waits for one message; its type. */
function receive(fd: number, buffer: Uint8Array): number {
  const length = check(syscall(NR.recvfrom, fd, buffer, buffer.byteLength, 0, null, null), 'recvfrom');
  return length < 4 ? 0 : new DataView(buffer.buffer).getUint32(0, true);
}
