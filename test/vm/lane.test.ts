import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runGuest } from './run-guest.ts';

/**
 * The same test files on another kernel: Debian's 6.1 under qemu, in software, with cgroup v2 alone. Each test of the guest is
 * a test here under its own name; a file that says less than it should fails too.
 */
const FILES: readonly (readonly [path: string, atLeast: number])[] = [
  ['test/system/first-use.test.ts', 5], ['test/system/limits.test.ts', 8], ['test/system/net-kernels.test.ts', 3], ['test/runtime/create.test.ts', 3], ['test/runtime/run.test.ts', 13],
  ['test/runtime/features.test.ts', 20], ['test/runtime-cli/lifecycle.test.ts', 5], ['test/runtime-cli/checkpoint-cycle.test.ts', 1],
  ['test/runtime-cli/older-kernel.test.ts', 2], ['test/runtime-cli/systemd-user.test.ts', 2], ['test/conformance/runtime/runtime.test.ts', 7],
  ['src/runtime/cgroups/on-this-machine.test.ts', 5], ['src/runtime/cgroups/assemble-device-program.test.ts', 2],
];
const DEADLINE_SECONDS = 380;
const SHOWN = 8000;
/** Marked, so that the guest's own summary is not taken for ours. */
const tail = (text: string, length = SHOWN): string => text.slice(-length).replace(/^/gm, '| ');

interface GuestTest { readonly file: string; readonly name: string; readonly verdict: string; readonly said: string }

/** bun's lines: `path.test.ts:` before a file's tests, `(pass) name [ms]` behind what a test said. */
function readTests(output: string): GuestTest[] {
  const tests: GuestTest[] = [];
  let file = '';
  let said: string[] = [];
  for (const line of output.split(/\r?\n/)) {
    if (/^\d+ tests? (skipped|failed):$/.test(line)) break; // the summary says them again
    const header = /^(\S+\.test\.ts):$/.exec(line)?.[1];
    const result = /^\((pass|fail|skip|todo)\) (.*?)(?: \[[\d.]+m?s\])?$/.exec(line);
    if (header !== undefined) file = header;
    if (result !== null) tests.push({ file, name: result[2] as string, verdict: result[1] as string, said: said.join('\n') });
    if (header !== undefined || result !== null) said = [];
    else said.push(line);
  }
  return tests;
}

const report = await runGuest(FILES.map(([path]) => path), { deadlineSeconds: DEADLINE_SECONDS });
const tests = readTests(report.output);
console.log(`guest: ${report.kernel}, ${tests.length} tests, ${report.seconds.toFixed(0)} s with its start`);

test('the guest starts, runs the tests to their end, and powers off', () => {
  assert.match(report.output, /^guest: 6\.1\./m, `it did not come as far as the tests:\n${tail(report.console)}`);
  assert.equal(report.status, 0, `ended after ${report.seconds} s with ${report.status ?? 'nothing'}:\n${tail(report.console, SHOWN / 2)}\n${tail(report.output)}`);
  assert.doesNotMatch(report.console, /\bBUG:|\bOops\b|blocked for more than/, 'the kernel complained');
});

for (const [path, atLeast] of FILES) {
  const found = tests.filter((t) => t.file === path);
  test(`in the guest: ${path} says at least ${atLeast} results`, () => assert.ok(found.length >= atLeast, `${found.length} results`));
  for (const { name, verdict, said } of found) test(`in the guest: ${path}: ${name}`, () => assert.equal(verdict, 'pass', tail(said)));
}
