import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OciSpec } from '#spec/oci-runtime.ts';
import { RuntimeBundles } from '../../support/runtime-bundles.ts';

export interface Stat { readonly type: string; readonly mode: number; readonly uid: number; readonly gid: number; readonly major: number; readonly minor: number; readonly size: number; readonly errno?: number }

/** What probe.c says. */
export interface Seen {
  readonly args: string[]; readonly env: string[]; readonly cwd: string; readonly pid: number; readonly uid: number; readonly gid: number; readonly session: number;
  readonly groups: number[]; readonly umask: number; readonly limits: [number, number][]; readonly noNewPrivileges: number; readonly seccomp: number;
  readonly personality: number; readonly ioPriority: number; readonly policy: number; readonly nice: number; readonly priority: number; readonly schedulerFlags: number;
  readonly memoryPolicy: number; readonly cpus: number[]; readonly terminal: number; readonly rows: number; readonly columns: number;
  readonly hostname: string; readonly domainname: string; readonly machine: string; readonly status: string; readonly mounts: string; readonly cgroup: string;
  readonly oomScoreAdj: string; readonly uidMap: string; readonly gidMap: string; readonly timeOffsets: string; readonly interfaces: string; readonly setgroups: string; readonly fds: number[];
  /** `/proc/self/ns/<name>`, `read <path>`, `write <path>`, `stat <path>`, `fd <n>`. */
  readonly [key: string]: unknown;
}

/** NARU_TEST_PROBE names one that was built where there is a compiler. */
export function buildProbe(path: string): void {
  const there = process.env['NARU_TEST_PROBE'];
  if (there !== undefined) return copyFileSync(there, path);
  const built = spawnSync('cc', ['-static', '-O1', '-w', '-o', path, join(import.meta.dirname, 'probe.c')], { encoding: 'utf8' });
  assert.equal(built.status, 0, built.stderr);
}

/** A runtime that is looked at from inside its containers. */
export class Subject {
  readonly bundles: RuntimeBundles;
  readonly #probe: string;
  readonly #directory = mkdtempSync(join(tmpdir(), 'naru-probe.'));

  constructor(command?: readonly string[]) {
    this.bundles = new RuntimeBundles(command);
    this.#probe = join(this.#directory, 'probe');
    buildProbe(this.#probe);
  }

  /** Puts the probe into a bundle as its program. */
  bundle(questions: readonly string[], change?: (spec: OciSpec) => void): { id: string; path: string; rootfs: string } {
    const bundle = this.bundles.bundle(['/probe', ...questions], change);
    copyFileSync(this.#probe, join(bundle.rootfs, 'probe'));
    return bundle;
  }

  see(questions: readonly string[] = [], change?: (spec: OciSpec) => void): Seen {
    const { id, path } = this.bundle(questions, change);
    const ran = this.bundles.run(['run', '-b', path, id]);
    assert.equal(ran.status, 0, ran.err);
    return JSON.parse(ran.out) as Seen;
  }

  dispose(): void {
    this.bundles.destroy();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
