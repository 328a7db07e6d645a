import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { isKind, NaruError } from '#spec/errors.ts';
import type { EngineContext } from '#engine/engine-context.ts';
import { Container, newRunState } from '../container.ts';
import { endUnhealthy } from './end-unhealthy.ts';
import { killAndWait } from './stop-process.ts';
import type { ContainerCreateRequest, EventMessage } from '#spec/engine-api.ts';
import { eventually, FakeTask, testEngine, type TestEngine } from '#test/support/engine-parts.ts';

const open: TestEngine[] = [];
async function make(...args: Parameters<typeof testEngine>): Promise<TestEngine> {
  const made = await testEngine(...args);
  open.push(made);
  return made;
}
afterEach(async () => {
  for (const made of open.splice(0)) await made.close();
});

const never = new AbortController().signal;
const run = async ({ engine }: TestEngine, request: ContainerCreateRequest = {}, name?: string): Promise<string> => {
  const { Id } = await engine.containers.create(name, { Image: 'busybox', ...request }, undefined);
  await engine.containers.start(Id, { detachKeys: '' });
  return Id;
};
const status = async ({ engine }: TestEngine, id: string): Promise<string> => (await engine.containers.inspect(id, false)).State.Status;

async function actions({ engine }: TestEngine, filters = new Map<string, string[]>()): Promise<EventMessage[]> {
  const events: EventMessage[] = [];
  for await (const event of engine.system.events({ since: 1n, until: BigInt(Date.now()) * 1_000_000n, filters }, never)) events.push(event);
  return events;
}

test('a whole life: create, start, exit, remove; with Docker’s events', async () => {
  const t = await make();
  const id = await run(t, { Cmd: ['sleep', '1'], Labels: { k: 'v' } }, 'web');
  assert.equal(await status(t, 'web'), 'running');
  assert.equal((await t.engine.containers.inspect(id.slice(0, 5), false)).State.Pid, 1000);
  const wait = await t.engine.containers.wait('web', 'not-running', never);
  t.driver.last.exit(3);
  assert.deepEqual(await wait.done, { StatusCode: 3 });
  assert.equal(await status(t, 'web'), 'exited');
  await t.engine.containers.remove('web', { force: false, volumes: false, link: false });
  await assert.rejects(t.engine.containers.inspect('web', false), { message: 'No such container: web', kind: 'not-found' });
  await new Promise((resolve) => setTimeout(resolve, 5));
  const seen = await actions(t, new Map([['type', ['container']]]));
  assert.deepEqual(seen.map(({ Action }) => Action), ['create', 'start', 'die', 'destroy']);
  assert.deepEqual(seen[2]!.Actor.Attributes, { k: 'v', image: 'busybox', name: 'web', exitCode: '3', execDuration: '0' }, 'labels, image, name, exit code');
});

test('names: Docker’s rule, and a name that is taken', async () => {
  const t = await make();
  const { Id } = await t.engine.containers.create('web', { Image: 'busybox' }, undefined);
  await assert.rejects(t.engine.containers.create('web', { Image: 'busybox' }, undefined), {
    kind: 'conflict', message: `Conflict. The container name "/web" is already in use by container "${Id}". You have to remove (or rename) that container to be able to reuse that name.`,
  });
  await assert.rejects(t.engine.containers.create('a b', { Image: 'busybox' }, undefined), /Invalid container name \(a b\), only/);
  await t.engine.containers.rename('web', 'other');
  await t.engine.containers.create('web', { Image: 'busybox' }, undefined);
  assert.equal((await t.engine.containers.inspect('other', false)).Id, Id);
});

test('a failed create gives the name back', async () => {
  const t = await make();
  await assert.rejects(t.engine.containers.create('web', { Image: 'nonesuch' }, undefined), { kind: 'not-found', message: 'No such image: nonesuch:latest' });
  await assert.rejects(t.engine.containers.create('web', { Image: 'busybox', HostConfig: { Memory: 1 } }, undefined), { message: 'Minimum memory limit allowed is 6MB' });
  await t.engine.containers.create('web', { Image: 'busybox' }, undefined);
});

