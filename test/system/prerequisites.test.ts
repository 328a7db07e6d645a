import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

/** `./naru run hello` in a fresh clone on a machine that lacks something: one line for each, and nothing is begun. */
const top = join(import.meta.dirname, '../..');
const scratch = mkdtempSync(join(tmpdir(), 'naru-bare.'));
after(() => rmSync(scratch, { recursive: true }));

const clone = join(scratch, 'clone');
mkdirSync(join(clone, 'scripts'), { recursive: true });
copyFileSync(join(top, 'naru'), join(clone, 'naru'));
copyFileSync(join(top, 'scripts/setup.sh'), join(clone, 'scripts/setup.sh'));

const found = (program: string): string => spawnSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).stdout.trim();
let machines = 0;

/** What is said on a machine with these programs of its own besides the usual ones; `false`: that one is not there. */
function saidWith(programs: Readonly<Record<string, string | false>>): { code: number | null; lines: string[] } {
  const bin = join(scratch, `bin${machines++}`);
  mkdirSync(bin);
  for (const program of ['sh', 'dirname', 'readlink', 'uname', 'mktemp', 'cat', 'rm', 'mkdir', 'touch', 'node', 'npm', 'cc']) {
    if (programs[program] === undefined) symlinkSync(found(program), join(bin, program));
  }
  for (const [program, script] of Object.entries(programs)) {
    if (script === false) continue;
    writeFileSync(join(bin, program), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, program), 0o755);
  }
  const ran = spawnSync(join(clone, 'naru'), ['run', 'hello'], { encoding: 'utf8', env: { PATH: bin }, timeout: 20_000 });
  assert.equal(ran.stdout, '');
  assert.deepEqual(readdirSync(clone).sort(), ['naru', 'scripts'], 'nothing is begun');
  return { code: ran.status, lines: ran.stderr.trimEnd().split('\n') };
}

const NODE = 'install Node.js 20 or newer';
for (const [what, programs, lines] of [
  ['a C compiler', { cc: false }, ['no C compiler (cc): apt-get install gcc, or set CC']],
  ['npm', { npm: false }, ['npm is missing: it comes with Node.js']],
  ['everything', { cc: false, npm: false, node: false }, [`node is missing: ${NODE}`, 'npm is missing: it comes with Node.js', 'no C compiler (cc): apt-get install gcc, or set CC']],
  ['a newer Node', { node: 'echo v18.19.1' }, [`node v18.19.1 is too old: ${NODE}`]],
  ['a Node that runs', { node: 'exit 127' }, [`node --version says '': ${NODE}`]],
  ['a newer kernel', { uname: 'case $1 in -r) echo 4.19.0-26-amd64 ;; -m) echo x86_64 ;; -s) echo Linux ;; esac' }, ['kernel 4.19.0-26-amd64 is too old: 5.10 is the oldest that works']],
  ['Linux, and a processor', { uname: 'case $1 in -r) echo 23.1.0 ;; -m) echo riscv64 ;; -s) echo Darwin ;; esac' }, ['this is Darwin, but containers need a Linux kernel', 'the processor riscv64 is not supported (x86_64, aarch64)']],
] as const) {
  test(`it lacks ${what}`, () => {
    assert.deepEqual(saidWith(programs), { code: 1, lines: lines.map((line) => `naru set-up: ${line}`) });
  });
}

test('npm fails: what it said, and that', () => {
  const { code, lines } = saidWith({ npm: 'echo npm error network: the registry is not reached; exit 1' });
  assert.equal(code, 1);
  assert.deepEqual(lines, ['naru set-up: installing npm packages (pinned in package-lock.json) ...', 'npm error network: the registry is not reached', 'naru set-up: npm ci failed: see above']);
});
