import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';
import { TestDaemon, run } from '../support/daemon.ts';
import { DnsUpstream } from '../support/dns-upstream.ts';
import { TestNamespace } from './net-namespaces.ts';

/** Names at 127.0.0.11 in user-defined networks, with the Docker CLI. */
let d: TestDaemon;
let leave: () => void;
before(async () => {
  leave = new TestNamespace('naru-dns').enter();
  d = await TestDaemon.start({ images: ['busybox', 'debian'] });
});
const deferred: (() => void)[] = [];
const defer = (work: () => void): void => void deferred.push(work);
afterEach(async () => {
  for (const work of deferred.splice(0)) work();
  assert.equal(await d.emptied(), '');
});
after(async () => {
  await d?.destroy();
  leave();
});

const sleeper = (name: string, ...flags: string[]): string => d.ok('run', '-d', '--name', name, ...flags, 'busybox', 'sleep', '600');
/** Not by the command line: it is asked often. */
const inspect = (name: string): { State: { Pid: number }; NetworkSettings: { Networks: Record<string, { IPAddress: string }> } } => d.api('GET', `/v1.51/containers/${name}/json`).json as ReturnType<typeof inspect>;
const pidOf = (name: string): number => inspect(name).State.Pid;
const addressOf = (name: string, network: string): string => inspect(name).NetworkSettings.Networks[network]!.IPAddress;

/** What `dig +short` says inside a container's network namespace, sorted. */
function dig(container: string, ...args: string[]): string[] {
  const { out } = run('nsenter', ['-t', String(pidOf(container)), '-n', 'dig', '@127.0.0.11', '+short', '+tries=1', '+timeout=2', ...args]);
  return out.split('\n').filter((line) => line !== '' && !line.startsWith(';')).sort();
}
const status = (container: string, ...args: string[]): string =>
  /status: (\w+)/.exec(run('nsenter', ['-t', String(pidOf(container)), '-n', 'dig', '@127.0.0.11', '+tries=1', '+timeout=2', ...args]).out)?.[1] ?? 'none';

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 100; i++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`in five seconds not: ${what}`);
}

/** The process that listens at the daemon's dns.sock. */
function resolverPid(): number {
  const { out } = run('ss', ['-xlpH', 'src', `${d.scope.stateDir}/dns.sock`]);
  return Number(/pid=(\d+)/.exec(out)?.[1] ?? 0);
}

