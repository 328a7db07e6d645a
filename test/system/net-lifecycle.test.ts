import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { OwnHost, lesserKernel } from '../support/own-host.ts';

/** Lines of the daemon's log, without their times. */
const lines = (own: OwnHost, pattern: RegExp): string[] => own.daemon.log().split('\n').filter((line) => pattern.test(line));

describe('endpoints from their making to their end, by the Docker CLI', () => {
  let own: OwnHost;
  before(async () => {
    own = await OwnHost.start('life');
  });
  afterEach(async () => {
    own.host.exec('sh', '-c', 'nft delete table ip filter; nft delete table ip6 filter; true');
    await own.clear();
  });
  after(() => own.end());

  test('a port is ours alone until it is released', async () => {
    own.sleeper('one', '-p', '8080:80', '-p', '53:53/udp');
    const first = own.address('one');
    assert.deepEqual(own.published(), [`tcp . 8080 : ${first} . 80`, `udp . 53 : ${first} . 53`]);
    own.refused(/Bind for 0\.0\.0\.0:8080 failed: port is already allocated/, 'run', '--rm', '-p', '8080:80', 'busybox', 'true');
    own.refused(/Bind for 127\.0\.0\.1:8080 failed: port is already allocated/, 'run', '--rm', '-p', '127.0.0.1:8080:80', 'busybox', 'true');
    own.sleeper('two', '-p', '8080:80/udp');
    assert.equal(own.address('two'), first.replace(/\d+$/, (last) => String(Number(last) + 1)), 'what failed gave its address back');
    await assert.rejects(own.in('host').serve('tcp', 8080, 'thief'), /EADDRINUSE/);
    own.daemon.ok('stop', '-t', '0', 'one');
    own.daemon.ok('rm', 'one');
    own.daemon.ok('rm', '-f', 'two');
    assert.deepEqual(own.published(), []);
    await own.in('host').serve('tcp', 8080, 'fair');
  });

  test('a port that another program has is an error in Docker\'s words, which names the program; of a range the next one is taken, and free ones are where the kernel gives none', async () => {
    await own.in('host').serve('tcp', 8080, 'first');
    own.refused(/failed to set up container networking: driver failed programming external connectivity on endpoint web \([0-9a-f]{64}\): failed to bind host port for 0\.0\.0\.0:8080:172\.17\.\d+\.\d+:80\/tcp: address already in use/, 'run', '--rm', '--name', 'web', '-p', '8080:80', 'busybox', 'true');
    own.daemon.ok('create', '--name', 'web', '-p', '8080:80', 'busybox', 'true');
    const started = own.daemon.api('POST', '/containers/web/start');
    assert.equal(started.status, 500);
    assert.match((started.json as { hint?: string }).hint ?? '', /^\S.* \(process \d+\) uses it$/);
    own.refused(/cannot assign requested address/, 'run', '--rm', '-p', '10.1.1.1:80:80', 'busybox', 'true');
    own.sleeper('range', '-p', '8080-8082:80');
    assert.equal(own.daemon.ok('port', 'range', '80'), '0.0.0.0:8081');
    own.sleeper('free', '-p', '1', '-p', '2');
    assert.deepEqual(['1', '2'].map((each) => own.daemon.ok('port', 'free', each)), ['0.0.0.0:32768', '0.0.0.0:32769']);
  });

  test('connections that the last owner of a port closed do not hold it; whoever listens does', async () => {
    const server = own.another('host');
    await server.serve('tcp', 8080, 'first');
    assert.equal(await own.in('host').ask('tcp', '127.0.0.1', 8080), 'first 127.0.0.1'); // the server closes: its end lingers
    own.refused(/address already in use/, 'run', '--rm', '-p', '8080:80', 'busybox', 'true');
    await server.end();
    assert.match(own.host.exec('ss', '-tan'), /TIME-WAIT.*:8080/);
    own.sleeper('web', '-p', '8080:80');
    assert.doesNotMatch(own.host.exec('ss', '-tln'), /:8080/);
    await assert.rejects(own.in('host').serve('tcp', 8080, 'thief'), /EADDRINUSE/);
  });

  test('a new daemon finds the bridge, the addresses and the ports as they were, without a word', async () => {
    own.sleeper('web', '-p', '8080:80');
    const address = own.address('web');
    await own.in('web').serve('tcp', 80, 'a');
    await own.daemon.down();
    assert.match(own.published().join(), /tcp . 8080/, 'the table outlives the daemon');
    assert.equal(await own.in('host').ask('tcp', '127.0.0.1', 8080), 'a 172.17.0.1');
    const said = lines(own, / warn /).length;
    await own.daemon.up();
    assert.equal(lines(own, / warn /).length, said, own.daemon.log());
    assert.equal(own.address('web'), address);
    assert.equal(await own.in('host').ask('tcp', '127.0.0.1', 8080), 'a 172.17.0.1');
    own.refused(/already allocated/, 'run', '--rm', '-p', '8080:80', 'busybox', 'true');
    own.sleeper('next');
    assert.notEqual(own.address('next'), address);
    own.daemon.ok('rm', '-f', 'web');
    assert.deepEqual(own.published(), []);
  });

  for (const family of ['ip', 'ip6']) test(`another program's firewall that drops what is forwarded is told of at the start, with what to do (${family})`, async () => {
    own.host.exec('nft', `add table ${family} filter; add chain ${family} filter FORWARD { type filter hook forward priority 0 ; policy drop ; }`);
    const told = new RegExp(`table ${family} filter, chain FORWARD, policy drop`);
    if (family === 'ip6') {
      await own.daemon.restart();
      assert.deepEqual(lines(own, told), [], 'nobody has IPv6');
      own.daemon.ok('network', 'create', '--ipv6', 'six');
    }
    await own.daemon.restart();
    const said = lines(own, told);
    assert.equal(said.length, 1, own.daemon.log());
    own.sleeper('web', '-p', '8080:80', ...(family === 'ip6' ? ['--network', 'six'] : []));
    await own.in('web').serve('tcp', 80, 'a', '::');
    const address = family === 'ip' ? '10.9.0.1' : 'fd09::1';
    assert.equal(await own.in('outside').ask('tcp', address, 8080, { timeoutMs: 300 }), 'timeout');
    const commands = [...said[0]!.matchAll(/nft (insert [^;]*)/g)];
    assert.ok(commands.length > 0);
    for (const command of commands) own.host.exec('nft', command[1]!);
    if (family === 'ip') assert.equal(await own.in('outside').ask('tcp', address, 8080), 'a ::ffff:10.9.0.2');
  });

  test('connections live on while the daemon is not there, and while its table is made anew', async () => {
    own.sleeper('web', '-p', '8080:80');
    await own.in('web').serve('tcp', 80, 'echo');
    assert.equal(await own.in('host').open('127.0.0.1', 8080), 'ok');
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await own.daemon.down(signal);
      assert.equal(await own.in('host').say('alone'), 'alone');
      await own.daemon.up();
      assert.equal(await own.in('host').say(signal), signal);
    }
    own.daemon.ok('network', 'create', '--ipv6', '-o', 'naru.firewall=host', 'bank'); // all tables are written again
    assert.equal(await own.in('host').say('bank'), 'bank');
  });

  test('connections to a container that is gone are forgotten, their clients refused; those to who has its port now go on', async () => {
    own.daemon.ok('network', 'create', '--ipv6', '--subnet', '10.31.0.0/24', '--subnet', 'fd0e::/64', 'lan');
    const of = (port: string): number => own.tracked(`^ipv[46] .* tcp .* dport=${port} `);
    const listens = (): void => void own.daemon.ok('exec', 'web', 'sh', '-c', 'until netstat -ltn | grep -q ":80 "; do usleep 1000; done');
    own.host.exec('sysctl', '-q', '-w', 'net.netfilter.nf_conntrack_tcp_loose=0'); // what is forgotten is not picked up again
    own.daemon.ok('run', '-d', '--name', 'web', '--network', 'lan', '--ip', '10.31.0.9', '--ip6', 'fd0e::9', '-p', '8280:80', '-p', '8281:81', 'busybox', 'nc', '-ll', '-p', '80', '-e', 'cat');
    await own.in('web').serve('tcp', 81, 'a81', '::');
    listens();
    const [four, six] = [own.another('host'), own.another('host')];
    assert.equal(await own.in('host').open('127.0.0.1', 8280), 'ok');
    assert.match(await own.in('host').ask('tcp', 'fd0e::1', 8281), /^a81/);
    assert.ok(of('828[01]') >= 2);
    await own.letGo('web');
    // The same container comes back at once, with ports and addresses; who reaches it now is not cut off with those who reached it before
    own.daemon.ok('restart', '-t', '0', 'web');
    listens();
    assert.equal(await four.open('127.0.0.1', 8280), 'ok');
    assert.equal(await six.open('::1', 8280), 'ok');
    assert.equal(await four.say('one'), 'one');
    await pause(700); // what was to be forgotten is by now
    assert.equal(await four.say('two'), 'two');
    assert.equal(await six.say('two'), 'two');
    own.daemon.ok('rm', '-f', 'web');
    await own.until('they are forgotten', () => of('828[01]') === 0);
    assert.equal(await own.in('host').ask('tcp', '127.0.0.1', 8280, { timeoutMs: 1000 }), 'ECONNREFUSED');
  });

  test('connections by a network that a container leaves are forgotten, also when it is removed at once; those by one that it keeps go on', async () => {
    const by = (name: string): number => own.tracked(`tcp .* dport=8281 .*src=${own.address('web', name).replaceAll('.', '[.]')} `);
    for (const name of ['one', 'two']) own.daemon.ok('network', 'create', name);
    own.sleeper('web', '--network', 'one', '-p', '8281:81');
    await own.in('web').serve('tcp', 81, 'echo');
    const [first, second] = [own.another('outside'), own.another('outside')];
    assert.equal(await first.open('10.9.0.1', 8281), 'ok');
    own.daemon.ok('network', 'connect', '--gw-priority', '7', 'two', 'web'); // publishes from now on
    assert.equal(await second.open('10.9.0.1', 8281), 'ok');
    assert.deepEqual([by('one'), by('two')], [1, 1]);
    await pause(700); // what was to be forgotten is by now
    assert.deepEqual([by('one'), by('two')], [1, 1]);
    const left = own.address('web', 'one').replaceAll('.', '[.]');
    own.daemon.ok('network', 'disconnect', 'one', 'web');
    own.daemon.ok('network', 'rm', 'one');
    await own.until('forgotten', () => own.tracked(`tcp .*src=${left} `) === 0);
    assert.equal(await second.say('still'), 'still');
  });

  test('an address rests before it is used again; a fixed one is given', () => {
    own.daemon.ok('network', 'create', '--subnet', '10.32.0.0/24', 'lan');
    own.sleeper('one', '--network', 'lan');
    assert.equal(own.address('one', 'lan'), '10.32.0.2');
    own.daemon.ok('rm', '-f', 'one');
    own.sleeper('two', '--network', 'lan');
    assert.equal(own.address('two', 'lan'), '10.32.0.3');
    own.sleeper('three', '--network', 'lan', '--ip', '10.32.0.9', '--mac-address', '02:AA:00:00:00:01');
    assert.match(own.daemon.ok('exec', 'three', 'ip', 'address', 'show', 'eth0'), /link\/ether 02:aa:00:00:00:01 [^]*inet 10\.32\.0\.9\/24/);
    own.refused(/Address already in use/, 'run', '--rm', '--network', 'lan', '--ip', '10.32.0.9', 'busybox', 'true');
    own.refused(/no configured subnet or ip-range contain the IP address 10\.0\.0\.9/, 'run', '--rm', '--network', 'lan', '--ip', '10.0.0.9', 'busybox', 'true');
  });

  test('a container without a network has loopback only, and it is up', () => {
    assert.deepEqual(own.daemon.ok('run', '--rm', '--network', 'none', 'busybox', 'sh', '-c', 'ls /sys/class/net; ping -c 1 -W 2 127.0.0.1 | grep -c " 1 packets received"').split('\n'), ['lo', '1']);
  });
});

