import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { describe, test } from 'node:test';
import { NARU } from '../support/daemon.ts';
import { sleep, suite, until } from '../support/two-clients.ts';

/** Two people do two things to one container at once: each is told the truth, and nothing is left. */
const { d, inspect } = suite();

interface Ended { readonly code: number; readonly out: string }

/** One command line of ours in the background. */
function begin(...words: string[]): Promise<Ended> {
  const child = spawn(NARU, ['-H', `unix://${d.socket}`, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (out += text));
  const late = setTimeout(() => child.kill('SIGKILL'), 60_000);
  return new Promise((resolve) => child.once('close', (code, signal) => {
    clearTimeout(late);
    resolve({ code: code ?? -1, out: signal === null ? out : `${words.join(' ')} did not end: ${signal} ${out}` });
  }));
}

const ask = (method: string, path: string, body?: unknown): Promise<{ status: number; text: string }> => d.ask(method, path, body);

/** Statuses of requests, all sent at once. */
const statuses = async (...requests: readonly (readonly [method: string, path: string, body?: unknown])[]): Promise<number[]> =>
  (await Promise.all(requests.map((each) => ask(...each)))).map(({ status }) => status);

const gone = (name: string): void => assert.equal(d.docker('inspect', name).code, 1, `${name} is still there`);
const ROUNDS = 3;

describe('rm -f against', () => {
  const others: readonly { readonly name: string; readonly running: boolean; readonly other: readonly [string, string, unknown?]; readonly allowed: readonly number[] }[] = [
    { name: 'start', running: false, other: ['POST', '/containers/cc/start'], allowed: [204, 404, 409] },
    { name: 'stop', running: true, other: ['POST', '/containers/cc/stop?t=0'], allowed: [204, 304, 404, 409] },
    { name: 'restart', running: true, other: ['POST', '/containers/cc/restart?t=0'], allowed: [204, 404, 409] },
    { name: 'kill', running: true, other: ['POST', '/containers/cc/kill'], allowed: [204, 404, 409] },
    { name: 'pause', running: true, other: ['POST', '/containers/cc/pause'], allowed: [204, 404, 409] },
    { name: 'rename', running: true, other: ['POST', '/containers/cc/rename?name=dd'], allowed: [204, 404, 409] },
    { name: 'exec', running: true, other: ['POST', '/containers/cc/exec', { Cmd: ['true'] }], allowed: [201, 404, 409] },
    { name: 'commit', running: true, other: ['POST', '/commit?container=cc&repo=raced'], allowed: [201, 404, 409] },
    { name: 'another rm -f', running: true, other: ['DELETE', '/containers/cc?force=1&v=1'], allowed: [204, 404, 409] },
  ];
  test(others.map(({ name }) => name).join(', '), async () => {
    for (const { name, running, other: asked, allowed } of others) {
      for (let round = 0; round < ROUNDS; round++) {
        const { text } = await ask('POST', '/containers/create?name=cc', { Image: 'busybox', Cmd: ['sleep', '60'], HostConfig: { NetworkMode: round % 2 === 0 ? 'bridge' : 'none' }, Volumes: { '/anonymous': {} } });
        const { Id } = JSON.parse(text) as { Id: string };
        if (running) assert.equal((await ask('POST', `/containers/${Id}/start`)).status, 204);
        const remove = ['DELETE', `/containers/${Id}?force=1&v=1`] as const;
        const [removed, other] = round % 3 === 0 ? (await statuses(asked, remove)).reverse() : await statuses(remove, asked);
        // Another removal may be the one that does it; whoever comes second is told so.
        assert.ok([204, 404, 409].includes(removed!), `rm: ${removed}`);
        assert.ok(allowed.includes(other!), `${name}: ${other}`);
        assert.ok(removed === 204 || other === 204, `rm: ${removed}, ${name}: ${other}`);
        for (let i = 0; (await ask('GET', `/containers/${Id}/json`)).status !== 404; i++) assert.ok(i < 200, `${name}: the container is still there`), await sleep(50);
      }
    }
    d.docker('rmi', '-f', 'raced');
    assert.equal(d.ok('volume', 'ls', '-q'), '', 'anonymous volumes go with their containers');
  });

  test('logs -f, attach, wait, stats and exec that run: each of them ends', async () => {
    d.ok('run', '-d', '--name', 'cc', 'busybox', 'sh', '-c', 'while :; do echo word; sleep 0.05; done');
    const watchers = [begin('logs', '-f', 'cc'), begin('attach', '--no-stdin', 'cc'), begin('wait', 'cc'), begin('exec', 'cc', 'sleep', '60')];
    await until('the exec runs', () => /sleep 60/.test(d.docker('top', 'cc').out));
    d.ok('rm', '-f', 'cc');
    const [logs, attach, wait, exec] = await Promise.all(watchers);
    assert.deepEqual([logs!.code, attach!.code], [0, 137], JSON.stringify([logs, attach].map((each) => each?.out.slice(-200))));
    // An exec's status goes with its container: a client that asks for it later is told that there is none.
    assert.ok(exec!.code === 137 || (exec!.code === 1 && /No such exec/i.test(exec!.out)), `${exec!.code} ${exec!.out}`);
    assert.deepEqual([wait!.code, wait!.out], [0, '137\n']);
    gone('cc');
  });
});

test('start against stop, and everything against everything: one truth at the end', async () => {
  d.ok('create', '--name', 'cc', 'busybox', 'sleep', '60');
  const verbs = ['start', 'stop?t=0', 'restart?t=0', 'pause', 'unpause', 'kill', 'start', 'exec'];
  for (let round = 0; round < 4; round++) {
    const answers = await statuses(...verbs.map((verb) => (verb === 'exec' ? ['POST', '/containers/cc/exec', { Cmd: ['true'] }] as const : ['POST', `/containers/cc/${verb}`] as const)));
    for (const [i, status] of answers.entries()) assert.ok([201, 204, 304, 409].includes(status), `${verbs[i]}: ${status}`);
  }
  const state = inspect('cc', '{{.State.Status}} {{.State.Running}} {{.State.Paused}} {{if .State.Pid}}pid{{else}}none{{end}}');
  assert.match(state, /^(running true false pid|paused true true pid|exited false false none)$/);
  if (state.startsWith('paused')) d.ok('unpause', 'cc');
  d.docker('stop', '-t', '0', 'cc');
  d.ok('start', 'cc');
  assert.equal(d.ok('exec', 'cc', 'echo', 'alive'), 'alive');
});

test('rm -f of fifty, while lists are read and events heard: all are removed, lists never fail, every death is heard once', async () => {
  const names = Array.from({ length: 50 }, (_, i) => `m${i}`);
  const since = String(Date.now() / 1000);
  await Promise.all(names.map(async (name) => {
    assert.equal((await ask('POST', `/containers/create?name=${name}`, { Image: 'busybox', Cmd: ['sleep', '60'], HostConfig: { NetworkMode: 'none' } })).status, 201);
    assert.equal((await ask('POST', `/containers/${name}/start`)).status, 204);
  }));
  let over = false;
  const lists = (async () => {
    for (let counts: number[] = []; ; ) {
      const { status, text } = await ask('GET', '/containers/json?all=1');
      assert.equal(status, 200);
      counts = [...counts, (JSON.parse(text) as unknown[]).length];
      if (over) return counts;
      await sleep(10);
    }
  })();
  const watcher = spawn(NARU, ['-H', `unix://${d.socket}`, 'events', '--since', since, '--filter', 'event=destroy', '--format', '{{.Actor.Attributes.name}}'], { stdio: ['ignore', 'pipe', 'ignore'] });
  let seen = '';
  watcher.stdout.setEncoding('utf8').on('data', (text: string) => (seen += text));
  const removals = await Promise.all([begin('rm', '-f', ...names.slice(0, 30)), begin('rm', '-f', ...names.slice(20))]);
  over = true;
  const counts = await lists;
  assert.deepEqual(counts, [...counts].sort((a, b) => b - a), 'lists only get shorter');
  assert.equal(counts.at(-1), 0);
  // Ten were removed by both: whoever came second is told that there is no such container, or that its removal is under way.
  for (const { out } of removals) for (const line of out.trim().split('\n')) assert.match(line, /^m\d+$|No such container: m\d+$|removal of container m\d+ is already in progress$/i);
  const heard = d.ok('events', '--since', since, '--until', String(Date.now() / 1000), '--filter', 'type=container', '--format', '{{.Action}} {{.Actor.Attributes.name}}').split('\n');
  for (const name of names) assert.deepEqual(['create', 'start', 'die', 'destroy'].map((action) => heard.filter((line) => line === `${action} ${name}`).length), [1, 1, 1, 1], name);
  await until('whoever watches hears each', () => seen.trim().split('\n').length >= names.length);
  watcher.kill('SIGKILL');
  assert.deepEqual(seen.trim().split('\n').sort(), [...names].sort());
});