describe('names', () => {
  test('containers on a network find one another by name, alias, short id and host name; with the network\'s name behind it; and back by address', () => {
    d.ok('network', 'create', 'front');
    sleeper('web', '--network', 'front', '--network-alias', 'api', '--hostname', 'box.example');
    sleeper('peer', '--network', 'front');
    const address = addressOf('web', 'front');
    const short = d.ok('inspect', '-f', '{{slice .Id 0 12}}', 'web');
    for (const name of ['web', 'api', 'WEB', short, 'box.example', 'web.front', 'api.front']) assert.deepEqual(dig('peer', name), [address], name);
    assert.deepEqual(dig('peer', '-x', address), ['web.front.']);
    assert.match(d.ok('exec', 'peer', 'nslookup', 'web'), new RegExp(`Address: ${address}`));
    assert.match(d.ok('exec', 'peer', 'ping', '-c1', '-W2', 'api'), /1 packets received/);
    assert.equal(d.ok('exec', 'peer', 'sh', '-c', 'grep -v "^#" /etc/resolv.conf | head -1'), 'nameserver 127.0.0.11');
    assert.match(d.ok('exec', 'peer', 'cat', '/etc/resolv.conf'), /^options .*ndots:0$/m);
    const names = JSON.parse(d.ok('inspect', '-f', '{{json .NetworkSettings.Networks.front.DNSNames}}', 'web')) as string[];
    assert.deepEqual(names, ['web', 'api', short, 'box.example']);
  });

  test('glibc\'s own resolver finds them, and the command line tells what was asked', () => {
    d.ok('network', 'create', '--ipv6', '--subnet', 'fd00:5354::/64', 'front');
    d.ok('run', '-d', '--name', 'web', '--network', 'front', '--network-alias', 'api', 'debian', 'sleep', '600');
    const address = addressOf('web', 'front');
    const getent = (...args: string[]): string => d.ok('run', '--rm', '--network', 'front', 'debian', 'getent', ...args);
    assert.match(getent('ahostsv4', 'api'), new RegExp(`^${address.replaceAll('.', '\\.')} +STREAM api`, 'm'));
    assert.match(getent('hosts', address), /web\.front/);
    assert.match(getent('ahosts', 'web'), /^fd00:5354::/m);
    dig('web', 'nobody');
    const table = d.naru('network', 'dns').out;
    assert.match(table, /^CONTAINER +QUERIES +LOCAL +CACHED/);
    assert.match(table, /^web +1 +0 +0 +0 +1 /m);
    const report = JSON.parse(d.naru('network', 'dns', '--format', 'json').out) as { Pid: number; Total: { Local: number; Withheld: number } };
    assert.equal(report.Pid, resolverPid());
    assert.ok(report.Total.Local >= 4 && report.Total.Withheld >= 1, JSON.stringify(report));
  });

  test('a name of several containers is answered with all of them, each first in turn', () => {
    d.ok('network', 'create', 'front');
    for (const name of ['a1', 'a2', 'a3']) sleeper(name, '--network', 'front', '--network-alias', 'many');
    sleeper('peer', '--network', 'front');
    const all = ['a1', 'a2', 'a3'].map((name) => addressOf(name, 'front')).sort();
    assert.deepEqual(dig('peer', 'many'), all);
    const first = (): string => run('nsenter', ['-t', String(pidOf('peer')), '-n', 'dig', '@127.0.0.11', '+short', 'many']).out.split('\n')[0]!;
    assert.deepEqual([first(), first(), first()].sort(), all);
    d.ok('rm', '-f', 'a2');
    assert.deepEqual(dig('peer', 'many'), [all[0], all[2]]);
  });

  test('other networks\' names are nobody\'s business; --link names are the linking container\'s own', () => {
    d.ok('network', 'create', 'front');
    d.ok('network', 'create', 'back');
    sleeper('web', '--network', 'front');
    sleeper('other', '--network', 'back');
    sleeper('peer', '--network', 'front', '--link', 'web:database', '--link', `${d.ok('inspect', '-f', '{{.Id}}', 'web')}:byid`);
    assert.deepEqual(dig('peer', 'byid'), [addressOf('web', 'front')]);
    assert.deepEqual(dig('peer', 'database'), [addressOf('web', 'front')]);
    assert.deepEqual(dig('web', 'database'), []);
    assert.equal(status('web', 'other'), 'NXDOMAIN');
    d.ok('network', 'connect', '--alias', 'second', 'back', 'web');
    assert.deepEqual(dig('web', 'other'), [addressOf('other', 'back')]);
    assert.deepEqual(dig('other', 'second'), [addressOf('web', 'back')]);
    assert.deepEqual(dig('peer', 'other'), []);
  });

  test('IPv6 addresses are found, and a name without any is not "no such name"', () => {
    d.ok('network', 'create', '--ipv6', '--subnet', 'fd00:5353::/64', 'six');
    d.ok('network', 'create', 'four');
    sleeper('web', '--network', 'six');
    sleeper('peer', '--network', 'six');
    const v6 = d.ok('inspect', '-f', '{{.NetworkSettings.Networks.six.GlobalIPv6Address}}', 'web');
    assert.deepEqual(dig('peer', 'web', 'AAAA'), [v6]);
    assert.deepEqual(dig('peer', '-x', v6), ['web.six.']);
    sleeper('plain', '--network', 'four');
    assert.deepEqual(dig('plain', 'plain', 'AAAA'), []);
    assert.equal(status('plain', 'plain', 'AAAA'), 'NOERROR');
  });

  test('connect, disconnect, rename and restart of containers that run are seen at once', async () => {
    d.ok('network', 'create', 'front');
    sleeper('web', '--network', 'front');
    sleeper('late');
    assert.doesNotMatch(d.ok('exec', 'late', 'cat', '/etc/resolv.conf'), /127\.0\.0\.11/);
    d.ok('network', 'connect', '--alias', 'guest', 'front', 'late');
    assert.match(d.ok('exec', 'late', 'cat', '/etc/resolv.conf'), /^nameserver 127\.0\.0\.11$/m);
    await until('the late one resolves', () => dig('late', 'web').join() === addressOf('web', 'front'));
    assert.deepEqual(dig('web', 'guest'), [addressOf('late', 'front')]);
    d.ok('rename', 'late', 'later');
    assert.equal(status('web', 'late'), 'NXDOMAIN');
    assert.deepEqual(dig('web', 'later'), [addressOf('later', 'front')]);
    d.ok('restart', '-t', '0', 'later');
    assert.deepEqual(dig('web', 'later'), [addressOf('later', 'front')]);
    assert.deepEqual(dig('later', 'web'), [addressOf('web', 'front')]);
    d.ok('network', 'disconnect', 'front', 'later');
    assert.equal(status('web', 'later'), 'NXDOMAIN');
  });

  test('a container may bind port 53 itself; one on another\'s network has that one\'s names; the default bridge, host and none have no resolver', async () => {
    d.ok('network', 'create', 'front');
    sleeper('web', '--network', 'front');
    sleeper('own', '--network', 'front');
    // In the container's network namespace, on port 53 of all its addresses; sends back what it gets.
    const server = spawn('nsenter', ['-t', String(pidOf('own')), '-n', 'python3', '-u', '-c', 'import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind(("0.0.0.0",53))\nprint("bound")\nwhile True: s.sendto(*s.recvfrom(999))'], { stdio: ['ignore', 'pipe', 'inherit'] });
    defer(() => server.kill());
    await once(server.stdout, 'data');
    assert.deepEqual(dig('own', 'web'), [addressOf('web', 'front')]);
    assert.match(d.ok('run', '--rm', '--network', 'container:web', 'busybox', 'nslookup', 'own'), new RegExp(`Address: ${addressOf('own', 'front')}`));
    for (const network of ['bridge', 'host', 'none']) assert.doesNotMatch(d.ok('run', '--rm', '--network', network, 'busybox', 'cat', '/etc/resolv.conf'), /127\.0\.0\.11/);
  });
});

