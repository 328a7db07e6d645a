import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMANDS } from './all-commands.ts';
import { runCli } from '#test/support/run-cli.ts';

test('every command has a page that names all its flags', async () => {
  for (const command of COMMANDS) {
    const { code, out } = await runCli([...(command.names[0] as string).split(' '), '--help']);
    assert.equal(code, 0);
    for (const flag of command.flags()) if (flag.hidden !== true) assert.ok(out.includes(`--${flag.name}`), `${command.names[0]} --${flag.name}`);
    for (const line of out.split('\n')) assert.ok(line.length <= 100 || line.startsWith('  naru') || line.startsWith('\tnaru'), line);
  }
});

test('every command can be loaded', async () => {
  for (const command of COMMANDS) assert.equal(typeof (await command.load()), 'function', String(command.names[0]));
});

test('no name means two commands, and no flag twice in one', () => {
  const names = COMMANDS.flatMap((command) => command.names);
  assert.equal(new Set(names).size, names.length);
  for (const command of COMMANDS) {
    const flags = command.flags().flatMap((flag) => [flag.name, ...(flag.short === undefined ? [] : [`-${flag.short}`])]);
    assert.equal(new Set(flags).size, flags.length, String(command.names[0]));
  }
});

test('what is naru\'s own is not there for who calls us docker', async () => {
  const front = await runCli(['--help'], { program: 'docker' });
  assert.doesNotMatch(front.out, /^ {2}(plan|daemon|completion) /m);
  assert.equal((await runCli(['plan', 'run', 'x'], { program: 'docker' })).code, 1);
  assert.equal((await runCli(['run', '--rootfs', '/', 'sh'], { program: 'docker' })).code, 125);
  assert.match((await runCli(['run', '--help'])).out, /--rootfs/);
});

test('a hint is told, but not as docker', async () => {
  const env = { PATH: '', HOME: '/nonexistent' };
  const naru = await runCli(['-H', 'unix:///nonexistent', 'build', '.'], { env });
  assert.match(naru.err, /^naru cannot build images yet\nhint: /);
  assert.doesNotMatch((await runCli(['-H', 'unix:///nonexistent', 'build', '.'], { env, program: 'docker' })).err, /hint/);
});
