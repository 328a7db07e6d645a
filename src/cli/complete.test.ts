import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { startRecordingDaemon, type RecordingDaemon } from '#test/support/recording-daemon.ts';
import { runCli } from '#test/support/run-cli.ts';

let daemon: RecordingDaemon;
before(async () => {
  daemon = await startRecordingDaemon();
  daemon.answers.set('GET /containers/json', { json: [{ Names: ['/web'], State: 'running' }, { Names: ['/db'], State: 'exited' }] });
  daemon.answers.set('GET /volumes', { json: { Volumes: [{ Name: 'data' }, { Name: 'other' }] } });
  daemon.answers.set('GET /images/json', { json: [{ RepoTags: ['busybox:latest', 'x/y:1'] }, { RepoTags: null }] });
});
after(() => daemon.close());

async function complete(line: string): Promise<string[]> {
  const { out } = await runCli(['__complete', '-H', daemon.host, ...line.split(' ')]);
  return out.split('\n').filter((entry) => entry !== '').map((entry) => entry.split('\t')[0] as string);
}

test('commands, groups and their commands', async () => {
  assert.deepEqual(await complete('pa'), ['pause']);
  assert.deepEqual(await complete('cont'), ['container', 'context']);
  assert.deepEqual((await complete('volume ')).sort(), ['create', 'inspect', 'ls', 'prune', 'rm']);
  assert.ok((await complete('')).includes('run'));
  assert.deepEqual(await complete('reg'), ['registry']);
  assert.deepEqual(await complete('registry s'), ['serve']);
  assert.ok((await complete('runtime ')).includes('checkpoint'));
});

test('flags and their values', async () => {
  assert.deepEqual(await complete('run --cpus'), ['--cpus', '--cpuset-cpus', '--cpuset-mems'].filter((name) => name.startsWith('--cpus')));
  assert.deepEqual(await complete('run --volumes-from '), ['web', 'db']);
  assert.deepEqual(await complete('run --volumes-from=w'), ['--volumes-from=web']);
  assert.deepEqual(await complete('run --env-file '), [':files']);
  assert.deepEqual(await complete('run -v /et'), [':files']);
  assert.deepEqual(await complete('run --volume=./x'), [':files']);
  assert.deepEqual(await complete('run -itv da'), ['data:']);
  assert.deepEqual(await complete('run -v /etc:/us'), []);
});

test('names, of what the command can use', async () => {
  assert.deepEqual((await complete('stop ')).slice(0, 1), ['web']);
  assert.deepEqual(await complete('start '), ['db']);
  assert.deepEqual(await complete('rm web '), ['db']);
  assert.deepEqual(await complete('run '), ['busybox', 'busybox:latest', 'x/y:1']);
  assert.deepEqual(await complete('exec web '), [':files']);
  assert.deepEqual(await complete('completion '), ['bash', 'zsh', 'fish']);
});

test('the bash script is bash, and asks the program', async () => {
  const { out } = await runCli(['completion', 'bash']);
  const session = `${out}\nnaru() { echo "__asked $*" >&2; printf 'pause\\tFreeze\\nport\\n'; }\nCOMP_WORDS=(naru p); COMP_CWORD=1; _naru_complete; echo "\${COMPREPLY[@]}"`;
  assert.equal(execFileSync('bash', ['-c', session], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim(), 'pause port');
  for (const shell of ['zsh', 'fish']) assert.match((await runCli(['completion', shell])).out, /__complete/);
  assert.equal((await runCli(['completion', 'tcsh'])).code, 1);
});