/** A network with a container whose namespace has a name server of the test's (its names: dns-upstream.ts). */
async function upstream(name: string, words: readonly string[] = []): Promise<{ server: DnsUpstream; address: string }> {
  sleeper(name, '--network', 'front');
  const server = await DnsUpstream.inNamespaceOf(pidOf(name), words);
  defer(() => server[Symbol.dispose]());
  return { server, address: addressOf(name, 'front') };
}

describe('upstream', () => {
  test('other names are asked for outside: all types, over UDP and TCP, with and without EDNS; what is cut comes whole over TCP', async () => {
    d.ok('network', 'create', 'front');
    const { server, address } = await upstream('names');
    sleeper('asks', '--network', 'front', '--dns', address);
    assert.deepEqual(dig('asks', 'x.a.test'), ['192.0.2.1']);
    assert.deepEqual(dig('asks', '+tcp', 'y.a.test'), ['192.0.2.1']);
    assert.deepEqual(dig('asks', '+noedns', 'z.a.test'), ['192.0.2.1']);
    assert.deepEqual(dig('asks', 'SRV', '_s._tcp.srv.test'), ['1 2 80 target.a.test.']);
    assert.equal(dig('asks', '+ignore', 'TXT', 'big.test').length, 0);
    assert.ok(dig('asks', 'TXT', 'big.test').join('').length > 7900);
    assert.equal(status('asks', 'none.test'), 'NXDOMAIN');
    assert.equal(status('asks', 'fails.test'), 'SERVFAIL');
    assert.ok(server.asked.includes('tcp y.a.test A') && server.asked.includes('udp x.a.test A') && server.asked.includes('udp _s._tcp.srv.test SRV'), server.asked.join());
    assert.match(d.ok('exec', 'asks', 'nslookup', 'busy.a.test'), /Address: 192\.0\.2\.1/);
    const before = server.asked.length;
    assert.deepEqual(dig('asks', 'X.A.test'), ['192.0.2.1']);
    assert.equal(server.asked.length, before, 'what was answered a moment ago is remembered');
  });

  test('a server that is silent, refuses or is not there costs a moment, not the answer', async () => {
    d.ok('network', 'create', 'front');
    const [bad, good] = [await upstream('deaf', ['silent']), await upstream('names')];
    sleeper('none', '--network', 'front');
    sleeper('asks', '--network', 'front', '--dns', bad.address, '--dns', addressOf('none', 'front'), '--dns', good.address, '--dns-opt', 'timeout:1');
    const took = (name: string): number => {
      const began = performance.now();
      assert.deepEqual(dig('asks', '+timeout=4', name), ['192.0.2.1']);
      return performance.now() - began;
    };
    assert.ok(took('first.a.test') >= 990, 'the silent one was waited for');
    assert.ok(took('second.a.test') < 900, 'now it is asked last');
    assert.equal(bad.server.asked.length, 1);
    sleeper('alone', '--network', 'front', '--dns', bad.address, '--dns-opt', 'timeout:1', '--dns-opt', 'attempts:1');
    const began = performance.now();
    assert.equal(status('alone', '+timeout=4', 'x.a.test'), 'SERVFAIL');
    assert.ok(performance.now() - began < 2500);
  });

  test('search domains and options are the flags\', and names of ours stay here', async () => {
    d.ok('network', 'create', 'front');
    d.ok('network', 'create', 'my_app');
    const { server, address } = await upstream('names');
    sleeper('asks', '--network', 'front', '--dns', address, '--dns-search', 'a.test', '--dns-opt', 'ndots:1');
    d.ok('network', 'connect', 'my_app', 'asks');
    assert.deepEqual(d.ok('exec', 'asks', 'grep', '-v', '^#', '/etc/resolv.conf').split('\n'), ['nameserver 127.0.0.11', 'search a.test', 'options ndots:1']);
    assert.match(d.ok('exec', 'asks', 'ping', '-c1', '-W1', 'names.'), new RegExp(`\\(${addressOf('names', 'front')}\\)[^]*1 packets received`)); // without the dot it would be looked for below the search domain first, as ndots says
    assert.match(d.ok('exec', 'asks', 'nslookup', 'plain'), /Name:\tplain\.a\.test\nAddress: 192\.0\.2\.1/);
    for (const name of ['nobody', 'nobody.my_app', 'names.front', '_http._tcp.names']) dig('asks', name);
    for (const words of [['names', 'MX'], ['names', 'TXT'], ['names', '-c', 'CH'], ['-x', '172.31.255.253'], ['-x', address.replace(/\d+$/, '199')]]) dig('asks', ...words);
    const names = server.asked.map((line) => line.split(' ')[1]).filter((name) => !name!.endsWith('.a.test') && !name!.startsWith('253.255.31'));
    assert.deepEqual(names, [], 'nothing of ours was asked for outside');
  });
});