test('a start that fails keeps code and reason; --rm removes', async () => {
  const t = await make();
  t.driver.failure = new NaruError('invalid', 'exec: "x": executable file not found in $PATH', { exitCode: 127 });
  const { Id } = await t.engine.containers.create(undefined, { Image: 'busybox' }, undefined);
  await assert.rejects(t.engine.containers.start(Id, { detachKeys: '' }), /executable file not found/);
  const { State } = await t.engine.containers.inspect(Id, false);
  assert.deepEqual([State.Status, State.ExitCode, State.Error], ['created', 127, 'exec: "x": executable file not found in $PATH']);
  assert.equal(t.network.live.size, 0, 'its address is free again');

  const auto = await t.engine.containers.create(undefined, { Image: 'busybox', HostConfig: { AutoRemove: true } }, undefined);
  const gone = await t.engine.containers.wait(auto.Id, 'removed', never);
  await assert.rejects(t.engine.containers.start(auto.Id, { detachKeys: '' }));
  assert.deepEqual(await gone.done, { StatusCode: 127 });
});

test('--rm: gone after its end, with its anonymous volumes and nothing else', async () => {
  const t = await make();
  const id = await run(t, { HostConfig: { AutoRemove: true, Binds: ['kept:/k'] }, Volumes: { '/data': {} } });
  assert.equal((await t.engine.volumes.list(new Map())).Volumes.length, 2);
  const gone = await t.engine.containers.wait(id, 'removed', never);
  t.driver.last.exit(0);
  assert.deepEqual(await gone.done, { StatusCode: 0 });
  assert.deepEqual((await t.engine.volumes.list(new Map())).Volumes.map(({ Name }) => Name), ['kept']);
  assert.equal(t.store.snapshotsMade.size, 0);
  assert.equal(t.network.live.size, 0);
});

test('stop: its signal, then SIGKILL; restart; start and stop twice', async () => {
  const t = await make();
  const id = await run(t, { StopSignal: 'USR1' });
  const first = t.driver.last;
  first.deadly = new Set([9]);
  await t.engine.containers.stop(id, { timeout: 0 });
  assert.deepEqual(first.signals, [10, 9]);
  assert.equal((await t.engine.containers.inspect(id, false)).State.ExitCode, 137);
  await assert.rejects(t.engine.containers.stop(id, {}), (error) => isKind(error, 'not-modified'));
  await t.engine.containers.restart(id, { timeout: 1 });
  await assert.rejects(t.engine.containers.start(id, { detachKeys: '' }), (error) => isKind(error, 'not-modified'));
  assert.equal(t.driver.tasks.length, 2);
});

test('a removal by force wins over a restart that is under way', async () => {
  for (const HostConfig of [{}, { AutoRemove: true }, { RestartPolicy: { Name: 'always' as const, MaximumRetryCount: 0 } }]) {
    const t = await make();
    const id = await run(t, { HostConfig });
    t.driver.last.deadly = new Set([9]);
    const restarted = t.engine.containers.restart(id, { timeout: 5 }).catch(() => undefined);
    await eventually(() => t.driver.last.signals.includes(15));
    await t.engine.containers.remove(id, { force: true, volumes: false, link: false });
    await restarted;
    await assert.rejects(t.engine.containers.inspect(id, false), { kind: 'not-found' });
    assert.equal(t.driver.tasks.length, 2, 'the restart came between');
    assert.deepEqual(t.driver.last.signals, [9]);
    assert.equal(t.network.live.size, 0);
  }
});

test('kill, pause, remove: refusals in Docker’s words', async () => {
  const t = await make();
  const id = await run(t, {}, 'web');
  await assert.rejects(t.engine.containers.remove('web', { force: false, volumes: false, link: false }), { kind: 'conflict', message: 'cannot remove container "web": container is running: stop the container before removing or force remove' });
  await t.engine.containers.pause('web');
  await assert.rejects(t.engine.containers.pause('web'), { message: `Container ${id} is already paused` });
  await assert.rejects(t.engine.exec.create('web', { Cmd: ['true'] }), { message: 'Container web is paused, unpause the container before exec' });
  await t.engine.containers.unpause('web');
  await assert.rejects(t.engine.containers.kill('nonesuch', ''), { kind: 'not-found', message: 'cannot kill container: nonesuch: No such container: nonesuch' });
  await assert.rejects(t.engine.containers.kill('web', 'NOPE'), { kind: 'invalid', message: 'invalid signal: NOPE' });
  await t.engine.containers.kill('web', 'KILL');
  await assert.rejects(t.engine.containers.kill('web', 'KILL'), { message: `cannot kill container: web: container ${id} is not running` });
  await t.engine.containers.remove('web', { force: true, volumes: false, link: false });
});

test('rm -f of a running container', async () => {
  const t = await make();
  const id = await run(t);
  await t.engine.containers.remove(id, { force: true, volumes: true, link: false });
  assert.deepEqual(t.driver.last.signals, [9]);
  assert.deepEqual(await t.engine.containers.list({ all: true, limit: -1, size: false, filters: new Map() }), []);
});

