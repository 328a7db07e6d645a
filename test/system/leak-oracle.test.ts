import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { forgetRewritten } from '#net/forget-flows.ts';
import { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { NETLINK_NETFILTER } from '#sys/numbers.ts';
import { type OracleScope, footprint, leaks, loopOf } from '../support/leak-oracle.ts';
import { TestNamespace, run } from './net-namespaces.ts';

/** A leak made on purpose, how it is mended, and what the oracle says in between. */
interface Leak { readonly what: string; readonly make: string; readonly mend: string; readonly says: RegExp }

const TABLE = `naru_leak${process.pid % 1000}`, BRIDGE = `nrleak${process.pid % 1000}`, STRAY = 'nv0123456789a', LOST = 'nv0123456789b', NET = '198.18.77';
const scope: OracleScope = { dataRoot: '/nowhere/data', stateDir: '/nowhere/state', bridge: BRIDGE, nftTable: TABLE, cgroupParent: '/nowhere', daemonPid: 0 };
/** What a daemon has when no container runs: a bridge with addresses, tables. */
const DAEMON = `
ip link add ${BRIDGE} type bridge && ip link set ${BRIDGE} up alias "${TABLE}: network bridge"
ip address add ${NET}.1/24 dev ${BRIDGE} && ip address add fd77:1::1/64 dev ${BRIDGE} nodad
nft 'add table inet ${TABLE}; add set inet ${TABLE} bridges { type ifname; }; add map inet ${TABLE} ports { type inet_service : ipv4_addr; }; add chain inet ${TABLE} forward { type filter hook forward priority 0; }
add element inet ${TABLE} bridges { "${BRIDGE}" }; add rule inet ${TABLE} forward oifname @bridges accept comment "to containers"; add table bridge ${TABLE}'`;
const NO_DAEMON = `set +e; ip link del ${BRIDGE}; for family in inet bridge ip ip6; do nft delete table $family ${TABLE}; done 2>/dev/null; true`;

/** Sends a datagram that a rule rewrites to ADDRESS; the rule goes, the kernel remembers. */
const flow = (address: string): string => `
nft 'add table ip ${TABLE}_f; add chain ip ${TABLE}_f output { type nat hook output priority -100; }; add rule ip ${TABLE}_f output ip daddr ${NET}.1 udp dport 59123 dnat to ${address}:53'
python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("${NET}.1", 59123))'
nft delete table ip ${TABLE}_f`;

const OURS: readonly Leak[] = [
  { what: 'a bridge', make: `ip link add ${BRIDGE}b type bridge && ip link set ${BRIDGE}b alias "${TABLE}: network x"`, mend: `ip link del ${BRIDGE}b`, says: new RegExp(`networkObjects left behind: .*${BRIDGE}b`) },
  { what: 'a link on a bridge', make: `ip link add ${STRAY} master ${BRIDGE} type veth peer name ${BRIDGE}v`, mend: `ip link del ${STRAY}`, says: new RegExp(`networkObjects left behind: .*${STRAY} on ${BRIDGE}`) },
  { what: 'the pair that packets come in by once more', make: `ip link add ${loopOf(scope)} type bridge`, mend: `ip link del ${loopOf(scope)}`, says: new RegExp(`networkObjects left behind: .*${loopOf(scope)}`) },
  { what: 'an IPv4 address', make: `ip address add ${NET}.9/24 dev ${BRIDGE}`, mend: `ip address del ${NET}.9/24 dev ${BRIDGE}`, says: new RegExp(`networkObjects left behind: .*${BRIDGE} ${NET}\\.9/24`) },
  { what: 'an IPv6 address', make: `ip address add fd77:1::9/64 dev ${BRIDGE} nodad`, mend: `ip address del fd77:1::9/64 dev ${BRIDGE}`, says: new RegExp(`networkObjects left behind: .*${BRIDGE} fd77:1::9/64`) },
  { what: 'an IPv4 route', make: `ip route add 198.19.77.0/24 dev ${BRIDGE}`, mend: `ip route del 198.19.77.0/24 dev ${BRIDGE}`, says: new RegExp(`networkObjects left behind: .*${BRIDGE} to 198\\.19\\.77\\.0/24`) },
  { what: 'a route by a gateway, in a table of its own', make: `ip route add 198.19.78.0/24 via ${NET}.9 dev ${BRIDGE} table 177`, mend: `ip route del 198.19.78.0/24 table 177`, says: new RegExp(`networkObjects left behind: .*${BRIDGE} to 198\\.19\\.78\\.0/24 via ${NET}\\.9 in 177`) },
  { what: 'an IPv6 route', make: `ip -6 route add fd77:2::/64 dev ${BRIDGE}`, mend: `ip -6 route del fd77:2::/64 dev ${BRIDGE}`, says: new RegExp(`networkObjects left behind: .*${BRIDGE} to fd77:2::/64`) },
  ...(['ip', 'ip6'] as const).map((family): Leak => ({ what: `an nftables table (${family})`, make: `nft add table ${family} ${TABLE}`, mend: `nft delete table ${family} ${TABLE}`, says: new RegExp(`nftObjects left behind: .*table ${family} ${TABLE}(, |$)`) })),
  { what: 'a chain', make: `nft add chain inet ${TABLE} more`, mend: `nft delete chain inet ${TABLE} more`, says: new RegExp(`nftObjects left behind: .*table inet ${TABLE}, chain more(, |$)`) },
  { what: 'a rule', make: `nft add rule inet ${TABLE} forward tcp dport 80 drop`, mend: `nft flush chain inet ${TABLE} forward; nft 'add rule inet ${TABLE} forward oifname @bridges accept comment "to containers"'`, says: new RegExp(`nftObjects left behind: .*table inet ${TABLE}, chain forward: tcp dport 80 drop(, |$)`) },
  { what: 'the same rule twice', make: `nft 'add rule inet ${TABLE} forward oifname @bridges accept comment "to containers"'`, mend: `nft flush chain inet ${TABLE} forward; nft 'add rule inet ${TABLE} forward oifname @bridges accept comment "to containers"'`, says: /nftObjects left behind: .*accept comment "to containers" \(2\)(, |$)/ },
  { what: 'a set', make: `nft add set inet ${TABLE} more '{ type ipv4_addr; }'`, mend: `nft delete set inet ${TABLE} more`, says: new RegExp(`nftObjects left behind: .*table inet ${TABLE}, set more`) },
  { what: 'an element of a set, whatever nft writes for it', make: `nft add element inet ${TABLE} bridges '{ "${STRAY}" }'`, mend: `nft delete element inet ${TABLE} bridges '{ "${STRAY}" }'`, says: new RegExp(`nftObjects left behind: .*table inet ${TABLE}, set bridges: `) },
  { what: 'elements of a map', make: `nft add element inet ${TABLE} ports '{ 8080 : ${NET}.9, 8081 : ${NET}.9, 8082 : ${NET}.9, 8083 : ${NET}.9 }'`, mend: `nft flush map inet ${TABLE} ports`, says: new RegExp(`map ports: 8080 : ${NET}\\.9, .*map ports: 8083 : ${NET}\\.9(, |$)`) },
  { what: 'a tracked flow', make: flow(`${NET}.9`), mend: '', says: new RegExp(`flows left behind: .*udp to ${NET}\\.1:59123, by ${NET}\\.9(, |$)`) },
];

/** In a network namespace of a test's own nothing is anybody else's. */
const ANYBODYS: readonly Leak[] = [
  { what: 'an end of a pair on no bridge', make: `ip link add ${LOST} type veth peer name ${BRIDGE}w`, mend: `ip link del ${LOST}`, says: new RegExp(`networkObjects left behind: .*${LOST}`) },
  { what: 'a link with any name', make: 'ip link add anyx type bridge', mend: 'ip link del anyx', says: /networkObjects left behind: .*anyx(, |$)/ },
  { what: 'an address of another link', make: 'ip address add 10.1.2.3/32 dev wire', mend: 'ip address del 10.1.2.3/32 dev wire', says: /networkObjects left behind: .*wire local to 10\.1\.2\.3 in local(, |$)/ },
  { what: 'a route of another link', make: 'ip route add 10.1.2.0/24 via 192.0.2.2', mend: 'ip route del 10.1.2.0/24', says: /networkObjects left behind: .*wire to 10\.1\.2\.0\/24 via 192\.0\.2\.2(, |$)/ },
  { what: 'a route to nowhere', make: 'ip route add blackhole 10.1.4.0/24', mend: 'ip route del blackhole 10.1.4.0/24', says: /networkObjects left behind: .*nowhere blackhole to 10\.1\.4\.0\/24(, |$)/ },
  { what: 'another\'s nftables table', make: 'nft add table ip x', mend: 'nft delete table ip x', says: /nftObjects left behind: .*table ip x(, |$)/ },
  { what: 'a rule of ours in another\'s table', make: 'nft add rule ip filter FORWARD accept', mend: 'nft flush chain ip filter FORWARD; nft add rule ip filter FORWARD counter drop', says: /nftObjects left behind: .*table ip filter, chain FORWARD: accept(, |$)/ },
  { what: 'a flow to an address of a network that is gone', make: `ip route add 10.1.9.0/24 dev wire && ${flow('10.1.9.9').trim()} && ip route del 10.1.9.0/24`, mend: '', says: new RegExp(`flows left behind: .*udp to ${NET}\\.1:59123, by 10\\.1\\.9\\.9(, |$)`) },
];
const MISSING: readonly Leak[] = [
  { what: 'a route that was there before', make: 'ip route del default', mend: 'ip route add default via 192.0.2.2', says: /networkObjects taken away: .*wire to default via 192\.0\.2\.2(, |$)/ },
  { what: 'an address that was there before', make: 'ip address del 192.0.2.7/32 dev wire', mend: 'ip address add 192.0.2.7/32 dev wire', says: /networkObjects taken away: .*wire 192\.0\.2\.7\/32(, |$)/ },
  { what: 'a link that was there before', make: 'ip link del other', mend: 'ip link add other type bridge', says: /networkObjects taken away: .*other(, |$)/ },
  { what: 'a rule that was there before', make: 'nft flush chain ip filter FORWARD', mend: 'nft add rule ip filter FORWARD counter drop', says: /nftObjects taken away: .*table ip filter, chain FORWARD: counter drop(, |$)/ },
  { what: 'a whole table that was there before', make: 'nft delete table ip nat', mend: 'nft "add table ip nat; add chain ip nat x"', says: /nftObjects taken away: .*table ip nat(, |$)/ },
];

const forget = (): void => {
  const socket = new NetlinkSocket(NETLINK_NETFILTER);
  try {
    forgetRewritten(socket, (answerer) => (answerer[0] === 198 && answerer[2] === 77) || (answerer[0] === 10 && answerer[2] === 9));
  } finally {
    socket.close();
  }
};

/** All are made at once, each is reported, and nothing is when they are mended. */
const reported = (name: string, list: readonly Leak[], from: { sh(script: string): string; within<T>(work: () => T): T; scope: OracleScope }): void => void test(name, async () => {
  const baseline = footprint(from.scope);
  try {
    from.sh(list.map(({ make }) => make).join('\n'));
    const said = await leaks(from.scope, baseline, 0);
    for (const { what, says } of list) assert.match(said, new RegExp(says.source, 'm'), what);
  } finally {
    from.sh(`set +e\n${list.map(({ mend }) => mend).join('\n')}\ntrue`);
    from.within(forget);
  }
  assert.equal(await leaks(from.scope, baseline), '', 'mended');
});

describe('the leak oracle in the machine\'s network namespace reports', () => {
  const sh = (script: string): string => run('sh', '-ec', script);
  before(() => void sh(DAEMON));
  after(() => void sh(NO_DAEMON));
  reported('every kind of thing that a daemon makes', OURS, { sh, within: (work) => work(), scope });
});

describe('the leak oracle in a network namespace of a test\'s own reports', () => {
  let space: TestNamespace;
  const sh = (script: string): string => space.exec('sh', '-ec', script);
  const within = <T>(work: () => T): T => space.within(work);
  before(() => {
    space = new TestNamespace('naru-leak');
    sh(`${DAEMON}
ip link add wire type bridge && ip link set wire up && ip address add 192.0.2.1/24 dev wire && ip address add 192.0.2.7/32 dev wire && ip route add default via 192.0.2.2
ip link add other type bridge
nft 'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0 ; }; add rule ip filter FORWARD counter drop; add table ip nat; add chain ip nat x'`);
  });
  after(() => space.remove());
  const from = { sh, within, scope: { ...scope, within } };
  reported('the same', OURS, from);
  reported('what is anybody\'s', ANYBODYS, from);
  reported('what was there and is not', MISSING, from);
});
