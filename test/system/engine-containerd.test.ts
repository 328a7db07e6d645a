import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { encodeProto } from '#runtime/criu/protobuf.ts';
import { fixture } from '../fixtures/make-images.ts';
import { run, type Ran } from '../support/daemon.ts';
import { ForeignEngine, readmeBlock, startContainerd } from '../support/foreign-engines.ts';

/** Debian's containerd with naru as the BinaryName of io.containerd.runc.v2, set up as the README says. */
const e = new ForeignEngine('containerd');
const IMAGE = 'docker.io/library/busybox:latest';
let command: string[];
let socket: string;
const ctr = (...args: string[]): Ran => run(command[0]!, [...command.slice(1), ...args]);
const ok = (...args: string[]): string => {
  const ran = ctr(...args);
  if (ran.code !== 0) throw new Error(`ctr ${args.join(' ')}: ${ran.code}: ${ran.err}`);
  return ran.out.trimEnd();
};
const own = (id: string): string[] => ['--runc-binary', e.runtime, '--runc-root', e.path('runtime-root'), '--snapshotter', 'overlayfs', '--cgroup', `${e.cgroupParent}/${id}`];

before(async () => {
  socket = await startContainerd(e, readmeBlock('toml', 'BinaryName', e.runtime));
  command = ['ctr', '-a', socket, '-n', 'naru'];
  ok('images', 'import', fixture('busybox.tar'));
  ok('run', '-d', ...own('box'), '--memory-limit', '67108864', IMAGE, 'box', 'sleep', '1000');
});
after(async () => {
  for (const id of ctr('tasks', 'ls', '-q').out.split('\n').filter(Boolean)) ctr('tasks', 'rm', '-f', id);
  await e.destroy();
});

test('containerd takes the README’s configuration of its CRI runtime', () => {
  assert.match(run('containerd', ['-c', e.path('containerd.toml'), 'config', 'dump']).out, new RegExp(`BinaryName = "${e.runtime}"`));
});

test('ctr run: output, exit status, terminal, and the reason when there is no such program', () => {
  const ran = ctr('run', '--rm', ...own('c1'), IMAGE, 'c1', 'sh', '-c', 'echo out; exit 7');
  assert.deepEqual([ran.code, ran.out], [7, 'out\n']);
  assert.match(e.terminal([...command, 'run', '--rm', '-t', ...own('c2'), IMAGE, 'c2', 'tty']).out, /\/dev\/pts\/\d/);
  const missing = ctr('run', '--rm', ...own('c3'), IMAGE, 'c3', 'nosuch');
  assert.match(missing.err, /OCI runtime create failed: .*exec: "nosuch": executable file not found in \$PATH/);
});

test('ctr tasks exec: output, exit status, terminal', () => {
  const ran = ctr('tasks', 'exec', '--exec-id', 'e1', 'box', 'sh', '-c', 'echo in; exit 3');
  assert.deepEqual([ran.code, ran.out], [3, 'in\n']);
  assert.match(e.terminal([...command, 'tasks', 'exec', '-t', '--exec-id', 'e2', 'box', 'sh', '-c', 'tty; sleep 0.2']).out, /\/dev\/pts\/\d/);
});

test('ctr tasks metrics, ps, pause, resume', () => {
  const metrics = ok('tasks', 'metrics', 'box');
  assert.match(metrics, /memory\.limit_in_bytes\s+67108864/);
  assert.match(metrics, /pids\.current\s+1 /);
  assert.equal(ok('tasks', 'ps', 'box').split('\n').length, 2);
  ok('tasks', 'pause', 'box');
  assert.match(ok('tasks', 'ls'), /PAUSED/);
  ok('tasks', 'resume', 'box');
  assert.match(ok('tasks', 'ls'), /RUNNING/);
});

/** `Tasks.Update` of containerd's API (github.com/containerd/containerd, api/services/tasks/v1): ctr has no word for it. The status of gRPC. */
async function updateTask(id: string, resources: object): Promise<string> {
  const resource = encodeProto([[1, 'types.containerd.io/opencontainers/runtime-spec/1/LinuxResources'], [2, JSON.stringify(resources)]]);
  const request = Buffer.concat([encodeProto([[1, id]]), Buffer.of(2 << 3 | 2), Buffer.of(resource.length & 0x7f | 0x80, resource.length >> 7), resource]);
  const frame = Buffer.concat([Buffer.of(0, 0, 0, 0, request.length & 0xff), request]);
  frame.writeUInt32BE(request.length, 1);
  const client = http2.connect('http://localhost', { createConnection: () => connect(socket) });
  try {
    const call = client.request({ ':method': 'POST', ':path': '/containerd.services.tasks.v1.Tasks/Update', 'content-type': 'application/grpc', te: 'trailers', 'containerd-namespace': 'naru' });
    const answer = Promise.withResolvers<string>();
    let status = '';
    const read = (headers: Record<string, unknown>): void => { if (headers['grpc-status'] !== undefined) status = `${String(headers['grpc-status'])} ${String(headers['grpc-message'] ?? '')}`.trim(); };
    call.on('response', read).on('trailers', read).on('data', () => {}).on('error', answer.reject).on('close', () => answer.resolve(status));
    call.end(frame);
    return await answer.promise;
  } finally {
    client.destroy();
  }
}

test('containerd’s Tasks.Update: new limits are the kernel’s; what is no limit is refused by its field', async () => {
  assert.equal(await updateTask('box', { memory: { limit: 128 << 20 }, pids: { limit: 44 }, cpu: { quota: 30_000, period: 100_000 } }), '0');
  assert.match(ok('tasks', 'metrics', 'box'), /memory\.limit_in_bytes\s+134217728[^]*pids\.limit\s+44/);
  assert.equal(readFileSync(`/sys/fs/cgroup/cpu${e.cgroupParent}/box/cpu.cfs_quota_us`, 'utf8'), '30000\n');
  assert.match(decodeURIComponent(await updateTask('box', { cpu: { cpus: '4000' } })), /^2 .*cpuset\.cpus/);
});

test('ctr run: a user namespace; all of the host’s namespaces and rights', () => {
  // (With --uidmap, ctr 1.6 forgets --runc-binary: what is called runc is taken, which is naru too.)
  assert.match(ok('run', '--rm', ...own('c4'), '--uidmap', '0:100000:65536', '--gidmap', '0:100000:65536', IMAGE, 'c4', 'cat', '/proc/self/uid_map'), /^\s*0\s+100000\s+65536$/);
  assert.match(ctr('run', '--rm', ...own('c5'), '--read-only', '--net-host', '--privileged', IMAGE, 'c5', 'touch', '/x').err, /Read-only file system/);
  assert.match(ctr('run', '--rm', ...own('c6'), '--uidmap', '0:100000:65536', '--gidmap', '0:100000:65536', IMAGE, 'c6', 'nosuch').err, /OCI runtime create failed: runtime create failed: /);
});

test('ctr tasks kill, rm: nothing of the runtime’s is left', async () => {
  ok('tasks', 'kill', '-s', 'SIGKILL', 'box');
  const end = Date.now() + 10_000;
  while (!ok('tasks', 'ls').includes('STOPPED')) {
    assert.ok(Date.now() < end, 'it does not stop');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.match(ctr('tasks', 'rm', 'box').err, /137/);
  ok('containers', 'rm', 'box');
  assert.deepEqual(e.leftShims(), []);
  assert.deepEqual(e.leftGroups(), []);
});
