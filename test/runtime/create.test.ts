import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { compileTask, type RuntimeOptions } from '#runtime/compile/compile-task.ts';
import { RunningTask } from '#runtime/driver/running-task.ts';
import { startSpawner, type Spawner } from '#runtime/driver/spawner.ts';
import { Bench, failure, helperBytes } from './harness.ts';
import type { TaskRequest } from '#core/tasks/port.ts';

let bench: Bench;
let spawner: Spawner;
before(async () => {
  bench = await Bench.open();
  spawner = startSpawner(helperBytes());
});
after(async () => {
  spawner.close();
  await bench[Symbol.asyncDispose]();
});

const launch = (request: TaskRequest, options: RuntimeOptions, descriptors: readonly number[] = []): RunningTask => new RunningTask({
  id: request.id, spec: request.spec, verb: 'create', compile: () => compileTask(request, bench.driver.facts, options), descriptors,
  spawn: (all) => spawner.spawn(all), lostExit: () => undefined,
  exec: () => {
    throw new Error('not here');
  },
});

test('OCI create: all is set up, the program waits for start', async () => {
  const hooks = join(bench.root, 'create.log');
  const request = bench.request(['sh', '-c', 'exit 9'], (r) => {
    r.spec.hooks = { createRuntime: [{ path: '/bin/sh', args: ['sh', '-c', `echo createRuntime >> ${hooks}`] }] };
  });
  const pidFile = join(bench.root, 'pid');
  const task = launch(request, { await: true, pidFile });
  await task.create();
  assert.ok(task.pid > 1);
  assert.equal(readFileSync(pidFile, 'utf8'), String(task.pid));
  assert.equal(readFileSync(hooks, 'utf8'), 'createRuntime\n');
  // It says so first, and waits then.
  for (let i = 0; i < 200 && !/^State:\s+S/m.test(readFileSync(`/proc/${task.pid}/status`, 'utf8')); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.match(readFileSync(`/proc/${task.pid}/status`, 'utf8'), /^State:\s+S/m);
  assert.match((await failure(task.start())).message, /is created/);
  await task.release();
  assert.equal((await task.exited).code, 9);
  await bench.cleanUp(request);
});

test('a created task can be found again, and killed', async () => {
  const request = bench.request(['sleep', '60']);
  const task = launch(request, { await: true });
  await task.create();
  const found = await bench.driver.recover({ id: request.id, stateDir: request.stateDir, exitFile: request.exitFile, cgroupPath: request.spec.linux!.cgroupsPath! });
  assert.ok(found !== undefined && 'task' in found);
  assert.equal(found.task.pid, task.pid);
  await bench.cleanUp(request);
  assert.match((await failure(task.release())).message, /./);
  assert.deepEqual(bench.leftCgroups(), []);
});

test('the caller\'s own streams, and descriptors that are kept', async () => {
  const [input, output, extra] = ['in', 'out', 'extra'].map((name) => join(bench.root, name)) as [string, string, string];
  writeFileSync(input, 'from stdin\n');
  writeFileSync(extra, 'from 3\n');
  const fds = [openSync(input, 'r'), openSync(output, 'a'), openSync(output, 'a'), openSync(extra, 'r')];
  const request = bench.request('cat; cat <&3; echo err >&2; ls /proc/self/fd | wc -l');
  const task = launch(request, { inheritStreams: true, preserve: { slot: 3, count: 1 } }, fds);
  await task.start();
  assert.equal((await task.exited).code, 0);
  for (const fd of fds) closeSync(fd);
  assert.equal(readFileSync(output, 'utf8'), 'from stdin\nfrom 3\nerr\n5\n');
  await bench.cleanUp(request);
});
