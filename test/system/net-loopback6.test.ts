import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { formatIp, tryParseIp } from '#net/ip.ts';
import { sendFrame } from '#test/system/net-router-advertisement.ts';
import { TestDaemon } from '../support/daemon.ts';
import { loopOf } from '../support/leak-oracle.ts';
import { OwnHost, lesserKernel } from '../support/own-host.ts';

/** aa: a container that publishes; bb: its neighbour, an attacker. */
describe('published ports at ::1, by the Docker CLI', () => {
  let own: OwnHost;
  /** Who asks by ::1, as containers see him: an address that comes of the table's name. */
  let standIn: string;
  before(async () => {
    own = await OwnHost.start('six', { daemon: ['--fixed-cidr-v6', 'fd0c::/64'] });
    const tag = loopOf(own.daemon.scope).slice(2, 10);
    standIn = formatIp(tryParseIp(`fd6e:6172:75::${tag.slice(0, 4)}:${tag.slice(4)}`)!);
    own.sleeper('aa', '-p', '8080:80', '-p', '[::1]:8081:81', '-p', '5353:53/udp', '-p', '7000:7000', '-p', '7001:7001', '-p', '9000:8000', '-p', '9001:8001');
    own.sleeper('bb');
    for (const number of [80, 81, 7001]) await own.in('aa').serve('tcp', number, `a${number}`, '::');
    await own.in('aa').serve('tcp', 8001, 'echo', '::');
    await own.in('aa').serve('udp', 53, 'a53', '::');
    await own.in('host').serve('tcp', 9999, 'the host', '::1');
  });
  after(async () => {
    try {
      await own.clear();
    } finally {
      await own.end();
    }
  });

  const ask = async (from: string, protocol: 'tcp' | 'udp', address: string, number: number, answer: string): Promise<void> => assert.equal(await own.in(from).ask(protocol, address, number), answer);

  // The module br_netfilter has answers rewritten before the kernel looks at them: it would drop ::1 then
  for (const netfilter of existsSync('/proc/sys/net/bridge') ? ['0', '1'] : ['absent']) {
    test(`tcp, udp, ranges, one address alone (bridge-nf-call-ip6tables=${netfilter}); another's firewall that forwards nothing does not matter`, async () => {
      if (netfilter !== 'absent') own.host.exec('sysctl', '-q', '-w', `net.bridge.bridge-nf-call-ip6tables=${netfilter}`);
      own.host.exec('nft', 'add table ip6 other; add chain ip6 other FORWARD { type filter hook forward priority 0 ; policy drop ; }');
      try {
        await ask('host', 'tcp', '::1', 8080, `a80 ${standIn}`);
        await ask('host', 'tcp', '::1', 8081, `a81 ${standIn}`);
        await ask('host', 'udp', '::1', 5353, `a53 ${standIn}`);
        await ask('host', 'tcp', '::1', 7001, `a7001 ${standIn}`);
        assert.equal(await own.in('host').open('::1', 9001), 'ok');
        const word = 'x'.repeat(30_000);
        assert.equal((await own.in('host').say(word)).slice(0, 1000), word.slice(0, 1000));
      } finally {
        own.host.exec('nft', 'delete', 'table', 'ip6', 'other');
      }
    });
  }

  test('daemons side by side do not take one another\'s answers, nor ports', async () => {
    const beside = await TestDaemon.start({ namespace: own.host, daemon: ['--fixed-cidr-v6', 'fd0f::/64'] });
    try {
      beside.ok('run', '-d', '--name', 'cc', '-p', '8090:80', 'busybox', 'sh', '-c', 'echo c80 >/tmp/index.html; exec httpd -f -h /tmp -p "[::]:80"');
      await own.until('it serves', () => own.host.exec('sh', '-c', 'curl -g -s -m 2 http://[::1]:8090/ || true') === 'c80\n');
      await ask('host', 'tcp', '::1', 8080, `a80 ${standIn}`);
      assert.match(beside.docker('run', '--rm', '-p', '8080:80', 'busybox', 'true').err, /failed to bind host port for 0\.0\.0\.0:8080:\S+: address already in use/);
      own.refused(/failed to bind host port for 0\.0\.0\.0:8090:\S+: address already in use/, 'run', '--rm', '-p', '8090:80', 'busybox', 'true');
      assert.equal(await beside.leaked(), '');
    } finally {
      await beside.destroy();
      for (const link of [beside.scope.bridge, loopOf(beside.scope)]) own.host.exec('sh', '-c', `ip link del ${link} || true`);
      for (const family of ['inet', 'bridge', 'ip6']) own.host.exec('sh', '-c', `nft delete table ${family} ${beside.scope.nftTable} || true`);
    }
    await ask('host', 'tcp', '::1', 8080, `a80 ${standIn}`);
  });

  test('a packet to the stand-in that answers nobody ends there, even where the host would have a way for it', async () => {
    own.host.ip('-6', 'address', 'add', `${standIn}/128`, 'dev', 'lo', 'nodad');
    try {
      await own.in('host').serve('tcp', 9998, 'the host', '::');
      assert.match(await own.in('bb').ask('tcp', 'fd0c::1', 9998), /^the host /);
      assert.equal(await own.in('bb').ask('tcp', standIn, 9998, { timeoutMs: 300 }), 'timeout');
    } finally {
      own.host.ip('-6', 'address', 'del', `${standIn}/128`, 'dev', 'lo');
    }
  });

  test('what nobody published there is as it was', async () => {
    await ask('host', 'tcp', '::1', 8082, 'ECONNREFUSED');
    await ask('host', 'tcp', '::1', 9999, 'the host ::1');
    await ask('host', 'tcp', 'fd0c::1', 8080, 'a80 fd0c::1');
    await ask('host', 'tcp', 'fd0c::1', 8081, 'ECONNREFUSED'); // published at ::1 alone
  });

  test('attack 46: a container reaches nothing by the name of ::1, nor by that of its stand-in', async () => {
    const { host } = own, attacker = own.space('bb');
    const [source, mac] = [own.address6('bb'), own.inspect('bb', '{{.NetworkSettings.MacAddress}}')];
    assert.notEqual(await own.in('bb').ask('tcp', standIn, 8080, { timeoutMs: 200 }), `a80 ${source}`);
    assert.notEqual(await own.in('bb').ask('tcp', standIn, 9999, { timeoutMs: 200 }), 'the host ::1');
    host.exec('nft', 'add table ip6 seen; add chain ip6 seen asked { type filter hook postrouting priority 300 ; }');
    host.exec('nft', 'add', 'rule', 'ip6', 'seen', 'asked', 'tcp', 'dport', '{ 81, 9999 }', 'counter', 'comment', '"to the target"');
    // A frame to ::1, as from the attacker, and one as from ::1
    const bridge = host.ip('link', 'show', own.daemon.scope.bridge).match(/link\/ether (\S+)/)![1]!;
    const index = Number(/^(\d+):/.exec(attacker.ip('-o', 'link', 'show', 'eth0'))![1]);
    const before = rewritten();
    try {
      for (const [from, destination, number] of [[source, '::1', 8081], [source, '::1', 9999], ['::1', 'fd0c::1', 8080]] as const) {
        attacker.within(() => sendFrame(index, synFrame({ from: mac, to: bridge, source: from, destination, number })));
      }
      assert.match(await own.in('bb').ask('tcp', 'fd0c::1', 8080), /^a80 /); // the bridge has dealt with the frames before this
      assert.match(host.exec('nft', 'list', 'chain', 'ip6', 'seen', 'asked'), /counter packets 0 bytes 0/);
      assert.equal(rewritten(), before, 'no tracked connection was made of them');
    } finally {
      host.exec('nft', 'delete', 'table', 'ip6', 'seen');
    }
  });

  /** Tracked connections that were rewritten, from or to ::1. */
  const rewritten = (): number => own.tracked('0000:0000:0000:0000:0000:0000:0000:0001 .*sport=4242 ');
});

