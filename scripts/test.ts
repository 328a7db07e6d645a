/**
 * Runs the test phases in two lanes side by side (a lane's phases one after the other) and adds them up. Ends with `N passed, N failed` alone on a line. A skipped or
 * missing test counts as a failure: CI promises all of them.
 *   scripts/test.ts [phase or path ...]
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const top = join(import.meta.dirname, '..');
const bun = process.execPath;

/** `minimum` is the number of tests that must at least pass: a phase that reads nothing fails. */
interface Phase { name: string; paths: string[]; timeoutSeconds: number; minimum: number }

/** Files of test/system that belong to the other lane: they mostly wait for other people's programs. */
const PEERS = ['clients', 'registry-clients'].map((name) => `test/system/${name}.test.ts`);
const systemFiles = (): string[] => readdirSync(join(top, 'test/system')).filter((name) => name.endsWith('.test.ts')).map((name) => `test/system/${name}`).filter((path) => !PEERS.includes(path));

/** One lane for each of the two processors that CI promises. What waits (the virtual machine) is beside what works. */
const LANES: Phase[][] = [[
  { name: 'unit', paths: ['src', 'test/layers.test.ts'], timeoutSeconds: 240, minimum: 300 },
  { name: 'native', paths: ['test/native'], timeoutSeconds: 180, minimum: 50 },
  { name: 'runtime', paths: ['test/runtime'], timeoutSeconds: 180, minimum: 20 },
  { name: 'runtime-cli', paths: ['test/runtime-cli'], timeoutSeconds: 300, minimum: 40 },
  { name: 'conformance', paths: ['test/conformance'], timeoutSeconds: 180, minimum: 30 },
  { name: 'parity', paths: ['test/parity'], timeoutSeconds: 400, minimum: 250 },
  { name: 'peers', paths: PEERS, timeoutSeconds: 300, minimum: 20 },
  { name: 'registry', paths: ['test/registry'], timeoutSeconds: 300, minimum: 60 },
  { name: 'advisories', paths: ['test/advisories'], timeoutSeconds: 420, minimum: 100 },
  { name: 'vm', paths: ['test/vm'], timeoutSeconds: 440, minimum: 60 },
], [
  { name: 'system', paths: systemFiles(), timeoutSeconds: 880, minimum: 400 },
]];
const PHASES = LANES.flat();

/**
 * The lanes share two processors, so a test whose peers (dockerd, podman, qemu) wait for a moment only may miss it. The files of such failures, if they are few, run
 * once more with nothing beside them: what fails again has failed, what passes then is named in the report.
 */
const FILES_TO_REPEAT = 3;
const LAST_REPEAT_STARTS_AFTER_SECONDS = 800;

let passed = 0;
let failed = 0;
const report: string[] = [];
const failures: { file: string; tests: string[] }[] = [];

function count(output: string, word: string): number {
  let total = 0;
  for (const match of output.matchAll(new RegExp(`^\\s*(\\d+) ${word}\\s*$`, 'gm'))) total += Number(match[1]);
  return total;
}

function hasTests(path: string): boolean {
  const full = join(top, path);
  if (!existsSync(full)) return false;
  return path.endsWith('.ts') || readdirSync(full, { recursive: true, encoding: 'utf8' }).some((f) => f.endsWith('.test.ts'));
}

function typecheck(): void {
  const result = spawnSync('npm', ['run', '-s', 'typecheck'], { cwd: top, encoding: 'utf8' });
  const ok = result.status === 0;
  if (ok) passed++;
  else {
    failed++;
    console.log(result.stdout, result.stderr);
  }
  report.push(`typecheck: ${ok ? 'passed' : 'FAILED'}`);
}

