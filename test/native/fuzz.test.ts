import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { planSeeds } from './plan-seeds.ts';

const top = join(import.meta.dirname, '../..');
/** NARU_FUZZ_SECONDS: a longer run, as before a release (600). */
const SECONDS = Number(process.env['NARU_FUZZ_SECONDS'] ?? 12);
const LEAST_RUNS = 20_000;

test(`the plan decoder under libFuzzer, ASan and UBSan, from real plans, ${SECONDS} s without a finding`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'naru-fuzz.'));
  try {
    const [corpus, seeds] = ['corpus', 'seeds'].map((name) => join(directory, name)) as [string, string];
    mkdirSync(corpus);
    mkdirSync(seeds);
    planSeeds().forEach((bytes, i) => writeFileSync(join(seeds, String(i)), bytes));
    for (const [command, args] of [[process.execPath, [join(top, 'scripts/gen-ops.ts'), join(directory, 'ops.h')]], ['sh', [join(top, 'native/build.sh'), directory, 'clang', 'fuzz']]] as const) {
      const built = spawnSync(command, args, { encoding: 'utf8' });
      assert.equal(built.status, 0, built.stderr);
    }
    const ran = spawnSync(join(directory, 'fuzz-plan'), [`-max_total_time=${SECONDS}`, '-max_len=65536', '-timeout=10', '-print_final_stats=1', `-artifact_prefix=${directory}/`, corpus, seeds], { encoding: 'utf8', cwd: directory });
    assert.equal(ran.status, 0, ran.stderr.slice(-4000));
    const runs = Number(/stat::number_of_executed_units:\s+(\d+)/.exec(ran.stderr)?.[1] ?? 0);
    console.log(`fuzzer: ${runs} runs, ${/cov: (\d+)/g.exec(ran.stderr.slice(ran.stderr.lastIndexOf('cov:')))?.[1]} edges`);
    assert.ok(runs > LEAST_RUNS, `only ${runs} runs`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
