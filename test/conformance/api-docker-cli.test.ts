import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { apiServer } from '../support/api-server.ts';
import { echoClient, fakeEngine, stdoutFrame, textStream } from '../support/fake-engine.ts';

/** The unmodified Docker CLI over the API, with a recorded engine behind: what it parses, and its streams. */
const engine = fakeEngine({
  containers: {
    logs: () => Promise.resolve({ tty: false, stream: textStream(stdoutFrame(Buffer.from('from the log\n'))) }),
    attachPrepare: () => Promise.resolve({ tty: false, attach: (client) => echoClient(client, stdoutFrame) }),
    wait: () => Promise.resolve({ done: Promise.resolve({ StatusCode: 7 }) }),
    stats: async function* () { yield { name: '/web', id: 'f00d', read: '2026-01-01T00:00:00Z', preread: '2026-01-01T00:00:00Z', cpu_stats: {}, precpu_stats: {}, memory_stats: {}, networks: {}, pids_stats: { current: 3 } }; },
  },
  exec: {
    create: () => Promise.resolve({ Id: 'e1' }),
    startPrepare: () => Promise.resolve({ tty: false, start: (client) => (client === undefined ? Promise.resolve() : echoClient(client, stdoutFrame)) }),
    inspect: () => Promise.resolve({ ID: 'e1', ExitCode: 5, Running: false } as never),
  },
  images: {
    load: async function* (archive) {
      let size = 0;
      for await (const part of archive) size += (part as Buffer).byteLength;
      yield { stream: `Loaded ${size} bytes\n` };
    },
  },
  system: { events: async function* () { yield { Type: 'container', Action: 'start', Actor: { ID: 'f00d', Attributes: { name: 'web' } }, scope: 'local', time: 1, timeNano: 1 }; } },
});
let api: Awaited<ReturnType<typeof apiServer>>;
before(async () => { api = await apiServer(engine); });
after(() => api[Symbol.asyncDispose]());

/** Asynchronous: the server lives in this process. */
function docker(args: readonly string[], input?: string | Buffer, env: Record<string, string> = {}): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('docker', ['-H', `unix://${api.socket}`, ...args], { env: { ...process.env, ...env }, timeout: 10_000 });
    let out = '';
    let err = '';
    child.stdout.on('data', (part) => { out += String(part); });
    child.stderr.on('data', (part) => { err += String(part); });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, err }));
    child.stdin.end(input ?? '');
  });
}
const ok = async (args: readonly string[], input?: string | Buffer, env?: Record<string, string>): Promise<string> => {
  const result = await docker(args, input, env);
  assert.equal(result.code, 0, result.err);
  return result.out;
};

test('version and info', async () => {
  assert.match(await ok(['version']), /Server: naru[^]*API version:\s+1\.51 \(minimum version 1\.24\)/);
  assert.match(await ok(['info']), /Storage Driver: overlay2/);
  assert.equal((await ok(['version', '--format', '{{.Server.APIVersion}}'], '', { DOCKER_API_VERSION: '1.30' })).trim(), '1.51');
});
test('ps, inspect, images', async () => {
  assert.match(await ok(['ps']), /f00df00df00d\s+busybox\s+"cat"\s+.*Up 2 minutes\s+web/);
  assert.equal((await ok(['inspect', '-f', '{{.Name}} {{.State.Pid}}', 'web'])).trim(), '/web 42');
  assert.match(await ok(['images', '-a']), /<none>/);
});
test('logs are taken apart', async () => assert.equal(await ok(['logs', 'web']), 'from the log\n'));
test('attach: input, output, end, exit status', async () => {
  const result = await docker(['attach', 'web'], 'to and fro\n');
  assert.equal(result.out, 'to and fro\n');
  assert.equal(result.code, 7);
});
test('exec -i: 4 MiB both ways, exit status', async () => {
  const input = Buffer.alloc(4 << 20, 'abcdefg\n');
  const result = await docker(['exec', '-i', 'web', 'cat'], input);
  assert.equal(result.out.length, input.byteLength);
  assert.equal(result.out, input.toString());
  assert.equal(result.code, 5);
});
test('verbs without output', async () => {
  for (const verb of ['start', 'stop', 'restart', 'kill', 'pause', 'unpause', 'rm']) assert.equal((await ok([verb, 'web'])).trim(), 'web');
  await ok(['rename', 'web', 'other']);
});
test('events and stats', async () => {
  assert.match(await ok(['events', '--since', '1']), /container start f00d \(name=web\)/);
  assert.match(await ok(['stats', '--no-stream', 'web']), /web/);
});
test('load streams its input up', async () => assert.equal(await ok(['load'], Buffer.alloc(3 << 20)), `Loaded ${3 << 20} bytes\n`));
test('errors are the daemon\'s sentence', async () => {
  const result = await docker(['network', 'create', 'x']);
  assert.match(result.err, /Error response from daemon: the fake has no networks.create/);
  assert.equal(result.code, 1);
  assert.match((await docker(['service', 'ls'])).err, /This node is not a swarm manager/);
});