function runTests(phase: Phase, paths: readonly string[]): Promise<{ status: number | null; output: string; late: boolean }> {
  return new Promise((resolve) => {
    const child = spawn(bun, ['test', '--timeout', '120000', ...paths.map((p) => (p.startsWith('/') ? p : `./${p}`))], {
      cwd: top, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NARU_TEST: '1' },
    });
    let output = '';
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, phase.timeoutSeconds * 1000);
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text; });
    // A daemon that a test left may hold the pipes: the end of the process counts, and a moment for what it wrote last.
    child.once('exit', (status) => {
      clearTimeout(timer);
      setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
        resolve({ status, output, late });
      }, 200);
    });
  });
}

/** The files in a phase's output that have failed tests, with those tests' names. */
function failuresIn(output: string): { file: string; tests: string[] }[] {
  const byFile = new Map<string, string[]>();
  let file = '';
  for (const line of output.split('\n')) {
    if (/^\d+ tests? (failed|skipped)/.test(line)) break;
    const header = /^(\S+\.test\.ts):$/.exec(line);
    if (header !== null) file = header[1] ?? '';
    const failure = /^\(fail\) (.*?)( \[[\d.]+ms\])?$/.exec(line);
    if (failure !== null) byFile.set(file, [...(byFile.get(file) ?? []), failure[1] ?? '']);
  }
  return [...byFile].map(([name, tests]) => ({ file: name, tests }));
}

async function repeatAlone(started: number): Promise<void> {
  if (failures.length > FILES_TO_REPEAT || failures.some(({ file }) => !file.startsWith('test/'))) return;
  for (const { file, tests } of failures) {
    if (Date.now() - started > LAST_REPEAT_STARTS_AFTER_SECONDS * 1000) return;
    const { status, output, late } = await runTests({ name: file, paths: [file], timeoutSeconds: 150, minimum: 1 }, [file]);
    if (status !== 0 || late || count(output, 'pass') < tests.length) {
      console.log(output);
      report.push(`${file}: failed again with nothing beside it`);
      continue;
    }
    failed -= tests.length;
    passed += tests.length;
    report.push(`${file}: passed with nothing beside it; beside the other lane failed: ${tests.join('; ')}`);
  }
}

async function run(phase: Phase): Promise<void> {
  const paths = phase.paths.filter(hasTests);
  if (paths.length === 0) {
    if (phase.minimum > 0) failed++;
    report.push(`${phase.name}: no tests${phase.minimum > 0 ? ' (FAILED: some were promised)' : ''}`);
    return;
  }
  const started = Date.now();
  const { status, output, late } = await runTests(phase, paths);
  const ok = count(output, 'pass');
  let bad = count(output, 'fail');
  const skipped = count(output, 'skip') + count(output, 'todo');
  if (skipped > 0) bad += skipped;
  if (late || (status !== 0 && bad === 0)) bad++;
  if (ok < phase.minimum) bad++;
  passed += ok;
  failed += bad;
  const byFile = failuresIn(output);
  // What is not a test's failure (a phase out of time, skipped or missing tests) belongs to no file and stays a failure.
  if (byFile.reduce((sum, { tests }) => sum + tests.length, 0) === bad) failures.push(...byFile);
  report.push(`${phase.name}: ${ok} passed, ${bad} failed${skipped > 0 ? ` (${skipped} skipped)` : ''}${late ? ' (out of time)' : ''} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  if (bad > 0) console.log(output);
}

async function runLane(phases: readonly Phase[]): Promise<void> {
  for (const phase of phases) await run(phase);
}

const wanted = process.argv.slice(2);
const started = Date.now();
if (wanted.length === 0) typecheck();
const { makeFixtures } = await import('../test/fixtures/make-images.ts');
await makeFixtures();
if (wanted.length === 0) {
  await Promise.all(LANES.map(runLane));
  await repeatAlone(started);
} else {
  const named = PHASES.filter((p) => wanted.includes(p.name));
  await runLane(named);
  const paths = wanted.filter((w) => !PHASES.some((p) => p.name === w));
  if (paths.length > 0) await run({ name: paths.join(' '), paths, timeoutSeconds: 600, minimum: 1 });
}
console.log(report.map((line) => `  ${line}`).join('\n'));
console.log(`  in all ${((Date.now() - started) / 1000).toFixed(0)} s`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