describe('who may die', () => {
  test('names resolve while the daemon is dead, after it came back, and after the resolver was killed', async () => {
    d.ok('network', 'create', 'front');
    sleeper('web', '--network', 'front');
    sleeper('peer', '--network', 'front');
    const address = addressOf('web', 'front');
    const inside = (): string[] => run('nsenter', ['-t', pid, '-n', 'dig', '@127.0.0.11', '+short', '+tries=1', '+timeout=1', 'web']).out.trim().split('\n');
    const pid = String(pidOf('peer'));
    const first = resolverPid();
    assert.match(readFileSync(`/proc/${first}/cmdline`, 'utf8'), /internal\0dns/);
    await d.down('SIGKILL');
    assert.deepEqual(inside(), [address]);
    await d.up();
    assert.deepEqual(inside(), [address]);
    assert.equal(resolverPid(), first, 'the resolver was kept');
    process.kill(first, 'SIGKILL');
    await until('another resolver answers', () => inside().join() === address);
    const second = resolverPid();
    assert.notEqual(second, first);
    await d.down('SIGKILL');
    process.kill(second, 'SIGKILL');
    await d.up();
    await until('a new daemon repairs it', () => inside().join() === address);
    assert.deepEqual(dig('web', 'peer'), [addressOf('peer', 'front')]);
  });
});
