import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, afterEach, before, describe, test } from 'node:test';
import { TestDaemon } from '../support/daemon.ts';
import { TestNamespace } from './net-namespaces.ts';

/** Sends the first chunk of an association (INIT); what a raw socket of the container got: who sent it, to which port, whether its checksum holds. */
const SCTP_INIT = `
import ctypes,os,socket,struct,sys
pid,host,port=sys.argv[1],sys.argv[2],int(sys.argv[3])
def crc(data):
    c=0xffffffff
    for byte in data:
        c^=byte
        for _ in range(8): c=(c>>1)^(0x82f63b78 if c&1 else 0)
    return struct.pack("<I",c^0xffffffff)
setns=ctypes.CDLL(None,use_errno=True).setns
home=os.open("/proc/self/ns/net",os.O_RDONLY)
assert setns(os.open("/proc/"+pid+"/ns/net",os.O_RDONLY),0x40000000)==0
inside=socket.socket(socket.AF_INET,socket.SOCK_RAW,132); inside.settimeout(10)
assert setns(home,0x40000000)==0
def packet(checksum): return struct.pack(">HHI",4242,port,0)+checksum+struct.pack(">BBHIIHHI",1,0,20,7,65535,1,1,1)
outside=socket.socket(socket.AF_INET,socket.SOCK_RAW,132)
outside.sendto(packet(crc(packet(bytes(4)))),(host,0))
got,peer=inside.recvfrom(2048)
body=got[(got[0]&15)*4:]
print(peer[0],struct.unpack(">H",body[2:4])[0],crc(body[:8]+bytes(4)+body[12:])==body[8:12])
`;