describe('on a kernel whose nftables has no `dup`, by the Docker CLI', () => {
  let own: OwnHost;
  before(async () => {
    own = await OwnHost.start('nodup', { daemon: ['--fixed-cidr-v6', 'fd1f::/64'], program: lesserKernel('dup') });
  });
  after(() => own.end());

  test('it is said, the rest is there, ::1 is refused at once, and nothing of the loop is left', async () => {
    own.sleeper('cc', '-p', '8095:80');
    await own.in('cc').serve('tcp', 80, 'c80', '::');
    assert.match(await own.in('host').ask('tcp', '127.0.0.1', 8095), /^c80 /);
    assert.match(await own.in('host').ask('tcp', 'fd1f::1', 8095), /^c80 /);
    assert.equal(await own.in('host').ask('tcp', '::1', 8095), 'ECONNREFUSED');
    const said = own.daemon.log().split('\n').filter((line) => line.includes('::1'));
    assert.equal(said.length, 1, own.daemon.log());
    assert.match(said[0]!, new RegExp(`published ports are not reached at ::1: nftables table ${own.daemon.scope.nftTable}: .*no such file or directory$`));
    assert.doesNotMatch(own.ruleset(), /table ip6 /);
    assert.doesNotMatch(own.host.ip('-o', 'link'), /ng[0-9a-f]{8}/);
    await own.clear();
  });
});

const groups = (address: string): string => {
  const [head = '', tail = ''] = address.split('::');
  const left = head.split(':').filter((each) => each !== ''), right = tail.split(':').filter((each) => each !== '');
  return [...left, ...Array.from({ length: 8 - left.length - right.length }, () => '0'), ...right].map((each) => each.padStart(4, '0')).join('');
};

/** The first packet of a connection, from port 4242. */
function synFrame({ from, to, source, destination, number }: { from: string; to: string; source: string; destination: string; number: number }): Uint8Array {
  const bytes = (text: string): Buffer => Buffer.from(text.replaceAll(/[ :]/g, ''), 'hex');
  const tcp = bytes(`1092 ${number.toString(16).padStart(4, '0')} 00000001 00000000 5002 ffff 0000 0000`);
  const checked = Buffer.concat([bytes(`${groups(source)} ${groups(destination)} 00000014 00000006`), tcp]);
  let sum = 0;
  for (let at = 0; at < checked.byteLength; at += 2) sum += checked.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  tcp.writeUInt16BE(~sum & 0xffff, 16);
  return Buffer.concat([bytes(`${to} ${from} 86dd 60000000 0014 06 40 ${groups(source)} ${groups(destination)}`), tcp]);
}
