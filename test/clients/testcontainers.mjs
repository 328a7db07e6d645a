// DOCKER_HOST=unix://SOCKET TESTCONTAINERS_RYUK_DISABLED=true node testcontainers.mjs: a service under test, found by its mapped port.
import assert from 'node:assert/strict';
import { GenericContainer, Wait } from 'testcontainers';

const serve = 'echo ready; while true; do printf "HTTP/1.0 200 OK\\r\\n\\r\\nhello" | nc -l -p 8080; done';
const web = await new GenericContainer('busybox:latest')
  .withCommand(['sh', '-c', serve]).withExposedPorts(8080).withWaitStrategy(Wait.forLogMessage('ready'))
  .withCopyContentToContainer([{ content: 'abc', target: '/tmp/x' }]).withEnvironment({ A: 'b' }).start();
assert.equal(await (await fetch(`http://127.0.0.1:${web.getMappedPort(8080)}/`)).text(), 'hello');
assert.deepEqual(await web.exec(['sh', '-c', 'cat /tmp/x; echo $A']), { output: 'abcb\n', stdout: 'abcb\n', stderr: '', exitCode: 0 });
await web.restart();
await web.stop();

const healthy = await new GenericContainer('busybox:latest').withCommand(['sleep', '600'])
  .withHealthCheck({ test: ['CMD-SHELL', 'true'], interval: 100, timeout: 1000, retries: 3, startPeriod: 0 }).withWaitStrategy(Wait.forHealthCheck()).start();
await healthy.stop();

await assert.rejects(
  new GenericContainer('busybox:latest').withCommand(['false']).withWaitStrategy(Wait.forLogMessage('never')).withStartupTimeout(2000).start(),
);
