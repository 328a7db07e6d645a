// node dockerode.mjs SOCKET: what programs do through dockerode. Fails by an exception.
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { finished } from 'node:stream/promises';
import Docker from 'dockerode';

const docker = new Docker({ socketPath: process.argv[2] });
const collect = (stream) => {
  const got = { text: '' };
  stream.on('data', (bytes) => (got.text += bytes));
  return got;
};
const ends = (stream) => finished(stream, { writable: false });
const demux = (stream) => {
  const [out, err] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(stream, out, err);
  return { out: collect(out), err: collect(err) };
};

// run() with its output and code.
const output = new PassThrough();
const text = collect(output);
const [result, ran] = await docker.run('busybox', ['sh', '-c', 'echo hi; exit 3'], [output, new PassThrough()], { Tty: false, HostConfig: { NetworkMode: 'none' } });
assert.equal(result.StatusCode, 3);
// Output and result come by two sockets: run() waits for the second only.
for (let i = 0; i < 500 && text.text !== 'hi\n'; i++) await new Promise((resolve) => setTimeout(resolve, 10));
assert.equal(text.text, 'hi\n');
await ran.remove();

// A hijacked attach in both directions, half-closed.
const cat = await docker.createContainer({ Image: 'busybox', Cmd: ['cat'], OpenStdin: true, StdinOnce: true });
const attached = await cat.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
const echoed = demux(attached);
await cat.start();
attached.end('abc\n');
assert.equal((await cat.wait()).StatusCode, 0);
await ends(attached);
assert.equal(echoed.out.text, 'abc\n');
assert.match((await cat.logs({ stdout: true })).toString('latin1'), /abc\n$/);
await cat.remove();

// Exec, ports, stats, top, archive in and out, pause, rename, update.
const web = await docker.createContainer({ Image: 'busybox', name: 'ode', Cmd: ['sleep', '600'], ExposedPorts: { '80/tcp': {} }, HostConfig: { PublishAllPorts: true } });
await web.start();
const exec = await web.exec({ Cmd: ['sh', '-c', 'echo out; echo err >&2; exit 4'], AttachStdout: true, AttachStderr: true });
const stream = await exec.start({});
const both = demux(stream);
await ends(stream);
assert.deepEqual([both.out.text, both.err.text, (await exec.inspect()).ExitCode], ['out\n', 'err\n', 4]);
assert.match((await web.inspect()).NetworkSettings.Ports['80/tcp'][0].HostPort, /^\d+$/);
assert.ok((await web.stats({ stream: false })).memory_stats.usage > 0);
assert.deepEqual((await web.top()).Processes.map((row) => row.at(-1)), ['sleep 600']);
let size = 0;
for await (const chunk of await web.getArchive({ path: '/etc/passwd' })) size += chunk.length;
assert.equal(size % 512, 0);
await web.pause();
assert.equal((await web.inspect()).State.Status, 'paused');
await web.unpause();
await web.rename({ name: 'ode2' });
await web.update({ Memory: 64 << 20, MemorySwap: 128 << 20 });
assert.equal((await docker.getContainer('ode2').inspect()).HostConfig.Memory, 64 << 20);
assert.deepEqual((await docker.listContainers({ filters: { name: ['ode2'] } })).map((it) => it.State), ['running']);
await web.remove({ force: true });
await assert.rejects(web.inspect(), { statusCode: 404 });

// Images, volumes, what the daemon says of itself.
await docker.getImage('busybox').tag({ repo: 'ode', tag: 'v1' });
assert.ok((await docker.getImage('ode:v1').history()).length > 0);
await docker.getImage('ode:v1').remove();
const volume = await docker.createVolume({ Name: 'odev', Labels: { a: 'b' } });
assert.equal((await volume.inspect()).Labels.a, 'b');
await volume.remove();
assert.equal((await docker.ping()).toString(), 'OK');
assert.equal((await docker.version()).ApiVersion, '1.51');
const now = Math.floor(Date.now() / 1000);
let events = '';
for await (const chunk of await docker.getEvents({ since: now - 30, until: now + 1 })) events += chunk;
assert.match(events, /"Action":"rename"/);