describe('user-defined networks, by the Docker CLI', () => {
  let daemon: TestDaemon;
  let leave: () => void;
  before(async () => {
    leave = new TestNamespace('naru-networks').enter();
    daemon = await TestDaemon.start();
  });
  afterEach(async () => {
    assert.equal(await daemon.emptied(), '');
    assert.equal(daemon.ok('network', 'ls', '-q', '--filter', 'type=custom'), '');
  });
  after(async () => {
    await daemon?.destroy();
    leave();
  });

  const refused = (pattern: RegExp, ...args: string[]): void => {
    const ran = daemon.docker(...args);
    assert.notEqual(ran.code, 0, `docker ${args.join(' ')} was accepted`);
    assert.match(ran.err, pattern);
  };
  const inspect = (name: string, format: string): string => daemon.ok('inspect', '-f', format, name);
  const address = (container: string, network: string): string => inspect(container, `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`);
  const address6 = (container: string, network: string): string => inspect(container, `{{(index .NetworkSettings.Networks "${network}").GlobalIPv6Address}}`);
  const sleeper = (name: string, ...flags: string[]): void => void daemon.ok('run', '-d', '--name', name, ...flags, 'busybox', 'sleep', '600');
  const listening = (name: string): void => void daemon.ok('exec', name, 'sh', '-c', 'until netstat -ltn | grep -q ":80 "; do usleep 10000; done');
  const server = (name: string, ...flags: string[]): void => {
    daemon.ok('run', '-d', '--name', name, ...flags, 'busybox', 'sh', '-c', `echo ${name} >/tmp/index.html; exec httpd -f -h /tmp`);
    listening(name);
  };
  const get = (from: string, url: string): string => daemon.docker('exec', from, 'timeout', '2', 'wget', '-q', '-O', '-', url).out.trim();
  const fetchHere = (url: string): string => spawnSync('curl', ['-g', '-s', '-m', '2', url], { encoding: 'utf8' }).stdout.trim();

  test('create, ls, inspect, rm: options and errors as Docker\'s', () => {
    const id = daemon.ok('network', 'create', '--subnet', '10.211.0.0/24', '--ip-range', '10.211.0.128/25', '--gateway', '10.211.0.1', '--aux-address', 'x=10.211.0.129', '--label', 'a=b',
      '-o', 'com.docker.network.driver.mtu=1400', '-o', 'com.docker.network.bridge.name=nrtestbr0', 'shop');
    assert.match(id, /^[0-9a-f]{64}$/);
    assert.match(daemon.ok('network', 'ls', '--filter', 'label=a=b'), new RegExp(`${id.slice(0, 12)} +shop +bridge +local`));
    assert.deepEqual(JSON.parse(daemon.ok('network', 'inspect', '-f', '{{json .IPAM.Config}}', 'shop')), [
      { Subnet: '10.211.0.0/24', IPRange: '10.211.0.128/25', Gateway: '10.211.0.1', AuxiliaryAddresses: { x: '10.211.0.129' } },
    ]);
    sleeper('one', '--network', 'shop');
    assert.equal(address('one', 'shop'), '10.211.0.128');
    sleeper('two', '--network', 'shop', '--ip', '10.211.0.7', '--mac-address', '02:00:00:00:00:07');
    assert.match(daemon.ok('exec', 'two', 'ip', 'addr', 'show', 'eth0'), /mtu 1400[^]*02:00:00:00:00:07[^]*10\.211\.0\.7\/24/);
    refused(/Address already in use/, 'run', '--rm', '--network', 'shop', '--ip', '10.211.0.7', 'busybox', 'true');
    refused(/no configured subnet or ip-range contain the IP address 10\.9\.9\.9/, 'run', '--rm', '--network', 'shop', '--ip', '10.9.9.9', 'busybox', 'true');
    refused(/network with name shop already exists/, 'network', 'create', 'shop');
    refused(/Pool overlaps with other one on this address space/, 'network', 'create', '--subnet', '10.211.0.0/16', 'other');
    refused(/network shop has active endpoints \(name:"one"/, 'network', 'rm', 'shop');
    refused(/bridge is a pre-defined network and cannot be removed/, 'network', 'rm', 'bridge');
    refused(/network nowhere not found/, 'network', 'inspect', 'nowhere');
    refused(/invalid subnet 10\.212\.0\.1\/24: it should be 10\.212\.0\.0\/24/, 'network', 'create', '--subnet', '10.212.0.1/24', 'bad');
    refused(/plugin "odd" not found/, 'network', 'create', '-d', 'odd', 'bad');
    daemon.ok('rm', '-f', 'one', 'two');
    daemon.ok('network', 'rm', 'shop');
    assert.notEqual(spawnSync('ip', ['link', 'show', 'nrtestbr0']).status, 0);
  });

  test('networks do not reach one another, nor an internal one the world; a container on both does', () => {
    daemon.ok('network', 'create', 'red');
    daemon.ok('network', 'create', '--internal', 'blue');
    server('rr', '--network', 'red', '-p', '127.0.0.1:18471:80');
    server('bb', '--network', 'blue');
    sleeper('both', '--network', 'red', '--network', 'blue');
    assert.equal(get('both', `http://${address('rr', 'red')}/`), 'rr');
    assert.equal(get('both', `http://${address('bb', 'blue')}/`), 'bb');
    assert.equal(get('bb', `http://${address('rr', 'red')}/`), '');
    assert.equal(get('rr', `http://${address('bb', 'blue')}/`), '');
    assert.equal(fetchHere('http://127.0.0.1:18471/'), 'rr');
    assert.doesNotMatch(daemon.ok('exec', 'bb', 'ip', 'route'), /default/);
  });

  test('connect and disconnect while it runs: interfaces, routes and ports follow', () => {
    daemon.ok('network', 'create', 'first');
    daemon.ok('network', 'create', 'second');
    server('web', '--network', 'first', '-p', '18472:80');
    daemon.ok('network', 'connect', '--ip', '', '--gw-priority', '1', 'second', 'web');
    const second = inspect('web', '{{.NetworkSettings.Networks.second.Gateway}}');
    assert.match(daemon.ok('exec', 'web', 'ip', 'route'), new RegExp(`default via ${second.replaceAll('.', '\\.')} dev eth1`));
    assert.equal(fetchHere('http://127.0.0.1:18472/'), 'web');
    refused(/endpoint with name web already exists in network second/, 'network', 'connect', 'second', 'web');
    daemon.ok('network', 'disconnect', 'second', 'web');
    assert.match(daemon.ok('exec', 'web', 'ip', 'route'), /default via .* dev eth0/);
    assert.equal(fetchHere('http://127.0.0.1:18472/'), 'web');
    daemon.ok('network', 'disconnect', 'first', 'web');
    assert.equal(fetchHere('http://127.0.0.1:18472/'), '');
    refused(/is not connected to network first/, 'network', 'disconnect', 'first', 'web');
    daemon.ok('network', 'connect', 'first', 'web');
    assert.equal(fetchHere('http://127.0.0.1:18472/'), 'web');
  });

  test('connected before the start, and again after a restart of container and daemon', async () => {
    daemon.ok('network', 'create', 'lan');
    daemon.ok('create', '--name', 'late', '-p', '18473:80', 'busybox', 'sh', '-c', 'echo late >/tmp/index.html; exec httpd -f -h /tmp');
    daemon.ok('network', 'connect', 'lan', 'late');
    daemon.ok('start', 'late');
    listening('late');
    assert.match(daemon.ok('exec', 'late', 'ip', 'addr'), /eth1/);
    const before = address('late', 'lan');
    await daemon.restart('SIGKILL');
    assert.equal(address('late', 'lan'), before);
    assert.equal(fetchHere('http://127.0.0.1:18473/'), 'late');
    sleeper('peer', '--network', 'lan');
    assert.equal(get('peer', `http://${before}/`), 'late');
  });

  test('without icc containers reach the world and published ports, not one another', () => {
    daemon.ok('network', 'create', '-o', 'com.docker.network.bridge.enable_icc=false', 'apart');
    server('left', '--network', 'apart', '-p', '18474:80');
    sleeper('right', '--network', 'apart');
    assert.equal(get('right', `http://${address('left', 'apart')}/`), '');
    assert.equal(get('right', `http://${inspect('left', '{{.NetworkSettings.Networks.apart.Gateway}}')}:18474/`), 'left');
  });

  test('IPv6: unique local addresses by default, published ports on [::], hairpin and neighbours', () => {
    daemon.ok('network', 'create', '--ipv6', 'six');
    server('web', '--network', 'six', '-p', '18475:80');
    sleeper('peer', '--network', 'six');
    const gateway = inspect('web', '{{.NetworkSettings.Networks.six.IPv6Gateway}}');
    assert.match(address6('web', 'six'), /^fd[0-9a-f]{2}:/);
    assert.equal(get('peer', `http://[${address6('web', 'six')}]/`), 'web');
    assert.equal(fetchHere(`http://[${gateway}]:18475/`), 'web');
    assert.equal(fetchHere('http://127.0.0.1:18475/'), 'web');
    assert.equal(fetchHere('http://[::1]:18475/'), 'web');
    assert.equal(get('peer', `http://[${gateway}]:18475/`), 'web');
    assert.equal(get('web', `http://[${gateway}]:18475/`), 'web');
    assert.match(daemon.ok('port', 'web'), /0\.0\.0\.0:18475\n80\/tcp -> \[::\]:18475/);
  });

  test('a container without an IPv6 address is published on IPv4, and nothing says otherwise: no [::] is told, ::1 is refused, an address of IPv6 is an error with what to do', () => {
    daemon.ok('network', 'create', 'four');
    server('web', '--network', 'four', '-p', '18477:80');
    assert.equal(daemon.ok('port', 'web'), '80/tcp -> 0.0.0.0:18477');
    assert.equal(inspect('web', '{{json .NetworkSettings.Ports}}'), '{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"18477"}]}');
    assert.equal(fetchHere('http://127.0.0.1:18477/'), 'web');
    assert.equal(fetchHere('http://localhost:18477/'), 'web');
    assert.equal(spawnSync('curl', ['-g', '-s', '-m', '5', 'http://[::1]:18477/']).status, 7, 'refused at once, so that clients go on to 127.0.0.1');
    refused(/publish a port on ::1: the container has no network that is reached by IPv6 from outside/, 'run', '--rm', '--network', 'four', '-p', '[::1]:18478:80', 'busybox', 'true');
  });

  test('sctp is published as tcp and udp are: seen, held, rewritten on the way', () => {
    daemon.ok('network', 'create', '--ipv6', 'signals');
    sleeper('gateway', '--network', 'signals', '-p', '18476:36412/sctp');
    assert.match(daemon.ok('port', 'gateway'), /36412\/sctp -> 0\.0\.0\.0:18476\n36412\/sctp -> \[::\]:18476/);
    refused(/Bind for 0\.0\.0\.0:18476 failed: port is already allocated/, 'run', '--rm', '--network', 'signals', '-p', '18476:1/sctp', 'busybox', 'true');
    assert.match(spawnSync('nft', ['list', 'table', 'inet', daemon.scope.nftTable], { encoding: 'utf8' }).stdout, new RegExp(`sctp \\. 18476 : ${address('gateway', 'signals').replaceAll('.', '\\.')} \\. 36412`));
    // A kernel need not have sctp: a raw socket of the container sees the first packet that one of the host sent
    const seen = spawnSync('python3', ['-c', SCTP_INIT, inspect('gateway', '{{.State.Pid}}'), '127.0.0.1', '18476'], { encoding: 'utf8', timeout: 20_000 });
    assert.equal(seen.stdout.trim(), `${inspect('gateway', '{{.NetworkSettings.Networks.signals.Gateway}}')} 36412 True`, seen.stderr);
    daemon.ok('rm', '-f', 'gateway');
    assert.doesNotMatch(spawnSync('nft', ['list', 'table', 'inet', daemon.scope.nftTable], { encoding: 'utf8' }).stdout, /18476/);
  });

  test('a static IPv6 address; another container\'s network, and the host\'s', () => {
    daemon.ok('network', 'create', '--ipv6', '--subnet', '10.215.0.0/24', '--subnet', 'fd5f::/64', 'six');
    sleeper('web', '--network', 'six', '--ip6', 'fd5f::77');
    assert.equal(address6('web', 'six'), 'fd5f::77');
    assert.match(daemon.ok('exec', 'web', 'ip', '-6', 'address', 'show', 'eth0'), /inet6 fd5f::77\/64/);
    refused(/Address already in use/, 'run', '--rm', '--network', 'six', '--ip6', 'fd5f::77', 'busybox', 'true');
    assert.match(daemon.ok('run', '--rm', '--network', 'container:web', 'busybox', 'ip', '-6', 'address', 'show', 'eth0'), /inet6 fd5f::77\/64/);
    assert.match(daemon.ok('run', '--rm', '--network', 'host', 'busybox', 'ip', 'link'), new RegExp(daemon.scope.bridge));
  });

  test('events name the network, prune takes what is unused', () => {
    const since = String(Date.now() / 1000);
    daemon.ok('network', 'create', 'gone');
    daemon.ok('run', '--rm', '--network', 'gone', 'busybox', 'true');
    assert.match(daemon.ok('network', 'prune', '-f'), /Deleted Networks:\ngone/);
    const actions = daemon.ok('events', '--since', since, '--until', String(Date.now() / 1000 + 0.1), '--filter', 'type=network', '--format', '{{.Action}}').split('\n');
    assert.deepEqual(actions, ['create', 'connect', 'disconnect', 'destroy', 'prune']);
  });
});