test('restart policy: on-failure counts, and a stop by a person ends it', async () => {
  const t = await make();
  const id = await run(t, { HostConfig: { RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 1 } } });
  t.driver.last.exit(1);
  await eventually(async () => (await status(t, id)) === 'restarting', 'restarting');
  await eventually(() => t.driver.tasks.length === 2, 'the second start');
  await eventually(async () => (await status(t, id)) === 'running');
  t.driver.last.exit(1);
  await eventually(async () => (await status(t, id)) === 'exited', 'giving up');
  assert.equal((await t.engine.containers.inspect(id, false)).RestartCount, 1);

  const always = await run(t, { HostConfig: { RestartPolicy: { Name: 'always' } } });
  t.driver.last.exit(0);
  await eventually(async () => (await status(t, always)) === 'restarting');
  await t.engine.containers.stop(always, {});
  assert.equal(await status(t, always), 'exited');
  const starts = t.driver.tasks.length;
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.equal(t.driver.tasks.length, starts);
});

test('many starts, stops and removals at once keep one truth', async () => {
  const t = await make();
  const { Id } = await t.engine.containers.create('web', { Image: 'busybox' }, undefined);
  const verbs = Array.from({ length: 60 }, (_, i) => (i % 3 === 0 ? t.engine.containers.start(Id, { detachKeys: '' }) : i % 3 === 1 ? t.engine.containers.stop(Id, { timeout: 0 }) : t.engine.containers.kill(Id, 'KILL')));
  await Promise.allSettled(verbs);
  assert.match(await status(t, Id), /^(running|exited)$/);
  await t.engine.containers.remove(Id, { force: true, volumes: false, link: false });
  assert.equal(t.network.live.size, 0);
  assert.equal(t.store.snapshotsMade.size, 0);
});

test('a client that attaches before the start is handed over by it', async () => {
  const t = await make();
  const { socketpair, closeQuietly } = await import('#sys/descriptors.ts');
  const { Id } = await t.engine.containers.create(undefined, { Image: 'busybox', OpenStdin: true, StdinOnce: true }, undefined);
  const { tty, attach } = await t.engine.containers.attachPrepare(Id, { stdin: true, stdout: true, stderr: true, logs: false, stream: true, detachKeys: '' });
  const [ours, theirs] = socketpair('stream');
  await attach({ fd: theirs });
  assert.equal(tty, false);
  assert.equal(t.driver.preparedAttaches.length, 0);
  await t.engine.containers.start(Id, { detachKeys: '' });
  const [request] = t.driver.preparedAttaches;
  assert.deepEqual([request!.stdin, request!.framed, request!.closeStdin], [true, true, true]);
  assert.notEqual(request!.fd, theirs, 'a descriptor of its own');
  for (const fd of [ours, theirs, request!.fd]) closeQuietly(fd);
});

