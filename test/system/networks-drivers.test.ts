import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, afterEach, before, describe, test } from 'node:test';
import { TestDaemon } from '../support/daemon.ts';
import { TestNamespace, run } from './net-namespaces.ts';

/** A daemon with words of its own: pools, MTU, IPv6 on the default bridge. */
describe('drivers, modes and the daemon\'s options, by the Docker CLI', () => {
  let daemon: TestDaemon;
  let leave: () => void;
  before(async () => {
    leave = new TestNamespace('naru-drivers').enter();
    daemon = await TestDaemon.start({
      daemon: ['--ipv6', '--fixed-cidr-v6', 'fd5a:77::/64', '--default-address-pool', 'base=10.201.0.0/16,size=24', '--default-address-pool', 'base=fd5a:78::/48,size=64', '--mtu', '1420'],
    });
  });
  afterEach(async () => {
    assert.equal(await daemon.emptied(), '');
  });
  after(async () => {
    await daemon?.destroy();
    leave();
  });

  const inspect = (name: string, format: string): string => daemon.ok('inspect', '-f', format, name);
  const server = (name: string, ...flags: string[]): void => {
    daemon.ok('run', '-d', '--name', name, ...flags, 'busybox', 'sh', '-c', `echo ${name} >/tmp/index.html; exec httpd -f -h /tmp -p '[::]:80'`);
    daemon.ok('exec', name, 'sh', '-c', 'until netstat -ltn | grep -q ":80 "; do usleep 10000; done');
  };
  const get = (from: string, url: string): string => daemon.docker('exec', from, 'timeout', '1', 'wget', '-q', '-O', '-', url).out.trim();
  const fetchHere = (url: string): string => spawnSync('curl', ['-g', '-s', '-m', '1', url], { encoding: 'utf8' }).stdout.trim();
  const refused = (pattern: RegExp, ...args: string[]): void => {
    const ran = daemon.docker(...args);
    assert.notEqual(ran.code, 0, `docker ${args.join(' ')} was accepted`);
    assert.match(ran.err, pattern);
  };

  test('IPv6 on the default bridge: --ipv6 and --fixed-cidr-v6, published ports too', () => {
    assert.equal(daemon.ok('network', 'inspect', '-f', '{{.EnableIPv6}} {{(index .IPAM.Config 1).Subnet}}', 'bridge'), 'true fd5a:77::/64');
    server('web', '-p', '18551:80');
    assert.match(inspect('web', '{{.NetworkSettings.Networks.bridge.GlobalIPv6Address}}'), /^fd5a:77::/);
    assert.equal(fetchHere('http://[fd5a:77::1]:18551/'), 'web');
    assert.match(daemon.ok('exec', 'web', 'ip', '-6', 'route'), /default via fd5a:77::1/);
  });

  test('subnets come from the daemon\'s pools, and none that the host routes; the MTU is the daemon\'s, the network\'s comes first', () => {
    run('ip', 'route', 'add', 'blackhole', '10.201.2.0/24');
    try {
      for (const [name, subnet] of [['bridge', '10.201.0.0/24'], ['p0', '10.201.1.0/24'], ['p1', '10.201.3.0/24']]) {
        if (name !== 'bridge') daemon.ok('network', 'create', name!);
        assert.equal(daemon.ok('network', 'inspect', '-f', '{{(index .IPAM.Config 0).Subnet}}', name!), subnet);
      }
    } finally {
      run('ip', 'route', 'del', 'blackhole', '10.201.2.0/24');
    }
    daemon.ok('network', 'create', '--ipv6', '-o', 'com.docker.network.driver.mtu=1300', 'p2');
    assert.equal(daemon.ok('network', 'inspect', '-f', '{{(index .IPAM.Config 1).Subnet}}', 'p2'), 'fd5a:78::/64');
    assert.equal(daemon.ok('run', '--rm', '--network', 'p0', 'busybox', 'cat', '/sys/class/net/eth0/mtu'), '1420');
    assert.equal(daemon.ok('run', '--rm', '--network', 'p2', 'busybox', 'cat', '/sys/class/net/eth0/mtu'), '1300');
  });

  test('macvlan: a container is a neighbour on the parent\'s wire; it reaches that and not the host', () => {
    const far = new TestNamespace('naru-macvlan');
    try {
      run('ip', 'link', 'add', 'nrmv0', 'type', 'veth', 'peer', 'name', 'wire', 'netns', far.name);
      run('ip', 'link', 'set', 'nrmv0', 'up');
      far.ip('link', 'set', 'wire', 'up');
      far.ip('address', 'add', '10.202.0.1/24', 'dev', 'wire');
      refused(/invalid parent nowhere0/, 'network', 'create', '-d', 'macvlan', '-o', 'parent=nowhere0', 'lost');
      daemon.ok('network', 'create', '-d', 'macvlan', '--subnet', '10.202.0.0/24', '--gateway', '10.202.0.1', '-o', 'parent=nrmv0', 'wire');
      daemon.ok('run', '-d', '--name', 'one', '--network', 'wire', '--ip', '10.202.0.7', '--mac-address', '02:00:00:00:02:07', 'busybox', 'sleep', '600');
      daemon.ok('run', '-d', '--name', 'two', '--network', 'wire', 'busybox', 'sleep', '600');
      assert.match(daemon.ok('exec', 'one', 'ping', '-c', '1', '-W', '3', '10.202.0.1'), /1 packets received/);
      assert.match(daemon.ok('exec', 'two', 'ping', '-c', '1', '-W', '3', '10.202.0.7'), /1 packets received/);
      assert.match(far.exec('ping', '-c', '1', '-W', '3', '10.202.0.7'), /1 received/);
      assert.match(far.ip('neighbour'), /10\.202\.0\.7 .*02:00:00:00:02:07/);
      daemon.ok('network', 'disconnect', 'wire', 'two');
      assert.doesNotMatch(daemon.ok('exec', 'two', 'ip', 'link'), /eth0/);
      daemon.ok('network', 'connect', 'wire', 'two');
      assert.match(daemon.ok('exec', 'two', 'ping', '-c', '1', '-W', '3', '10.202.0.1'), /1 packets received/);
    } finally {
      for (const name of ['one', 'two']) daemon.docker('rm', '-f', name);
      daemon.docker('network', 'rm', 'wire');
      far.remove();
      spawnSync('ip', ['link', 'del', 'nrmv0']);
    }
  });

  test('macvlan without a parent: containers have one another and nobody else; what stands in for the wire comes back with the daemon and goes with the network', async () => {
    const id = daemon.ok('network', 'create', '-d', 'macvlan', '--subnet', '10.204.0.0/24', '--ipv6', '--subnet', 'fd5a:7a::/64', '-o', 'com.docker.network.driver.mtu=1400', 'alone');
    const parent = `dm-${id.slice(0, 12)}`;
    assert.equal(daemon.ok('network', 'inspect', '-f', '{{json .Options}}', 'alone'), '{"com.docker.network.driver.mtu":"1400"}');
    assert.match(run('ip', 'link', 'show', parent), /UP.* mtu 1400 /);
    refused(new RegExp(`network ${id.slice(0, 12)} is already using parent interface ${parent}`), 'network', 'create', '-d', 'macvlan', '-o', `parent=${parent}`, 'thief');
    for (const [name, end] of [['one', 7], ['two', 8]]) daemon.ok('run', '-d', '--name', String(name), '--network', 'alone', '--ip', `10.204.0.${end}`, '--ip6', `fd5a:7a::${end}`, 'busybox', 'sleep', '600');
    for (const target of ['10.204.0.8', 'two', 'fd5a:7a::8']) assert.match(daemon.ok('exec', 'one', 'ping', '-c', '1', '-W', '3', target), /1 packets received/);
    assert.match(daemon.ok('exec', 'one', 'ip', 'link', 'show', 'eth0'), /mtu 1400 /);
    assert.equal(spawnSync('ping', ['-c', '1', '-W', '1', '10.204.0.7']).status === 0, false, 'not even the host');
    refused(/network alone has active endpoints/, 'network', 'rm', 'alone');
    daemon.ok('rm', '-f', 'one', 'two');
    // As after a reboot
    await daemon.down();
    run('ip', 'link', 'del', parent);
    await daemon.up();
    assert.match(run('ip', 'link', 'show', parent), /UP.* mtu 1400 /);
    daemon.ok('network', 'rm', 'alone');
    assert.notEqual(spawnSync('ip', ['link', 'show', parent]).status, 0);
    assert.equal(await daemon.leaked(), '');
  });

  test('gateway modes: nat keeps neighbours to published ports, nat-unprotected and routed do not rewrite, isolated has no host', () => {
    const mode = (name: string, value: string, ...flags: string[]): void => void daemon.ok('network', 'create', '-o', `com.docker.network.bridge.gateway_mode_ipv4=${value}`, ...flags, name);
    mode('plain', 'nat');
    mode('free', 'nat-unprotected');
    mode('straight', 'routed');
    mode('alone', 'isolated', '--internal');
    server('pp', '--network', 'plain');
    server('ff', '--network', 'free');
    server('ss', '--network', 'straight', '-p', '18552:80');
    server('tt', '--network', 'straight');
    server('ii', '--network', 'alone');
    server('jj', '--network', 'alone');
    const at = (name: string, network: string): string => inspect(name, `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`);
    assert.equal(get('ff', `http://${at('pp', 'plain')}/`), '');
    assert.equal(get('pp', `http://${at('ff', 'free')}/`), 'ff');
    assert.equal(get('pp', `http://${at('ss', 'straight')}/`), 'ss');
    assert.equal(get('pp', `http://${at('tt', 'straight')}/`), '', 'not published');
    assert.equal(fetchHere('http://127.0.0.1:18552/'), '', 'nothing is rewritten');
    assert.equal(fetchHere(`http://${at('ss', 'straight')}/`), 'ss');
    assert.equal(get('ii', `http://${at('jj', 'alone')}/`), 'jj');
    assert.equal(fetchHere(`http://${at('jj', 'alone')}/`), '', 'the host has no address there');
    assert.equal(get('pp', `http://${at('jj', 'alone')}/`), '');
    refused(/gateway mode 'isolated' can only be used for an internal network/, 'network', 'create', '-o', 'com.docker.network.bridge.gateway_mode_ipv4=isolated', 'bad');
    refused(/invalid value "odd"/, 'network', 'create', '-o', 'com.docker.network.bridge.gateway_mode_ipv4=odd', 'bad');
  });

  test('neighbours learn at once where an address is now', () => {
    daemon.ok('network', 'create', '--subnet', '10.203.0.0/24', '--ipv6', '--subnet', 'fd5a:79::/64', 'lan');
    for (const name of ['asker', 'old', 'new']) daemon.ok('run', '-d', '--name', name, '--network', name === 'asker' ? 'lan' : 'bridge', 'busybox', 'sleep', '600');
    daemon.ok('network', 'connect', '--ip', '10.203.0.50', '--ip6', 'fd5a:79::50', 'lan', 'old');
    for (const address of ['10.203.0.50', 'fd5a:79::50']) assert.match(daemon.ok('exec', 'asker', 'ping', '-c', '1', '-W', '2', address), /1 packets received/);
    daemon.ok('network', 'disconnect', 'lan', 'old');
    daemon.api('POST', '/networks/lan/connect', { Container: 'new', EndpointConfig: { MacAddress: '02:00:00:00:03:50', IPAMConfig: { IPv4Address: '10.203.0.50', IPv6Address: 'fd5a:79::50' } } });
    // Not one lost: no neighbour waits until its table forgets
    for (const address of ['10.203.0.50', 'fd5a:79::50']) assert.match(daemon.ok('exec', 'asker', 'ping', '-c', '1', '-W', '1', address), /1 packets received/);
    assert.match(daemon.ok('exec', 'asker', 'sh', '-c', 'cat /proc/net/arp'), /10\.203\.0\.50.*02:00:00:00:03:50/);
    assert.match(run('nsenter', '-t', inspect('asker', '{{.State.Pid}}'), '-n', 'ip', '-6', 'neighbour'), /fd5a:79::50 .*02:00:00:00:03:50/);
  });

  test('naru port --who tells who reaches a published port, and it is so', () => {
    daemon.ok('network', 'create', 'shop');
    daemon.ok('network', 'create', '-o', 'naru.firewall=host', 'bank');
    server('web', '--network', 'shop', '-p', '18553:80', '-p', '127.0.0.1:18554:80');
    server('till', '--network', 'bank', '-p', '18555:80');
    daemon.ok('run', '-d', '--name', 'guest', 'busybox', 'sleep', '600');
    const gateway = inspect('web', '{{.NetworkSettings.Networks.shop.Gateway}}');
    const told = daemon.naru('port', '--who', 'web');
    assert.equal(told.code, 0, told.err);
    assert.match(told.out, /80\/tcp -> 0\.0\.0\.0:18553, by network shop\n  this host +127\.0\.0\.1 and its addresses, port 18553 +yes .*\n  other hosts +every address of this host, port 18553 +yes /);
    assert.match(told.out, /80\/tcp -> 127\.0\.0\.1:18554, by network shop\n  this host +127\.0\.0\.1, port 18554 +yes .*\n  other hosts .*no +loopback comes from outside only by forgery\n/);
    assert.match(told.out, /other networks, hosts that have a route +the container's address +no +everything else from outside/);
    assert.match(daemon.naru('port', '--who', 'till').out, /other hosts +every address of this host, port 18555 +if the host's input rules let them/);
    assert.equal(fetchHere('http://127.0.0.1:18553/'), 'web');
    assert.equal(get('guest', `http://${gateway}:18553/`), 'web');
    assert.equal(get('guest', `http://${gateway}:18554/`), '');
    assert.equal(get('guest', `http://${inspect('web', '{{.NetworkSettings.Networks.shop.IPAddress}}')}/`), '');
    // The rules that it names are in the table
    const rules = run('nft', 'list', 'table', 'inet', daemon.scope.nftTable);
    for (const comment of ['published ports, from the host itself', 'loopback comes from outside only by forgery', 'everything else from outside', 'the host\'s input rules judge first']) assert.match(rules, new RegExp(`comment "${comment}"`));
  });
});
