import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { NARU, run } from '../support/daemon.ts';
import { suite, until } from '../support/two-clients.ts';

/** The completion scripts in real shells, at a terminal: verbs, flags, and the names of containers that there are. */
const { d, scratch } = suite();

/** How each shell is started interactively with its script loaded. It says READY. */
const SHELLS: Readonly<Record<string, (script: string) => string>> = {
  bash: (script) => {
    writeFileSync(join(scratch, 'bash.rc'), `${script}\nset +o history; bind 'set enable-bracketed-paste off'; echo READY\n`);
    return `bash --noprofile --rcfile ${join(scratch, 'bash.rc')} -i`;
  },
  zsh: (script) => {
    mkdirSync(join(scratch, 'functions'));
    writeFileSync(join(scratch, 'functions/_naru'), script);
    writeFileSync(join(scratch, '.zshrc'), `fpath=(${join(scratch, 'functions')} $fpath); autoload -U compinit; compinit -u -D; PS1='> '; echo READY\n`);
    return `env ZDOTDIR=${scratch} zsh -d -i`;
  },
};

/** What is typed, with a tab behind it, and what must come of it. */
const TYPED: readonly (readonly [typed: string, comes: string])[] = [['naru unpau', 'unpause'], ['naru run --memory-swapp', '--memory-swappiness'], ['naru stop the-run', 'the-running-one'], ['naru volume pru', 'prune'], ['naru run -v /et', '/etc/']];

for (const [shell, prepare] of Object.entries(SHELLS)) {
  test(shell, async () => {
    d.ok('run', '-d', '--name', 'the-running-one', 'busybox', 'sleep', '60');
    const bin = join(scratch, `bin-${shell}`);
    mkdirSync(bin);
    symlinkSync(NARU, join(bin, 'naru'));
    const env = { ...process.env, PATH: `${bin}:${process.env['PATH']}`, NARU_HOST: `unix://${d.socket}`, TERM: 'xterm', HOME: scratch };
    const script = run(NARU, ['completion', shell]).out;
    const terminal = spawn('script', ['-qec', prepare(script), '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'], env });
    let out = '';
    terminal.stdout.on('data', (bytes: Buffer) => (out += bytes.toString()));
    try {
      await until(`${shell} is ready`, () => out.includes('READY'), 20);
      for (const [typed, comes] of TYPED) {
        out = '';
        terminal.stdin.write(`${typed}\t`);
        // Terminals draw over what they drew: colours and cursor movements are no part of the word.
        await until(`${shell}: ${typed} becomes ${comes}, not ${JSON.stringify(out)}`, () => out.replace(/\x1b\[[0-9;?]*[A-Za-z]|.\x08/g, '').includes(comes), 10);
        terminal.stdin.write('\x15');
      }
    } finally {
      terminal.kill('SIGKILL');
    }
  });
}

test('fish', () => {
  d.ok('run', '-d', '--name', 'the-running-one', 'busybox', 'sleep', '60');
  writeFileSync(join(scratch, 'naru.fish'), run(NARU, ['completion', 'fish']).out);
  symlinkSync(NARU, join(scratch, 'naru'));
  for (const [typed, comes] of TYPED) {
    const ran = run('fish', ['--no-config', '-c', `source ${join(scratch, 'naru.fish')}; complete -C '${typed}'`], { env: { PATH: `${scratch}:${process.env['PATH']}`, NARU_HOST: `unix://${d.socket}`, HOME: scratch } });
    assert.match(ran.out, new RegExp(`^${comes}(\t|$)`, 'm'), ran.err);
  }
});