test('ports: published, shown, refused when taken', async () => {
  const t = await make();
  const id = await run(t, { HostConfig: { PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8080' }] } }, ExposedPorts: { '90/tcp': {} } });
  const { NetworkSettings } = await t.engine.containers.inspect(id, false);
  assert.deepEqual(NetworkSettings.Ports, { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }], '90/tcp': null });
  const [summary] = await t.engine.containers.list({ all: false, limit: -1, size: false, filters: new Map([['publish', ['8080']]]) });
  assert.equal(summary!.Id, id);
  const { Id } = await t.engine.containers.create(undefined, { Image: 'busybox', HostConfig: { PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8080' }] } } }, undefined);
  await assert.rejects(t.engine.containers.start(Id, { detachKeys: '' }), /port is already allocated/);
  assert.equal(await status(t, Id), 'created');
});

test('volumes: made at create, in use, anonymous ones pruned', async () => {
  const t = await make();
  const { Id } = await t.engine.containers.create(undefined, { Image: 'busybox', HostConfig: { Binds: ['named:/n', '/anon'] } }, undefined);
  await assert.rejects(t.engine.volumes.remove('named', false), { kind: 'conflict', message: `remove named: volume is in use - [${Id}]` });
  assert.deepEqual((await t.engine.volumes.prune(new Map())).VolumesDeleted, []);
  await t.engine.containers.remove(Id, { force: false, volumes: false, link: false });
  assert.equal((await t.engine.volumes.prune(new Map())).VolumesDeleted?.length, 1, 'the anonymous one');
  assert.deepEqual((await t.engine.volumes.prune(new Map([['all', ['true']]]))).VolumesDeleted, ['named']);
});

test('exec: codes, ids in inspect, failures', async () => {
  const t = await make();
  const id = await run(t, { Env: ['A=1'], User: 'alice' });
  const { Id } = await t.engine.exec.create(id, { Cmd: ['id'], AttachStdout: true, Env: ['A=2', 'B=3'], WorkingDir: '/tmp' });
  assert.deepEqual((await t.engine.containers.inspect(id, false)).ExecIDs, [Id]);
  const { start } = await t.engine.exec.startPrepare(Id, {});
  await start(undefined);
  const { request, task } = t.driver.last.execs[0]!;
  assert.deepEqual([request.process.user.uid, request.process.cwd, request.process.env?.includes('A=2'), request.process.env?.includes('HOME=/home/alice')], [1000, '/tmp', true, true]);
  assert.equal((await t.engine.exec.inspect(Id)).Running, true);
  await assert.rejects(t.engine.exec.startPrepare(Id, {}), { kind: 'conflict' });
  // A client asks when its stream has ended; the exit was said before that.
  task.unheard = () => task.exit(4);
  assert.equal((await t.engine.exec.inspect(Id)).ExitCode, 4);
  assert.equal((await t.engine.containers.inspect(id, false)).ExecIDs, null);

  t.driver.last.execFailure = new NaruError('invalid', 'no such program', { exitCode: 127 });
  const failing = await t.engine.exec.create(id, { Cmd: ['nonesuch'] });
  await assert.rejects((await t.engine.exec.startPrepare(failing.Id, {})).start(undefined), /no such program/);
  assert.equal((await t.engine.exec.inspect(failing.Id)).ExitCode, 127);
  await assert.rejects(t.engine.exec.inspect('nope'), { kind: 'not-found', message: 'No such exec instance: nope' });
  t.driver.last.exit(0);
  await eventually(async () => (await status(t, id)) === 'exited');
  await assert.rejects(t.engine.exec.create(id, { Cmd: ['true'] }), { kind: 'conflict', message: `container ${id} is not running` });
});

test('out of memory is told and kept', async () => {
  const t = await make();
  const id = await run(t);
  t.driver.last.oom();
  t.driver.last.exit(137, 1);
  await eventually(async () => (await t.engine.containers.inspect(id, false)).State.OOMKilled);
});

test('delays of restarts grow whatever somebody sets the clock to', async (t) => {
  const made = await make();
  const realNow = Date.now;
  t.after(() => void (Date.now = realNow));
  await run(made, { HostConfig: { RestartPolicy: { Name: 'always' } } }, 'again');
  const began = performance.now();
  for (let exits = 1; exits <= 3; exits++) {
    Date.now = () => realNow() + exits * 86_400_000;
    const { last } = made.driver;
    last.exit(1);
    await eventually(() => made.driver.last !== last, 'the restart');
  }
  assert.ok(performance.now() - began >= 690, 'after 100, 200 and 400 ms');

  const container = new Container({ id: 'c'.repeat(64), name: 'sick', imageId: '', doc: '{}', state: { ...newRunState(), startedAt: '2020-01-01T00:00:00Z' } });
  container.task = new FakeTask(container.id, 1);
  container.watchedSince = performance.now();
  container.restartDelay = 100;
  const ended = endUnhealthy({ closing: never } as EngineContext, container, 'restart');
  assert.equal(container.restartDelay, 200);
  container.task = undefined;
  await ended;
});

test('a process that SIGKILL does not end is said to be stuck, and what holds it', async () => {
  const { engine } = await make();
  const warned: unknown[] = [];
  const container = new Container({ id: 'd'.repeat(64), name: 'stuck', imageId: '', doc: '{"config":{},"hostConfig":{}}', state: { ...newRunState(), status: 'running' } });
  const task = new FakeTask(container.id, 1);
  task.deadly.clear();
  container.task = task;
  const context = { tasks: { freeze: async () => undefined }, cgroupParent: 'naru', events: { emit: () => undefined }, store: engine, report: (error: unknown) => warned.push(error) } as unknown as EngineContext;
  await assert.rejects(killAndWait(context, container, 40), (error: NaruError) => {
    assert.equal(error.message, 'container stuck: the process did not end within 0.04s of SIGKILL');
    assert.match(error.hint ?? '', /stuck in the kernel, on a device or a network file system/);
    return error.kind === 'unavailable';
  });
  assert.deepEqual([task.signals, warned], [[9], []]);
});
