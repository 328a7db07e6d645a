import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { run, TestDaemon } from '../support/daemon.ts';

/** Other people's clients, unmodified, by Node: dockerode, Testcontainers, ws, and Compose 1.29 in Python. */
const CLIENTS = join(import.meta.dirname, '../clients');
const PORT = 20_000 + (process.pid % 3900) * 3;
let d: TestDaemon;
let scratch: string;

before(async () => {
  d = await TestDaemon.start();
  scratch = mkdtempSync(join(tmpdir(), 'naru-clients.'));
});
afterEach(async () => {
  assert.equal(await d.leaked(), '');
});
after(async () => {
  await d.destroy();
  rmSync(scratch, { recursive: true, force: true });
});

const succeeds = (command: string, args: readonly string[], env: Record<string, string> = {}): string => {
  const ran = run(command, args, { env: { DOCKER_HOST: `unix://${d.socket}`, ...env }, cwd: scratch, timeoutMs: 50_000 });
  assert.equal(ran.code, 0, `${command} ${args.join(' ')}: ${ran.out}${ran.err}`);
  return ran.out + ran.err;
};

test('dockerode', () => void succeeds('node', [join(CLIENTS, 'dockerode.mjs'), d.socket]));

// Ryuk, which removes what a crashed test leaves, is an image that cannot be pulled here: Testcontainers is told to do without.
test('Testcontainers', () => void succeeds('node', [join(CLIENTS, 'testcontainers.mjs')], { TESTCONTAINERS_RYUK_DISABLED: 'true' }));

describe('docker-compose 1.29', () => {
  const compose = (...args: string[]): string => succeeds('docker-compose', ['-p', 'proj', ...args]);
  test('up, ps, logs, exec, run, port, scale, restart, down', () => {
    writeFileSync(join(scratch, 'docker-compose.yml'), `
version: "2.4"
services:
  web:
    image: busybox
    command: sh -c 'echo up; exec httpd -f -p 8080'
    network_mode: bridge
    volumes: ["data:/data"]
    ports: ["${PORT}:8080"]
    healthcheck: {test: "true", interval: 200ms}
  job:
    image: busybox
    command: sh -c 'echo job $$A; touch /data/x'
    environment: {A: b}
    network_mode: none
    volumes: ["data:/data"]
    depends_on: {web: {condition: service_healthy}}
volumes: {data: {}}
`);
    compose('up', '-d');
    assert.match(compose('ps'), new RegExp(`proj_web_1 .*Up .*0\\.0\\.0\\.0:${PORT}->8080/tcp`));
    d.ok('wait', 'proj_job_1');
    assert.match(compose('logs', '--no-color'), /job_1\s+\| job b\n/);
    assert.equal(compose('exec', '-T', 'web', 'ls', '/data'), 'x\n');
    assert.match(compose('run', '--rm', 'job', 'echo', 'hi'), /\bhi\n/);
    assert.equal(compose('port', 'web', '8080'), `0.0.0.0:${PORT}\n`);
    compose('restart', '-t', '0', 'web');
    assert.match(compose('up', '-d', '--scale', 'job=2'), /web_1 is up-to-date/);
    // A change makes the container anew, with its volumes.
    writeFileSync(join(scratch, 'docker-compose.yml'), readFileSync(join(scratch, 'docker-compose.yml'), 'utf8').replace('echo up', 'echo again'));
    compose('up', '-d', '-t', '0', 'web');
    assert.match(compose('logs', '--no-color', 'web'), /web_1\s+\| again\n/);
    assert.equal(compose('exec', '-T', 'web', 'ls', '/data'), 'x\n');
    compose('down', '-v', '-t', '0');
    assert.equal(d.ok('ps', '-aq'), '');
    assert.equal(d.ok('volume', 'ls', '-q'), '');
  });

  test('services reach one another by name on the project\'s own network, each of several in turn', () => {
    writeFileSync(join(scratch, 'docker-compose.yml'), `
version: "2.4"
services:
  web:
    image: busybox
    command: sh -c 'hostname > /tmp/index.html; exec httpd -f -p 8080 -h /tmp'
    networks: {default: {aliases: [site]}}
  asks:
    image: busybox
    command: sleep 600
`);
    compose('up', '-d', '--scale', 'web=2');
    const get = (...names: string[]): string[] => d.ok('exec', 'proj_asks_1', 'sh', '-c', names.map((name) => `wget -q -O- http://${name}:8080/`).join('; ')).split('\n');
    const both = ['proj_web_1', 'proj_web_2'].map((name) => d.ok('inspect', '-f', '{{.Config.Hostname}}', name)).sort();
    assert.deepEqual(get('proj_web_1', 'proj_web_2').sort(), both);
    assert.ok(get('web', 'site', 'web.proj_default').every((host) => both.includes(host)));
    assert.deepEqual([...new Set(get(...Array<string>(12).fill('web')))].sort(), both);
    compose('down', '-t', '0');
    assert.equal(d.ok('network', 'ls', '-q', '--filter', 'type=custom'), '');
  });
});

describe('attach through a WebSocket', () => {
  /** A session: lines in, lines of what happened out, each within a deadline. */
  const session = (container: string, version = 'v1.51') => {
    const child = spawn('node', [join(CLIENTS, 'web-socket.mjs'), d.socket, container, version], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return {
      send: (text: string) => child.stdin.write(`${text}\n`),
      next: async (): Promise<string> => {
        const late = new Promise<never>((_, reject) => setTimeout(() => reject(new Error('nothing came within 10 s')), 10_000).unref());
        return ((await Promise.race([lines.next(), late])) as IteratorResult<string>).value as string;
      },
      end: () => child.kill(),
    };
  };
  for (const [version, kind] of [['v1.51', 'binary'], ['v1.27', 'text']] as const) {
    test(`${kind} messages carry stdin and stdout unmarked (${version})`, async () => {
      d.ok('run', '-di', '--name', 'sock', 'busybox', 'sh', '-c', 'echo before; while read x; do echo "<$x>"; [ "$x" = end ] && exit 0; done');
      const peer = session('sock', version);
      assert.equal(await peer.next(), 'open');
      assert.equal(await peer.next(), `${kind} "before\\n"`);
      peer.send('a');
      assert.equal(await peer.next(), `${kind} "<a>\\n"`);
      peer.send('PING');
      assert.equal(await peer.next(), 'pong x');
      peer.send('end');
      assert.equal(await peer.next(), `${kind} "<end>\\n"`);
      assert.equal(await peer.next(), 'close 1000');
      peer.end();
    });
  }
  test('a client that closes leaves the container running', async () => {
    d.ok('run', '-di', '--name', 'stays', 'busybox', 'cat');
    const peer = session('stays');
    assert.equal(await peer.next(), 'open');
    peer.send('CLOSE');
    assert.equal(await peer.next(), 'close 1000');
    peer.end();
    assert.equal(d.ok('inspect', '-f', '{{.State.Running}}', 'stays'), 'true');
  });
  test('no such container, and no handshake: a status before the protocol changes', async () => {
    const peer = session('nonesuch');
    assert.match(await peer.next(), /404/);
    peer.end();
    d.ok('create', '--name', 'plain', 'busybox');
    assert.equal(d.api('GET', '/containers/plain/attach/ws?stream=1').status, 400);
  });
});
