import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { createDnsService } from '#net/dns/create-dns-service.ts';
import type { DnsConfiguration, DnsService } from '#net/dns/port.ts';
import { NARU, run } from '../support/daemon.ts';
import { DnsUpstream } from '../support/dns-upstream.ts';
import { OwnHost } from '../support/own-host.ts';

const dig = (pid: number, ...words: string[]): string => run('nsenter', ['-t', String(pid), '-n', 'dig', '@127.0.0.11', '+tries=1', '+timeout=3', ...words]).out;
async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.fail(`in five seconds not: ${what}`);
}
/** Whether this process, or whatever has its number now, is no resolver. */
const isGone = (pid: number): boolean => {
  try {
    return !readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('internal');
  } catch {
    return true;
  }
};

/** Asks for a thousand names that nobody answers, until one is refused; how many were by the end. */
const FLOOD = `
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
`;

/** The host's name server is at its 127.0.0.1, and its resolv.conf says so. */
describe('the resolver, by the Docker CLI', () => {
  let own: OwnHost;
  let upstream: DnsUpstream;
  const directory = mkdtempSync(join(tmpdir(), 'naru-resolver.'));
  before(async () => {
    const conf = join(directory, 'resolv.conf');
    writeFileSync(conf, 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n');
    own = await OwnHost.start('asked', { program: ['unshare', '-m', 'sh', '-c', 'mount --bind "$0" /etc/resolv.conf && exec "$@"', conf, NARU] });
    upstream = await DnsUpstream.inNamespaceOf(own.daemon.scope.daemonPid);
  });
  afterEach(() => own.clear());
  after(async () => {
    upstream?.[Symbol.dispose]();
    await own?.end();
    rmSync(directory, { recursive: true, force: true });
  });

  const pidOf = (name: string): number => Number(own.inspect(name, '{{.State.Pid}}'));
  interface Report { Pid: number; Total: Record<string, number> }
  const metrics = (): Report => JSON.parse(own.daemon.naru('network', 'dns', '--format', 'json').out) as Report;

  test('a server on the host\'s loopback is asked from there, unless the container is on internal networks alone', () => {
    own.daemon.ok('network', 'create', 'front');
    own.daemon.ok('network', 'create', '--internal', 'inner');
    own.sleeper('open', '--network', 'front');
    const pid = pidOf('open');
    assert.match(dig(pid, 'x.example'), /status: NXDOMAIN/);
    assert.deepEqual(upstream.asked, ['udp x.example A']);
    assert.match(dig(pid, 'X.EXAMPLE'), /status: NXDOMAIN/);
    assert.equal(upstream.asked.length, 2, 'without a SOA nobody knows for how long there is no such name');
    own.daemon.ok('network', 'connect', 'inner', 'open');
    own.daemon.ok('network', 'disconnect', 'front', 'open');
    assert.match(dig(pid, 'y.example'), /status: SERVFAIL/);
    assert.equal(upstream.asked.length, 2);
    own.daemon.ok('network', 'connect', 'front', 'open');
    assert.match(dig(pid, 'z.a.test'), /192\.0\.2\.1/);
  });

  test('one container that asks more than it may keeps no other from an answer, and that is counted', async () => {
    own.daemon.ok('network', 'create', 'front');
    own.sleeper('greedy', '--network', 'front', '--dns-opt', 'timeout:20');
    own.sleeper('modest', '--network', 'front');
    const heard = upstream.asked.length;
    const flood = spawn('nsenter', ['-t', String(pidOf('greedy')), '-n', 'python3', '-c', FLOOD], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    flood.stdout.on('data', (bytes) => (said += String(bytes)));
    await once(flood, 'close');
    assert.ok(Number(said) > 0, 'what was too much is refused at once');
    assert.ok(upstream.asked.length - heard <= 256, `${upstream.asked.length - heard} reached the server`);
    // While all that the greedy one may ask is under way
    assert.equal(dig(pidOf('modest'), '+short', 'greedy').trim(), own.address('greedy', 'front'));
    assert.match(dig(pidOf('modest'), 'fair.a.test'), /192\.0\.2\.1/);
    const { Total } = metrics();
    assert.ok((Total['Refused'] ?? 0) > 0 && (Total['Forwarded'] ?? 0) >= 257, JSON.stringify(Total));
    const [greedy, modest] = ['greedy', 'modest'].map((name) => new RegExp(`^${name} .*$`, 'm').exec(own.daemon.naru('network', 'dns').out)?.[0] ?? '');
    assert.match(`${greedy}\n${modest}`, /^greedy +\d{2,} .*\nmodest +2 /);
  });

  test('the process is small when it is idle, ends when nobody needs it, and notices a container\'s end though no daemon says so', async () => {
    own.daemon.ok('network', 'create', 'front');
    own.sleeper('brief', '--network', 'front');
    const pid = pidOf('brief');
    assert.equal(dig(pid, '+short', 'brief').trim(), own.address('brief', 'front'));
    const { Pid: first } = metrics();
    await until('it is small', () => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${first}/smaps_rollup`, 'utf8'))![1]) < 30 << 10);
    own.daemon.ok('rm', '-f', 'brief');
    await until('the process is gone with its last container', () => isGone(first));
    own.sleeper('brief', '--network', 'front');
    const next = pidOf('brief');
    assert.match(dig(next, '+short', 'brief'), /^\d/);
    const { Pid: second } = metrics();
    await own.daemon.down('SIGKILL');
    assert.match(dig(next, '+short', 'brief'), /^\d/);
    process.kill(next, 'SIGKILL');
    await until('the process is gone without anybody saying so', () => isGone(second));
    await own.daemon.up();
  });
});

/** What no command line brings about at will: messages to the resolver's process that cross. With network namespaces of the test's own for containers. */
describe('the resolver\'s process by itself', () => {
  const state = mkdtempSync(join(tmpdir(), 'naru-resolver.'));
  const others: ChildProcess[] = [];
  let service: DnsService;
  before(() => {
    service = createDnsService({ stateDir: state, self: [NARU] });
  });
  after(() => {
    service.close();
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
  const configuration = (name: string): DnsConfiguration => ({
    name, networks: [{ networkId: 'n', networkName: 'net', addresses: [`10.9.0.${name.length}`], names: [name], subnets: ['10.9.0.0/24'] }],
    upstreams: [], options: ['timeout:1', 'attempts:1'],
  });
  const answers = (pid: number, name: string): boolean => dig(pid, '+short', name).trim() === `10.9.0.${name.length}`;

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