describe('on a kernel whose nftables tables have no owner, by the Docker CLI', () => {
  let own: OwnHost;
  before(async () => {
    own = await OwnHost.start('flush', { daemon: ['--fixed-cidr-v6', 'fd0e::/64'], program: lesserKernel('owner') });
  });
  after(() => own.end());

  const restored = /somebody else deleted nftables rules of naru's .*: restored/;
  const rulesAsTables = (): string[] => own.ruleset().split(/^(?=table )/m).sort(); // whichever was made first

  test('a flush by others, of everything, of a table or of a chain, is noticed, repaired and said in the log, though nobody publishes anything meanwhile', async () => {
    const { nftTable } = own.daemon.scope;
    own.sleeper('web', '-p', '8080:80');
    await own.in('web').serve('tcp', 80, 'a');
    const all = `inet ${nftTable}, table bridge ${nftTable}, table ip6 ${nftTable}`;
    const before = rulesAsTables();
    let said = lines(own, restored).length;
    // Everything, one table that others hardly see, and the rules without their table
    for (const [command, tables] of [
      ['flush ruleset', all], [`delete table bridge ${nftTable}`, `bridge ${nftTable}`], [`flush table inet ${nftTable}`, `inet ${nftTable}`],
      [`flush chain ip6 ${nftTable} answers`, `ip6 ${nftTable}`], ['flush ruleset', all],
    ] as const) {
      own.host.exec('nft', command);
      said += 1;
      await own.until(`said after ${command}`, () => lines(own, restored).length >= said);
      assert.match(lines(own, restored).at(-1)!, new RegExp(`naru's \\(table ${tables}\\): restored$`), command);
      assert.deepEqual(rulesAsTables(), before, command);
      assert.equal(await own.in('host').ask('tcp', '127.0.0.1', 8080), 'a 172.17.0.1');
    }
    own.host.exec('nft', 'add', 'table', 'ip', 'other'); // not ours: nothing is said, and it stays
    await pause(250);
    assert.equal(lines(own, restored).length, said);
    assert.match(own.ruleset(), /table ip other/);
    own.host.exec('nft', 'delete', 'table', 'ip', 'other');
    await own.clear();
  });
});
