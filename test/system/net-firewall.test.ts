import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { OwnHost } from '../support/own-host.ts';

/** The daemon says `--firewall host`; aa: a container that publishes; bb: its neighbour. */
describe('published ports that obey the host\'s input rules, by the Docker CLI', () => {
  let own: OwnHost;
  before(async () => {
    own = await OwnHost.start('gate', { daemon: ['--firewall', 'host', '--fixed-cidr-v6', 'fd0a::/64'] });
    for (const name of ['host', 'outside']) own.space(name).exec('sysctl', '-q', '-w', 'net.ipv4.conf.all.rp_filter=1');
    own.sleeper('aa', '-p', '8080:80', '-p', '8081:81', '-p', '5353:53/udp');
    own.sleeper('bb');
    await own.in('aa').serve('tcp', 80, 'a80', '::');
    await own.in('aa').serve('tcp', 81, 'a81');
    await own.in('aa').serve('udp', 53, 'a53');
  });
  afterEach(() => {
    own.host.exec('nft', 'add table inet firewall ; delete table inet firewall');
  });
  after(async () => {
    try {
      await own.clear();
    } finally {
      await own.end();
    }
  });

  /** A host's own firewall: what it does not name is dropped. */
  const rules = (...lines: string[]): string => own.host.exec('nft', [
    'add table inet firewall', 'add chain inet firewall input { type filter hook input priority 0 ; policy drop ; }',
    ...['ct state established,related accept', 'iif lo accept', 'meta l4proto { icmp, icmpv6 } accept', ...lines].map((line) => `add rule inet firewall input ${line}`),
  ].join(' ; '));
  const ask = async (from: string, protocol: 'tcp' | 'udp', address: string, number: number, answer: string, timeoutMs?: number): Promise<void> =>
    assert.equal(await own.in(from).ask(protocol, address, number, timeoutMs === undefined ? {} : { timeoutMs }), answer);
  /** TCP segments that `outside` sent a second time. */
  const sentAgain = (): string => /^Tcp: (?:\S+ ){11}(\d+)/m.exec(own.outside.exec('grep', '^Tcp: [^R]*$', '/proc/net/snmp'))![1]!;
  const refused = (from: string, protocol: 'tcp' | 'udp', number: number): Promise<void> => ask(from, protocol, '10.9.0.1', number, 'timeout', 300);

  test('without rules everybody reaches them at once, and is seen as himself', async () => {
    assert.match(await own.in('outside').ask('tcp', 'fd09::1', 8080), /^a80/); // neighbours are known from now on
    const before = sentAgain();
    await ask('outside', 'tcp', '10.9.0.1', 8080, 'a80 ::ffff:10.9.0.2');
    await ask('outside', 'tcp', 'fd09::1', 8080, 'a80 fd09::2');
    await ask('outside', 'udp', '10.9.0.1', 5353, 'a53 10.9.0.2');
    assert.equal(sentAgain(), before, 'a packet was lost and sent again');
  });

  test('a policy of drop closes them; a rule for one opens that one alone, for whom it names', async () => {
    rules();
    await refused('outside', 'tcp', 8080);
    await refused('outside', 'udp', 5353);
    await ask('outside', 'tcp', 'fd09::1', 8080, 'timeout', 300);
    own.host.exec('nft', 'add table inet firewall ; delete table inet firewall');
    rules('ip saddr 10.9.0.2 tcp dport 8080 accept', 'udp dport 5353 accept');
    await ask('outside', 'tcp', '10.9.0.1', 8080, 'a80 ::ffff:10.9.0.2');
    await ask('outside', 'udp', '10.9.0.1', 5353, 'a53 10.9.0.2');
    await refused('outside', 'tcp', 8081);
    await refused('bb', 'tcp', 8080); // the rule names another
  });

  test('the host itself reaches them, and neighbours whom the rules let through', async () => {
    rules(`iifname "${own.daemon.scope.bridge}" tcp dport 8080 accept`);
    assert.match(await own.in('host').ask('tcp', '127.0.0.1', 8081), /^a81 /);
    assert.match(await own.in('bb').ask('tcp', '10.9.0.1', 8080), /^a80 /);
    await refused('bb', 'tcp', 8081);
  });

  test('nothing else of the host is opened, nor is the pair a way in', async () => {
    await own.in('host').serve('tcp', 9999, 'the host');
    rules();
    await refused('outside', 'tcp', 9999);
    own.outside.ip('route', 'replace', '169.254.0.0/16', 'via', '10.9.0.1');
    assert.notEqual(await own.in('outside').ask('tcp', '169.254.110.97', 8080, { timeoutMs: 300 }), 'a80 ::ffff:10.9.0.2');
  });
});
