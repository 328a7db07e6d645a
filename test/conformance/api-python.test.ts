import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { writeOnce } from '#sys/descriptors.ts';
import { apiServer } from '../support/api-server.ts';
import { echoClient, fakeEngine, stdoutFrame, textStream } from '../support/fake-engine.ts';

/** Debian's docker-py: another reader of the same streams, without the CLI's habits. */
const SCRIPT = `
import docker, json, sys, time
url = 'unix://' + sys.argv[1]
c = docker.DockerClient(base_url=url)
w = c.containers.list()[0]
s = w.attach_socket(params={'stdin': 1, 'stream': 1, 'stdout': 1})
s._sock.sendall(b'hello')
time.sleep(0.2)
echoed = s._sock.recv(100)
s.close()
out = w.exec_run('x')
old = docker.DockerClient(base_url=url, version='1.30')
try:
    c.swarm.reload()
except docker.errors.APIError as e:
    swarm = e.status_code
print(json.dumps([c.version()['ApiVersion'], c.ping(), w.name, w.logs().decode(), w.wait()['StatusCode'], [out.exit_code, out.output.decode()],
    b''.join(w.get_archive('/x')[0]).decode(), echoed[8:].decode(), len(old.containers.list()), old.images.list(all=True)[0].tags, swarm]))
`;

test('docker-py reads it all', async () => {
  const engine = fakeEngine({
    containers: {
      logs: () => Promise.resolve({ tty: false, stream: textStream(stdoutFrame(Buffer.from('a log\n'))) }),
      attachPrepare: () => Promise.resolve({ tty: false, attach: (client) => echoClient(client, stdoutFrame) }),
      wait: () => Promise.resolve({ done: Promise.resolve({ StatusCode: 3 }) }),
      getArchive: () => Promise.resolve({ stat: { name: 'x', size: 3, mode: 0o644, mtime: '', linkTarget: '' }, stream: textStream('abc') }),
    },
    exec: {
      create: () => Promise.resolve({ Id: 'e1' }),
      startPrepare: () => Promise.resolve({ tty: false, start: (client) => Promise.resolve(void writeOnce(client!.fd, stdoutFrame(Buffer.from('exec out')))) }),
      inspect: () => Promise.resolve({ ID: 'e1', ExitCode: 4 } as never),
    },
  });
  await using api = await apiServer(engine);
  const out = await new Promise<string>((resolve, reject) => {
    execFile('/usr/bin/python3', ['-c', SCRIPT, api.socket], { timeout: 20_000 }, (error, stdout, stderr) => (error === null ? resolve(stdout) : reject(new Error(stderr))));
  });
  assert.deepEqual(JSON.parse(out), ['1.51', true, 'web', 'a log\n', 3, [4, 'exec out'], 'abc', 'hello', 1, ['busybox:latest'], 503]);
});
