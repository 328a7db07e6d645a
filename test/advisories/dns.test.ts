import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { TestDaemon, run } from '../support/daemon.ts';
import { DnsUpstream } from '../support/dns-upstream.ts';
import { TestNamespace } from '#test/system/net-namespaces.ts';

/** Attacks by way of names, in a network namespace of the test's own, by the Docker CLI: through the resolver of an internal network (CVE-2024-29018), and by false answers. */
let d: TestDaemon;
let leave: () => void;
before(async () => {
  leave = new TestNamespace('naru-names').enter();
  d = await TestDaemon.start();
});
const servers: DnsUpstream[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) server[Symbol.dispose]();
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
const dig = (container: string, ...args: string[]): string => run('nsenter', ['-t', String(pidOf(container)), '-n', 'dig', '@127.0.0.11', '+tries=1', '+timeout=3', ...args]).out;

async function serverIn(name: string): Promise<DnsUpstream> {
  const server = await DnsUpstream.inNamespaceOf(pidOf(name));
  servers.push(server);
  return server;
}

test('a container of an internal network tells nobody outside anything: its questions do not leave, whatever they carry', async () => {
  d.ok('network', 'create', 'outer');
  d.ok('network', 'create', '--internal', 'inner');
  sleeper('world', '--network', 'outer');
  const world = await serverIn('world');
  // The server is named outright, and the host could reach it.
  sleeper('caged', '--network', 'inner', '--dns', addressOf('world', 'outer'), '--dns-opt', 'timeout:1', '--dns-opt', 'attempts:1');
  sleeper('friend', '--network', 'inner');
  assert.match(dig('caged', 'friend'), new RegExp(addressOf('friend', 'inner')));
  for (const words of [['secret.a.test'], ['+tcp', 'secret2.a.test'], ['TXT', 'secret3.a.test'], ['-x', '192.0.2.1']]) assert.match(dig('caged', ...words), /status: SERVFAIL/);
  // The host's own servers neither: they would be asked from the host's namespace.
  sleeper('plain', '--network', 'inner');
  assert.match(dig('plain', 'secret4.a.test'), /status: SERVFAIL/);
  assert.deepEqual(world.asked, []);
  // Connected to a network that leads out it may ask; disconnected again it may not.
  d.ok('network', 'connect', 'outer', 'caged');
  assert.match(dig('caged', 'open.a.test'), /192\.0\.2\.1/);
  d.ok('network', 'disconnect', 'outer', 'caged');
  assert.match(dig('caged', 'shut.a.test'), /status: SERVFAIL/);
  assert.deepEqual(world.asked, ['udp open.a.test A']);
});

test('answers that are none of ours are not taken: from another port, with another id, another question, other letters, circles; and none speaks for a name of ours', async () => {
  d.ok('network', 'create', 'front');
  sleeper('names', '--network', 'front');
  const server = await serverIn('names');
  sleeper('web', '--network', 'front');
  sleeper('asks', '--network', 'front', '--dns', addressOf('names', 'front'), '--dns-opt', 'timeout:1', '--dns-opt', 'attempts:1');
  const forged = dig('asks', '+short', 'forged.test');
  assert.equal(forged, '192.0.2.3\n', 'the true one, behind one from another port and three false ones');
  assert.equal(dig('asks', '+short', 'Lower.test'), '192.0.2.2\n');
  assert.deepEqual(server.asked.filter((line) => line.includes('lower')), ['udp lower.test A', 'tcp lower.test A'], 'letters that come back otherwise are asked for over a connection');
  assert.match(dig('asks', 'loop.test'), /status: SERVFAIL/);
  assert.equal((dig('asks', '+short', 'huge.test', 'TXT').match(/x/g) ?? []).length, 250 * 249, 'the largest there are come whole, by a connection');
  // Its additional section says that `web` is elsewhere.
  assert.match(dig('asks', 'x.a.test'), /192\.0\.2\.1/);
  assert.equal(dig('asks', '+short', 'web').trim(), addressOf('web', 'front'));
  assert.ok(!server.asked.some((line) => line.includes(' web ')));
});

test('with --dns-opt no-rebind the world\'s names do not lead into the container\'s networks, to itself or to its link', async () => {
  d.ok('network', 'create', 'front');
  sleeper('names', '--network', 'front');
  await serverIn('names');
  const address = addressOf('names', 'front');
  sleeper('wary', '--network', 'front', '--dns', address, '--dns-opt', 'no-rebind');
  sleeper('plain', '--network', 'front', '--dns', address);
  for (const near of [address, '127.0.0.1', '169.254.169.254', '0.0.0.0']) {
    assert.match(dig('wary', `${near}.at.test`), /status: SERVFAIL/, near);
    assert.equal(dig('plain', '+short', `${near}.at.test`).trim(), near);
  }
  assert.equal(dig('wary', '+short', '198.51.100.7.at.test').trim(), '198.51.100.7');
  assert.equal(dig('wary', '+short', 'names').trim(), address, 'names of ours do');
});

test('questions that are noise are refused or dropped, and the next good one is answered', () => {
  d.ok('network', 'create', 'front');
  sleeper('web', '--network', 'front');
  const script = `
import socket,os,random
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(2); s.connect(("127.0.0.11",53))
good=bytes.fromhex("0001010000010000000000000377656200 00010001".replace(" ",""))
random.seed(1)
for i in range(3000):
    b=bytearray(good+os.urandom(random.randrange(40)))
    for _ in range(random.randrange(1,6)): b[random.randrange(len(b))]=random.randrange(256)
    s.send(bytes(b[:random.randrange(len(b)+1)]) or b"x")
for bad in (good[:12]+b"\\xc0\\x0c\\0\\1\\0\\1", good[:12]+b"\\x3f"*300, b"", good*200, os.urandom(60000)): s.send(bad)
t=[socket.create_connection(("127.0.0.11",53)) for _ in range(100)]
for c in t[:60]: c.send(b"\\xff\\xff"+b"x"*50)
s2=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s2.settimeout(5); s2.connect(("127.0.0.11",53))
s2.send(b"\\x7a\\x7a"+good[2:]); r=s2.recv(999); print(r[:2].hex(), r[3]&15, r[7])
c=socket.create_connection(("127.0.0.11",53)); del t; c.close()
`;
  const { out, err } = run('nsenter', ['-t', String(pidOf('web')), '-n', 'python3', '-c', script]);
  assert.equal(out.trim(), '7a7a 0 1', err);
  assert.equal(dig('web', '+short', '+tcp', 'web').trim(), addressOf('web', 'front'));
});
