import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCli } from '#test/support/run-cli.ts';
import { nearest } from './suggest.ts';

test('the word that is near, if it is one', () => {
  const words = ['run', 'rm', 'restart', 'rename', 'images', 'inspect'];
  for (const [word, meant] of [['rnu', 'run'], ['restrat', 'restart'], ['restat', 'restart'], ['iamges', 'images'], ['imagess', 'images'], ['renaem', 'rename']] as const) assert.equal(nearest(word, words), meant);
  assert.equal(nearest('ru', ['run', 'rum']), undefined, 'it is as near to two');
  for (const none of ['x', 'run', 'completely', '', 'zz']) assert.equal(nearest(none, words), undefined, none);
});

test('commands and flags that there are not: ours says which one was meant, Docker\'s does not', async () => {
  const hints: readonly (readonly [line: string, hint: string | undefined])[] = [
    ['rnu busybox', 'did you mean `naru run`?'], ['volmue ls', 'did you mean `naru volume`?'], ['deamon', 'did you mean `naru daemon`?'], ['volume rmm', 'did you mean `naru volume rm`?'], ['network conect a b', 'did you mean `naru network connect`?'],
    ['run --memroy 5m busybox', 'did you mean --memory?'], ['ps --al', 'did you mean --all?'], ['run --entryp x busybox', 'did you mean --entrypoint?'], ['--hots x ps', 'did you mean --host?'], ['qqqqq', undefined], ['ps --qqqqq', undefined],
  ];
  for (const [line, hint] of hints) {
    const ours = await runCli(line.split(' '));
    assert.notEqual(ours.code, 0, line);
    assert.equal(/^hint: (.*)$/m.exec(ours.err)?.[1], hint, line);
    const docker = await runCli(line.split(' '), { program: 'docker' });
    assert.deepEqual([docker.code, docker.err], [ours.code, ours.err.replace(/^hint: .*\n/m, '').replaceAll('naru', 'docker')], line);
  }
});
