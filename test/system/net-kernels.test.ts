import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { TestDaemon } from '../support/daemon.ts';
import { TestNamespace } from './net-namespaces.ts';

/** What the network owes to a kernel that can less: here on this machine's, in test/vm on one of 6.1 that lacks all three. Each test says what is true on both. */
describe('on this kernel, by the Docker CLI', () => {
  let host: TestNamespace, far: TestNamespace;
  let daemon: TestDaemon;
  before(async () => {
    [host, far] = ['host', 'far'].map((name) => new TestNamespace(`naru-kernel-${name}`)) as [TestNamespace, TestNamespace];
    host.ip('link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', far.name);
    for (const [space, number] of [[host, 1], [far, 2]] as const) {
      space.ip('address', 'add', `10.202.0.${number}/24`, 'dev', 'wire');
      space.ip('link', 'set', 'wire', 'up');
    }
    daemon = await TestDaemon.start({ namespace: host });
  });
  afterEach(async () => {
    assert.equal(await daemon.emptied(), '');
  });
  after(async () => {
    await daemon?.destroy();
    for (const space of [host, far]) space?.remove();
  });

  const until = async (what: string, check: () => boolean): Promise<void> => {
    for (const end = Date.now() + 30_000; !check(); await pause(50)) if (Date.now() > end) assert.fail(`never: ${what}; the log: ${daemon.log()}`);
  };
  const curl = (url: string): { out: string; code: number } => {
    const { stdout, status } = spawnSync('ip', ['netns', 'exec', host.name, 'curl', '-g', '-s', '-m', '5', url], { encoding: 'utf8' });
    return { out: stdout.trim(), code: status ?? 128 };
  };
  const server = (name: string, ...flags: string[]): void => {
    daemon.ok('run', '-d', '--name', name, ...flags, 'busybox', 'sh', '-c', `echo ${name} >/tmp/index.html; exec httpd -f -h /tmp -p '[::]:80'`);
    daemon.ok('exec', name, 'sh', '-c', 'until netstat -ltn | grep -q ":80 "; do usleep 10000; done');
  };
  /** What the kernel answers to a rule of a table that nobody needs. */
  const kernelTakes = (rules: string): boolean => {
    const tried = spawnSync('ip', ['netns', 'exec', far.name, 'nft', rules]).status === 0;
    spawnSync('ip', ['netns', 'exec', far.name, 'nft', 'flush ruleset']);
    return tried;
  };

  test('whatever somebody flushes of nftables, published ports answer and containers are kept apart: it is not theirs to flush, or it is noticed, repaired and said in the log', async () => {
    daemon.ok('network', 'create', '--ipv6', 'six');
    server('web', '--network', 'six', '-p', '8080:80');
    const rules = (): string => ['inet', 'bridge', 'ip6'].map((family) => spawnSync('ip', ['netns', 'exec', host.name, 'nft', '-s', 'list', 'table', family, daemon.scope.nftTable], { encoding: 'utf8' }).stdout).join('');
    const before = rules();
    const owned = /flags .*owner/.test(before);
    assert.match(before, /no address of somebody else/, daemon.log());
    host.exec('nft', 'add table inet firewalld');
    for (const command of owned ? ['flush ruleset', `delete table bridge ${daemon.scope.nftTable}`, `flush table inet ${daemon.scope.nftTable}`] : ['flush ruleset']) {
      const said = daemon.log().split('somebody else deleted nftables rules').length;
      spawnSync('ip', ['netns', 'exec', host.name, 'nft', command]);
      if (!owned) await until(`said after ${command}`, () => daemon.log().split('somebody else deleted nftables rules').length > said);
      assert.equal(rules(), before, command);
      assert.equal(curl('http://127.0.0.1:8080/').out, 'web');
    }
    assert.doesNotMatch(host.exec('nft', 'list', 'tables'), /firewalld/, 'the flush was one');
    if (owned) assert.doesNotMatch(daemon.log(), /somebody else deleted/);
    else assert.match(daemon.log(), new RegExp(`somebody else deleted nftables rules of naru's \\(table inet ${daemon.scope.nftTable}, table bridge ${daemon.scope.nftTable}(, table ip6 \\S+)?\\): restored`));
    // While no daemon runs they are nobody's: the next one says what it found
    await daemon.down('SIGKILL');
    host.exec('nft', 'flush', 'ruleset');
    assert.equal(curl('http://127.0.0.1:8080/').code, 7, 'refused');
    await daemon.up();
    assert.match(daemon.log(), /the nftables rules of containers that run were deleted while no daemon did: restored/);
    assert.equal(curl('http://127.0.0.1:8080/').out, 'web');
  });

  test('::1 reaches published ports where the kernel can send a packet round once more; where not, it is said, and ::1 is refused at once', () => {
    const dup = kernelTakes('add table ip6 t; add chain ip6 t c { type filter hook prerouting priority -301 ; }; add rule ip6 t c dup to fe80::1 device lo');
    daemon.ok('network', 'create', '--ipv6', '--subnet', 'fd5c::/64', 'six');
    server('web', '--network', 'six', '-p', '8080:80');
    assert.equal(curl('http://127.0.0.1:8080/').out, 'web');
    assert.equal(curl('http://[fd5c::1]:8080/').out, 'web');
    assert.deepEqual(curl('http://[::1]:8080/'), dup ? { out: 'web', code: 0 } : { out: '', code: 7 });
    assert.equal(/published ports are not reached at ::1: nftables table/.test(daemon.log()), !dup);
    assert.equal(/ng[0-9a-f]{8}o/.test(host.ip('-o', 'link')), dup, 'the pair is there for it alone');
    assert.equal(curl('http://localhost:8080/').out, 'web', 'clients try one after the other');
  });

  test('ipvlan where the kernel has it, modes l2 and l3; where not, the refusal says so', async () => {
    const tried = spawnSync('ip', ['-n', host.name, 'link', 'add', 'link', 'wire', 'name', 'try', 'type', 'ipvlan'], { encoding: 'utf8' });
    spawnSync('ip', ['-n', host.name, 'link', 'del', 'try']);
    const create = (name: string, ...words: string[]) => daemon.docker('network', 'create', '-d', 'ipvlan', '-o', 'parent=wire', ...words, name);
    const refused = (pattern: RegExp, ...words: string[]): void => assert.match(daemon.docker('network', 'create', '-d', 'ipvlan', ...words, 'bad').err, pattern);
    refused(/requested ipvlan mode 'l9' is not valid, 'l2' mode is the ipvlan driver default/, '-o', 'parent=wire', '-o', 'ipvlan_mode=l9');
    refused(/requested ipvlan flag 'x' is not valid, 'bridge' is the ipvlan driver default/, '-o', 'parent=wire', '-o', 'ipvlan_flag=x');
    refused(/loopback interface is not a valid ipvlan parent link/, '-o', 'parent=lo');
    refused(/invalid parent nowhere0/, '-o', 'parent=nowhere0');
    if (tried.status !== 0) {
      assert.match(tried.stderr, /Unknown device type/);
      assert.match(create('wire').err, /network driver ipvlan: this host's kernel has no ipvlan/);
      assert.equal(daemon.ok('network', 'ls', '-q', '-f', 'type=custom'), '');
      return;
    }
    assert.equal(create('wire', '--subnet', '10.202.0.0/24', '--gateway', '10.202.0.2', '--ip-range', '10.202.0.64/26').code, 0);
    for (const name of ['one', 'two']) daemon.ok('run', '-d', '--name', name, '--network', 'wire', 'busybox', 'sleep', '600');
    const at = (name: string, network: string): string => daemon.ok('inspect', '-f', `{{.NetworkSettings.Networks.${network}.IPAddress}}`, name);
    const ping = (name: string, address: string): void => assert.match(daemon.ok('exec', name, 'ping', '-c', '1', '-W', '5', address), /1 packets received/);
    ping('one', '10.202.0.2');
    ping('two', at('one', 'wire'));
    assert.match(daemon.ok('exec', 'one', 'ip', 'route'), /default via 10\.202\.0\.2 dev eth0/);
    const mac = (link: string): string => /link\/ether (\S+)/.exec(link)![1]!;
    assert.equal(mac(daemon.ok('exec', 'one', 'ip', 'link', 'show', 'eth0')), mac(host.ip('link', 'show', 'wire')), 'the parent\'s own');
    assert.match(daemon.docker('run', '--rm', '--network', 'wire', '--mac-address', '02:00:00:00:00:07', 'busybox', 'true').err, /ipvlan interfaces do not support custom mac address assignment/);
    daemon.ok('network', 'disconnect', 'wire', 'two');
    daemon.ok('network', 'connect', 'wire', 'two');
    ping('two', '10.202.0.2');
    await daemon.removeAll();
    daemon.ok('network', 'rm', 'wire');
    // l3: the host's own routing, no gateway
    assert.equal(create('straight', '--subnet', '10.203.0.0/24', '-o', 'ipvlan_mode=l3').code, 0);
    daemon.ok('run', '-d', '--name', 'one', '--network', 'straight', 'busybox', 'sleep', '600');
    assert.match(daemon.ok('exec', 'one', 'ip', 'route'), /default dev eth0/);
    far.ip('route', 'add', '10.203.0.0/24', 'via', '10.202.0.1');
    ping('one', '10.202.0.2');
  });
});
