import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createNetworkService } from '#net/create-network-service.ts';
import type { NetworkOptions } from '#net/network-options.ts';
import type { AttachmentRequest, EndpointRecord, PortRequest, NetworkService } from '#net/port.ts';
import { removeNetwork } from '#net/remove-network.ts';
import { type NaruError, isKind } from '#spec/errors.ts';
import { TestNamespace, runSteps } from '#test/system/net-namespaces.ts';
import { NetPeer } from '#test/system/net-peer.ts';

const NAMES = { bridge: 'nrtest0', tableName: 'nrtest0' };
const ports = (...list: [hostPort: number, containerPort: number, protocol?: 'tcp' | 'udp', hostIp?: string][]): readonly PortRequest[] =>
  list.map(([hostPort, containerPort, protocol = 'tcp', hostIp = '']) => ({ containerPort, protocol, hostIp, hostPort, hostPortEnd: hostPort }));

/** Everything in one namespace of the test's own, in which this thread stays during each test. */
describe('endpoints from reservation to release', () => {
  let host: TestNamespace, a: TestNamespace;
  let service: NetworkService;
  let warnings: string[];
  const peers: NetPeer[] = [];
  const peer = (space: TestNamespace): NetPeer => {
    const made = new NetPeer(space);
    peers.push(made);
    return made;
  };
  const open = (more: NetworkOptions = {}): NetworkService => host.within(() => createNetworkService({ ...NAMES, ...more, log: (text) => warnings.push(text) }));
  const reconcile = (...containers: readonly (readonly EndpointRecord[])[]): Promise<void> => host.within(() => service.reconcile([], containers));
  const reserve = (id: string, list: readonly PortRequest[] = [], more: Partial<AttachmentRequest> & { containerName?: string } = {}): [EndpointRecord] => {
    const { containerName, ...wish } = more;
    return host.within(() => service.reserve({
      containerId: id.repeat(64).slice(0, 64), networks: [{ networkId: service.bridge.id, ...wish }], ports: list, ...(containerName === undefined ? {} : { containerName }),
    })) as [EndpointRecord];
  };
  const ruleset = (): string => host.exec('nft', 'list', 'ruleset');
  const published = (): string[] => [...ruleset().matchAll(/elements = \{([^}]*)\}/g)].flatMap((match) => match[1]!.split(',')).map((each) => each.trim()).filter((each) => each.includes(' : ')).sort();

  beforeEach(async () => {
    host = new TestNamespace('naru-life-host');
    a = new TestNamespace('naru-life-a');
    warnings = [];
    service = open();
    await reconcile();
  });

  afterEach(() => {
    for (const each of peers.splice(0)) each.close();
    service.close();
    host.within(() => removeNetwork(NAMES));
    assert.equal(ruleset(), '');
    assert.doesNotMatch(host.ip('link'), /nrtest0/);
    for (const space of [host, a]) space.remove();
  });

  test('a port is ours alone until it is released', async () => {
    const record = reserve('1', ports([8080, 80], [53, 53, 'udp']));
    await service.publish(record);
    assert.deepEqual(published(), ['tcp . 8080 : 172.17.0.2 . 80', 'udp . 53 : 172.17.0.2 . 53']);
    assert.throws(() => reserve('2', ports([8080, 80])), /^NaruError: Bind for 0.0.0.0:8080 failed: port is already allocated$/);
    assert.throws(() => reserve('2', ports([8080, 80, 'tcp', '127.0.0.1'])), /Bind for 127.0.0.1:8080 failed: port is already allocated/);
    assert.equal(reserve('2', ports([8080, 80, 'udp']))[0].address, '172.17.0.3', 'a failed reservation gives its address back');
    const other = peer(host);
    await assert.rejects(other.serve('tcp', 8080, 'thief'), /EADDRINUSE/);
    await service.release(record);
    await service.release(record);
    assert.deepEqual(published(), []);
    await other.serve('tcp', 8080, 'fair');
  });

  test('a port that another program has is an error in Docker\'s words and kind, which names the program', async () => {
    const other = peer(host);
    await other.serve('tcp', 8080, 'first');
    assert.throws(() => reserve('1', ports([8080, 80]), { containerName: 'web' }), (error: Error) => {
      assert.ok(isKind(error, 'internal'));
      assert.match((error as NaruError).hint ?? '', /^\S.* \(process \d+\) uses it$/);
      assert.match(error.message, /^failed to set up container networking: driver failed programming external connectivity on endpoint web \([0-9a-f]{64}\): failed to bind host port for 0\.0\.0\.0:8080:172\.17\.0\.2:80\/tcp: address already in use$/);
      return true;
    });
    assert.throws(() => reserve('1', ports([80, 80, 'tcp', '10.1.1.1'])), /cannot assign requested address/);
    const range = reserve('1', [{ containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: 8080, hostPortEnd: 8082 }]);
    assert.equal(range[0].ports[0]!.hostPort, 8081);
    const [first, second] = reserve('2', ports([0, 1], [0, 2]))[0].ports;
    assert.deepEqual([first!.hostPort, second!.hostPort], [32768, 32769]);
  });

  test('connections that the last owner of a port closed do not hold it; whoever listens does', async () => {
    const server = peer(host), client = peer(host);
    await server.serve('tcp', 8080, 'first');
    assert.equal(await client.ask('tcp', '127.0.0.1', 8080), 'first 127.0.0.1'); // the server closes: its end lingers
    assert.throws(() => reserve('1', ports([8080, 80])), /address already in use/);
    await server.end();
    assert.match(host.exec('ss', '-tan'), /TIME-WAIT.*:8080/);
    reserve('1', ports([8080, 80]));
    assert.doesNotMatch(host.exec('ss', '-tln'), /:8080/);
    const beside = host.within(() => createNetworkService({ bridge: 'nrtest1' }));
    assert.throws(() => host.within(() => beside.reserve({ containerId: '2'.repeat(64), networks: [{ networkId: beside.bridge.id }], ports: ports([8080, 80]) })), /address already in use/);
    beside.close();
    await assert.rejects(peer(host).serve('tcp', 8080, 'thief'), /EADDRINUSE/);
  });

  test('a thousand ports are one element', async () => {
    const record = reserve('1', ports(...Array.from({ length: 1000 }, (_, i): [number, number] => [20000 + i, 20000 + i])));
    await service.publish(record);
    assert.deepEqual(published(), ['tcp . 0.0.0.0/0 . 20000-20999 : 172.17.0.2']);
    await service.release(record);
    assert.deepEqual(published(), []);
  });

  test('a new daemon finds the bridge, the addresses and the ports as they were', async () => {
    const record = reserve('1', ports([8080, 80]));
    await service.publish(record);
    runSteps(service.steps(record), host, a);
    await peer(a).serve('tcp', 80, 'a');
    service.close();
    assert.match(published().join(), /tcp . 8080/, 'the table outlives the daemon');
    service = open();
    await reconcile(record);
    assert.deepEqual(warnings, []);
    assert.equal(await peer(host).ask('tcp', '127.0.0.1', 8080), 'a 172.17.0.1');
    assert.throws(() => reserve('2', ports([8080, 80])), /already allocated/);
    assert.equal(reserve('2')[0].address, '172.17.0.3');
    await reconcile();
    assert.deepEqual(published(), []);
  });

  for (const ownTable of [true, false]) test(`a flush by others ${ownTable ? 'changes nothing' : 'is repaired, and said, by the next change'}`, async () => {
    service.close();
    host.within(() => removeNetwork(NAMES));
    service = open({ ownTable });
    await reconcile();
    await service.publish(reserve('1', ports([8080, 80])));
    host.exec('nft', 'flush', 'ruleset');
    assert.equal(published().length, ownTable ? 1 : 0);
    const second = reserve('2', ports([8081, 80]));
    host.exec('nft', 'flush', 'ruleset');
    await service.publish(second);
    assert.deepEqual(warnings, ownTable ? [] : Array.from({ length: 2 }, () => 'somebody else deleted nftables rules of naru\'s (table inet nrtest0, table bridge nrtest0): restored'));
    assert.deepEqual(published(), ['tcp . 8080 : 172.17.0.2 . 80', 'tcp . 8081 : 172.17.0.3 . 80']);
    host.exec('nft', 'add', 'table', 'ip', 'other');
    await reconcile();
    assert.match(ruleset(), /table ip other/);
    host.exec('nft', 'delete', 'table', 'ip', 'other');
  });

  test('a flush by others is noticed, repaired and said, though nothing is published meanwhile', async () => {
    service.close();
    host.within(() => removeNetwork(NAMES));
    service = open({ ownTable: false, checkMs: 50, ipv6: 'fd0e::/64' });
    await reconcile();
    const record = reserve('1', ports([8080, 80]));
    await service.publish(record);
    runSteps(service.steps(record), host, a);
    await peer(a).serve('tcp', 80, 'a');
    const said: string[] = [];
    // Everything, one table that others hardly see, and the rules without their table
    for (const [command, tables] of [
      ['flush ruleset', 'inet nrtest0, table bridge nrtest0, table ip6 nrtest0'], ['delete table bridge nrtest0', 'bridge nrtest0'], ['flush table inet nrtest0', 'inet nrtest0'],
      ['flush chain ip6 nrtest0 answers', 'ip6 nrtest0'], ['flush ruleset', 'inet nrtest0, table bridge nrtest0, table ip6 nrtest0'],
    ] as const) {
      const all = (): string[] => ruleset().split(/^(?=table )/m).sort(); // whichever was made first
      const before = all();
      host.exec('nft', command);
      said.push(`somebody else deleted nftables rules of naru's (table ${tables}): restored`);
      for (const end = Date.now() + 10_000; Date.now() < end && warnings.length < said.length;) await pause(20);
      assert.deepEqual(warnings, said);
      assert.deepEqual(all(), before);
      assert.equal(await peer(host).ask('tcp', '127.0.0.1', 8080), 'a 172.17.0.1');
    }
    host.exec('nft', 'add', 'table', 'ip', 'other'); // not ours: nothing is said
    await pause(150);
    assert.deepEqual(warnings, said);
    host.exec('nft', 'delete', 'table', 'ip', 'other');
  });

  for (const family of ['ip', 'ip6']) test(`another program's firewall that drops what is forwarded is told of, with what to do (${family})`, async () => {
    host.exec('nft', `add table ${family} filter; add chain ${family} filter FORWARD { type filter hook forward priority 0 ; policy drop ; }`);
    await reconcile();
    if (family === 'ip6') {
      assert.deepEqual(warnings, [], 'nobody has IPv6');
      service.close();
      host.within(() => removeNetwork(NAMES));
      service = open({ ipv6: 'fd0e::/64' });
      await reconcile();
    }
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, new RegExp(`table ${family} filter, chain FORWARD, policy drop`));
    for (const command of warnings[0]!.matchAll(/nft (insert [^;]*)/g)) host.exec('nft', command[1]!);
    host.exec('nft', 'delete', 'table', family, 'filter');
  });

  test('connections live on while the table is made anew', async () => {
    const record = reserve('1', ports([8080, 80]));
    await service.publish(record);
    runSteps(service.steps(record), host, a);
    await peer(a).serve('tcp', 80, 'echo');
    const client = peer(host);
    assert.equal(await client.open('127.0.0.1', 8080), 'ok');
    for (const word of ['one', 'two', 'three']) {
      await reconcile(record);
      assert.equal(await client.say(word), word);
    }
  });

  for (const family of [4, 6] as const) test(`a client that never stops sending UDP gets to the container that publishes the port now (IPv${family})`, async () => {
    service.close();
    host.within(() => removeNetwork(NAMES));
    service = open(family === 6 ? { ipv6: 'fd0e::/64' } : {});
    await reconcile();
    const [address, client, listen] = family === 4 ? ['172.17.0.1', '172.17.0.1', '0.0.0.0'] : ['fd0e::1', 'fd0e::1', '::'];
    const asker = peer(host);
    const ask = () => asker.ask('udp', address, 5353, { localPort: 40000, timeoutMs: 100 });
    await ask(); // a flow that is not rewritten: nobody publishes the port yet
    const record = reserve('1', ports([5353, 53, 'udp']));
    await service.publish(record);
    runSteps(service.steps(record), host, a);
    await peer(a).serve('udp', 53, 'a', listen);
    await pause(40);
    assert.equal(await ask(), `a ${client}`);
    await service.release(record);
    await pause(40);
    assert.notEqual(await ask(), `a ${client}`);
  });

  test('connections to a container that is gone are forgotten, their clients refused; those to who has its port now go on', async () => {
    service.close();
    host.within(() => removeNetwork(NAMES));
    service = open({ ipv6: 'fd0e::/64' });
    await reconcile();
    const tracked = (port: string): number => Number(host.exec('sh', '-c', `grep -cE "^ipv[46] .* tcp .* dport=${port} " /proc/net/nf_conntrack || true`));
    const forgotten = async (port: string): Promise<void> => {
      for (const end = Date.now() + 10_000; tracked(port) > 0 && Date.now() < end;) await pause(50);
      assert.equal(tracked(port), 0, `connections to ${port}`);
    };
    host.exec('sysctl', '-q', '-w', 'net.netfilter.nf_conntrack_tcp_loose=0'); // what is forgotten is not picked up again
    let record = reserve('1', ports([8080, 80], [8081, 81]), { ipv4: '172.17.0.9' });
    await service.publish(record);
    runSteps(service.steps(record), host, a);
    const server = peer(a);
    await server.serve('tcp', 80, 'echo', '::');
    await server.serve('tcp', 81, 'a81', '::');
    const [four, six] = [peer(host), peer(host)];
    assert.equal(await four.open('127.0.0.1', 8080), 'ok');
    assert.equal(await six.open('::1', 8080), 'ok');
    assert.match(await peer(host).ask('tcp', 'fd0e::1', 8081), /^a81/);
    assert.ok(tracked('808[01]') >= 3);
    await service.release(record);
    // The same container comes back at once, as by a restart, with port and address
    record = reserve('1', ports([8080, 80]), { ipv4: '172.17.0.9' });
    await service.publish(record);
    assert.equal(await four.say('still'), 'still');
    await forgotten('8081');
    assert.equal(await four.say('now'), 'now');
    await service.release(record);
    await forgotten('808[01]');
    assert.equal(await peer(host).ask('tcp', '127.0.0.1', 8080, { timeoutMs: 1000 }), 'ECONNREFUSED');
  });

  test('an address rests before it is used again; a fixed one is given', async () => {
    const first = reserve('1');
    await service.release(first);
    assert.equal(reserve('2')[0].address, '172.17.0.3');
    assert.equal(reserve('3', [], { ipv4: '172.17.0.9', mac: '02:AA:00:00:00:01' })[0].mac, '02:aa:00:00:00:01');
    assert.throws(() => reserve('4', [], { ipv4: '172.17.0.9' }), /Address already in use/);
    assert.throws(() => reserve('4', [], { ipv4: '10.0.0.9' }), /no configured subnet or ip-range contain the IP address 10\.0\.0\.9/);
  });

  test('a host end that something keeps alive is deleted after a while', async () => {
    const record = reserve('1');
    runSteps(service.steps(record), host, a);
    assert.match(host.ip('link'), new RegExp(record[0].hostInterface));
    await service.release(record);
    await pause(1700);
    assert.doesNotMatch(host.ip('link'), new RegExp(record[0].hostInterface));
  });

  test('without a network there is loopback only', () => {
    assert.deepEqual(service.steps([]).map((step) => step.where), ['container']);
  });

});
