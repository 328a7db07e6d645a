import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createDnsService } from '#net/dns/create-dns-service.ts';
import type { DnsConfiguration, DnsService } from '#net/dns/port.ts';
import { NARU, run } from '../support/daemon.ts';

/** The resolver's process by itself, with network namespaces of the test's own for containers. */
const state = mkdtempSync(join(tmpdir(), 'naru-resolver.'));
const others: ChildProcess[] = [];
let service: DnsService;
let upstream: Socket;
/** Questions that the host's server got; those whose name begins with `mute` it leaves unanswered. */
let heard = 0;
let port = 0;

before(async () => {
  service = createDnsService({ stateDir: state, self: [NARU] });
  upstream = createSocket('udp4');
  upstream.on('message', (bytes, from) => {
    heard++;
    if (bytes.toString('latin1', 13, 17).toLowerCase() === 'mute') return;
    const answer = Buffer.from(bytes);
    answer[2]! |= 0x80;
    answer[3] = 0x83;
    upstream.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve) => upstream.bind(0, '127.0.0.1', resolve));
  ({ port } = upstream.address());
});
after(() => {
  service.close();
  upstream.close();
  for (const child of others) child.kill('SIGKILL');
  rmSync(state, { recursive: true, force: true });
});

/** A process in a network namespace of its own, with loopback up. */
async function namespace(): Promise<number> {
  const child = spawn('unshare', ['-n', 'sh', '-c', 'ip link set lo up; echo up; exec sleep 600'], { stdio: ['ignore', 'pipe', 'inherit'] });
  others.push(child);
  await once(child.stdout, 'data');
  return child.pid!;
}

const configuration = (name: string, more: Partial<DnsConfiguration> = {}): DnsConfiguration => ({
  name, networks: [{ networkId: 'n', networkName: 'net', addresses: [`10.9.0.${name.length}`], names: [name], subnets: ['10.9.0.0/24'] }],
  upstreams: [{ address: '127.0.0.1', port, via: 'host' }], options: ['timeout:1', 'attempts:1'], ...more,
});
const dig = (pid: number, ...words: string[]): string => run('nsenter', ['-t', String(pid), '-n', 'dig', '@127.0.0.11', '+tries=1', '+timeout=2', ...words]).out;
const answers = (pid: number, name: string): boolean => dig(pid, '+short', name).trim() === `10.9.0.${name.length}`;
/** Not `run`: that would keep this process's own server from answering. */
async function digAside(pid: number, ...words: string[]): Promise<string> {
  const child = spawn('nsenter', ['-t', String(pid), '-n', 'dig', '@127.0.0.11', '+tries=1', '+timeout=3', ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (bytes) => (out += String(bytes)));
  await once(child, 'close');
  return out;
}
async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.fail(`in five seconds not: ${what}`);
}

describe('the resolver', () => {
  test('a server on the host\'s loopback is asked from there, unless the container is on internal networks alone', async () => {
    const pid = await namespace();
    service.setContainer('/', { ...configuration('open'), pid });
    await until('it answers', () => answers(pid, 'open'));
    assert.match(await digAside(pid, 'x.example'), /status: NXDOMAIN/);
    assert.equal(heard, 1);
    assert.match(await digAside(pid, 'X.EXAMPLE'), /status: NXDOMAIN/);
    assert.equal(heard, 2, 'without a SOA nobody knows for how long there is no such name');
    service.setContainer('/', { ...configuration('open', { internal: true }), pid });
    assert.match(await digAside(pid, 'y.example'), /status: SERVFAIL/);
    assert.equal(heard, 2);
    service.setContainer('/', { ...configuration('open'), pid });
  });

  test('one container that asks more than it may keeps no other from an answer', async () => {
    const [greedy, modest] = [await namespace(), await namespace()];
    // Each in a cgroup of the test's own: any mark that is in its path will do.
    service.setContainer('/', { ...configuration('greedy', { options: ['timeout:20'] }), pid: greedy });
    await until('it answers', () => answers(greedy, 'greedy'));
    const before = heard;
    const flood = spawn('nsenter', ['-t', String(greedy), '-n', 'python3', '-c', `
import socket,os
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.connect(("127.0.0.11",53)); s.settimeout(0.02); n=0
for i in range(1000):
    name=b"mute%04d"%i
    s.send(os.urandom(2)+b"\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0"+bytes([len(name)])+name+b"\\x07example\\0\\0\\1\\0\\1")
    if i%50==49:
        try:
            while True:
                if s.recv(999)[3]&15==2: n+=1
        except TimeoutError: pass
        if n: break
s.settimeout(10)
try:
    while not n:
        if s.recv(999)[3]&15==2: n+=1
except TimeoutError: pass
print(n, flush=True)
`], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    flood.stdout.on('data', (bytes) => (said += String(bytes)));
    await once(flood, 'close');
    assert.ok(Number(said) > 0, 'what was too much is refused at once');
    assert.ok(heard - before <= 256, `${heard - before} reached the server`);
    service.setContainer('', { ...configuration('modest'), pid: modest });
    await until('the other is answered', () => answers(modest, 'modest'));
    const report = await service.statistics();
    assert.ok((report?.total.refused ?? 0) > 0 && (report?.total.forwarded ?? 0) >= 256, JSON.stringify(report?.total));
    service.removeContainer('');
    service.removeContainer('/');
  });

  test('the process ends when nobody needs it, and a container\'s end is noticed without anybody saying so', async () => {
    const pid = await namespace();
    service.setContainer('/', { ...configuration('brief'), pid });
    await until('it answers', () => answers(pid, 'brief'));
    const resolver = (await service.statistics())!;
    assert.equal(resolver.containers, 1);
    await until('it is small when it is idle', () => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${resolver.pid}/smaps_rollup`, 'utf8'))![1]) < 30 << 10);
    others.at(-1)!.kill('SIGKILL');
    await until('the names are gone', async () => (await service.statistics())?.containers !== 1);
    service.removeContainer('/');
    await until('the process is gone', () => {
      try {
        return !readFileSync(`/proc/${resolver.pid}/cmdline`, 'utf8').includes('internal');
      } catch {
        return true;
      }
    });
  });

  test('a container that ended before it got sockets, and whose daemon is gone, keeps no process', async () => {
    const pid = await namespace();
    const own = mkdtempSync(join(tmpdir(), 'naru-resolver.'));
    const brief = createDnsService({ stateDir: own, self: [NARU] });
    // No process has this in its cgroup's path: it gets no sockets.
    brief.setContainer('no such container', { ...configuration('lost'), pid });
    let report = await brief.statistics();
    await until('it is known', async () => (report = await brief.statistics())?.containers === 1);
    brief.close();
    others.at(-1)!.kill('SIGKILL');
    await until('the process is gone', () => !existsSync(`/proc/${report!.pid}`));
    rmSync(own, { recursive: true, force: true });
  });

  test('a removal that comes late does not take the next run\'s names away', async () => {
    const [first, second] = [await namespace(), await namespace()];
    service.setContainer('/', { ...configuration('first'), pid: first });
    await until('it answers', () => answers(first, 'first'));
    service.removeContainer('/');
    service.setContainer('/', { ...configuration('second'), pid: second });
    await until('the second answers', () => answers(second, 'second'));
    assert.match(dig(second, 'first'), /status: NXDOMAIN/);
    service.removeContainer('/');
  });
});
