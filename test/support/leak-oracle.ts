import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type IpPrefix, inPrefix, parsePrefix, tryParseIp } from '#net/ip.ts';

/** What one daemon may leave on a machine, as sorted lists: two snapshots are compared with deepEqual. */
export interface Footprint {
  mounts: string[];
  links: string[];
  cgroups: string[];
  shims: string[];
  /** Sockets of the resolver's process, which ends a moment after the last container that needs it. */
  resolvers: string[];
  /** Tables with their chains, rules, sets, maps and elements: of ours; in a network namespace of the test's own all. */
  nftObjects: string[];
  /** Links, addresses and routes: bridges of ours (by what they say of themselves) and what is on them; in a network namespace of the test's own all. */
  networkObjects: string[];
  /** Tracked flows to what containers published: what is published no more is forgotten. In a network namespace of the test's own all
   *  that were rewritten to an address that no other link has anything to do with. */
  flows: string[];
  directories: string[];
  descriptors: number;
  /** Whether the network is the test's own: nobody else comes and goes, and what was there must be there still. */
  whole: boolean;
}

export interface OracleScope {
  dataRoot: string; stateDir: string; bridge: string; nftTable: string; cgroupParent: string; daemonPid: number;
  /** Where the daemon's links and rules are, when it is not here. */
  within?: <T>(work: () => T) => T;
}

const lines = (path: string): string[] => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter((l) => l !== '') : []);

function cgroupsBelow(parent: string): string[] {
  const found: string[] = [];
  const roots = existsSync('/sys/fs/cgroup/cgroup.controllers') ? ['/sys/fs/cgroup'] : readdirSync('/sys/fs/cgroup').map((c) => join('/sys/fs/cgroup', c));
  for (const root of roots) {
    const top = join(root, parent);
    if (!existsSync(top)) continue;
    for (const entry of readdirSync(top, { withFileTypes: true })) if (entry.isDirectory()) found.push(join(top, entry.name));
  }
  return found.sort();
}

function children(path: string): string[] {
  return existsSync(path) ? readdirSync(path).sort().map((name) => join(path, name)) : [];
}

/** The veth pair by which packets come in once more, while a network needs it. */
export const loopOf = ({ nftTable }: OracleScope): string => `ng${createHash('sha256').update(nftTable).digest('hex').slice(0, 8)}o`;

/** `ip -j link` and `ip -j addr`, as far as they are read. */
interface Link { readonly ifname: string; readonly ifalias?: string | undefined; readonly master?: string; readonly addr_info?: readonly { readonly local: string; readonly prefixlen: number; readonly scope: string }[] }

const currentNetwork = (): string => readlinkSync('/proc/thread-self/ns/net');
/** Where the tests were started. */
const MACHINE = currentNetwork();

/** Of all tables. */
interface Route { readonly dst: string; readonly dev?: string; readonly gateway?: string; readonly table?: string; readonly type?: string }

/** Two programs are asked, each for everything at once: this runs after every test. */
export const footprint = (scope: OracleScope): Footprint => (scope.within === undefined ? footprintHere(scope) : scope.within(() => footprintHere(scope)));

function footprintHere(scope: OracleScope): Footprint {
  const whole = currentNetwork() !== MACHINE;
  // Only the second tells what a link says of itself, only the first its addresses
  const [addressed, named, routed] = outputFor('address\nlink\nroute show table all\n', 'ip', '-j', '-batch', '-').split('\n').map((line) => JSON.parse(line || '[]') as unknown[]) as [Link[], Link[], Route[]];
  const aliases = new Map(named.map(({ ifname, ifalias }) => [ifname, ifalias]));
  const links = addressed.map((link) => ({ ...link, ifalias: aliases.get(link.ifname) }));
  const isBridge = ({ ifalias }: Link): boolean => ifalias?.split(' ')[0] === `${scope.nftTable}:`;
  const bridges = links.filter(isBridge);
  const on = (bridge: string): string[] => links.filter(({ master }) => master === bridge).map(({ ifname }) => ifname);
  const sockets = lines('/proc/net/unix').map((l) => l.split(/\s+/)[7] ?? '').filter((path) => path.startsWith(`${scope.stateDir}/`));
  const ours = whole ? links : links.filter((link) => isBridge(link) || bridges.some(({ ifname }) => ifname === link.master) || link.ifname === loopOf(scope));
  return {
    mounts: lines('/proc/self/mountinfo').filter((l) => l.includes(scope.dataRoot) || l.includes(scope.stateDir)),
    links: on(scope.bridge).sort(),
    cgroups: cgroupsBelow(scope.cgroupParent),
    shims: sockets.filter((path) => /\/shim[^/]*\.sock$/.test(path)).sort(),
    resolvers: sockets.filter((path) => path === `${scope.stateDir}/dns.sock`),
    nftObjects: nftables(whole ? undefined : scope.nftTable),
    networkObjects: numbered([
      ...ours.map(({ ifname, master }) => `${ifname}${master === undefined ? '' : ` on ${master}`}`),
      ...ours.flatMap(({ ifname, addr_info }) => (addr_info ?? []).filter((each) => each.scope !== 'link').map(({ local, prefixlen }) => `${ifname} ${local}/${prefixlen}`)),
      ...routes(routed, (device) => whole || ours.some(({ ifname }) => ifname === device)),
    ]),
    flows: flowsTo(whole ? { others: subnetsOf(links.filter((link) => !isBridge(link))) } : { ours: subnetsOf(bridges) }),
    directories: [...children(join(scope.dataRoot, 'snapshots')), ...children(join(scope.dataRoot, 'containers')), ...children(join(scope.stateDir, 'containers')), ...children(join(scope.dataRoot, 'tmp'))],
    descriptors: descriptorsOf(scope.daemonPid),
    whole,
  };
}

/** Equal ones counted, so that one more of them is another: `x`, `x (2)`. */
function numbered(list: readonly string[]): string[] {
  const times = new Map<string, number>();
  return list.map((each) => {
    const time = (times.get(each) ?? 0) + 1;
    times.set(each, time);
    return time === 1 ? each : `${each} (${time})`;
  }).sort();
}

/** What is in the tables of this name (undefined: in all), a line each: `table inet x, chain y: RULE`, `table inet x, map y: ELEMENT`. By nft's text: its
 *  JSON has no words for tables with an owner. */
function nftables(name: string | undefined): string[] {
  if (name === undefined) return numbered(nftObjects(output('nft', '-s', 'list', 'ruleset')));
  // Each by itself: two lists in one command find only one, and a list of all tables takes longer
  return numbered(nftObjects(output('sh', '-c', `for family in inet bridge ip ip6; do nft -s list table $family ${name} 2>/dev/null; done; true`)));
}

function nftObjects(text: string): string[] {
  const objects: string[] = [];
  let table = '', block = '';
  for (const line of text.replaceAll(/,\n\s+/g, ', ').split('\n')) {
    const [, opened] = /^\s*(.*) \{$/.exec(line) ?? [];
    const words = line.trim();
    const [, named] = /^(table \S+ \S+) \{/.exec(line) ?? []; // behind it nft may say whose it is
    if (named !== undefined) objects.push((table = named));
    else if (words === '' || words === '}' || words.startsWith('#') || /^\tflags /.test(line)) continue;
    else if (/^\t[^\t]/.test(line) && opened !== undefined) objects.push((block = `${table}, ${opened}`));
    else if (words.startsWith('elements = {')) objects.push(...words.slice('elements = {'.length, -1).split(', ').map((element) => `${block}: ${element.trim()}`));
    else objects.push(`${block}: ${words}`);
  }
  return objects;
}

/** IPv6's link-local ones come and go with the carrier, as multicast's do, and anycast's with forwarding; broadcast's go with addresses. */
const routes = (all: readonly Route[], wanted: (device: string) => boolean): string[] => all
  .filter(({ dst, dev, type }) => wanted(dev ?? '') && !/^(fe80|ff00)[:/]/.test(dst) && !['anycast', 'broadcast', 'multicast'].includes(type ?? ''))
  .map(({ dst, dev, gateway, table, type }) => `${dev ?? 'nowhere'}${type === undefined ? '' : ` ${type}`} to ${dst}${gateway === undefined ? '' : ` via ${gateway}`}${table === undefined ? '' : ` in ${table}`}`);

const subnetsOf = (links: readonly Link[]): IpPrefix[] =>
  links.flatMap(({ addr_info }) => (addr_info ?? []).filter((each) => each.scope === 'global').map(({ local, prefixlen }) => parsePrefix(`${local}/${prefixlen}`)));

const output = (command: string, ...args: string[]): string => outputFor('', command, ...args);

/** (A shell may have programs of its own: busybox's knows an `ip` without JSON.) */
const outputFor = (input: string, command: string, ...args: string[]): string => {
  const ran = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 << 20, input });
  if (ran.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${ran.stderr}`);
  return ran.stdout;
};

/** Flows of udp, tcp and sctp that were rewritten to an address of `ours`, or to one of nobody's. */
function flowsTo({ ours, others }: { ours?: readonly IpPrefix[]; others?: readonly IpPrefix[] }): string[] {
  return numbered(lines('/proc/thread-self/net/nf_conntrack').flatMap((line) => {
    const [, protocol, to, port, from] = /^ipv[46] .* (udp|tcp|sctp) .*?src=\S+ dst=(\S+) sport=\S+ dport=(\S+) .*?src=(\S+) /.exec(line) ?? [];
    if (to === undefined || from === undefined || to === from) return [];
    const within = (prefixes: readonly IpPrefix[]): boolean => prefixes.some((prefix) => inPrefix(prefix, tryParseIp(from)!));
    return (ours === undefined || within(ours)) && (others === undefined || !within(others)) ? [`${protocol} to ${to}:${port}, by ${from}`] : [];
  }));
}

function descriptorsOf(pid: number): number {
  try {
    // Sockets of clients that just left and pidfds of tasks are what leaks; files of SQLite and the like are stable.
    return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
      try {
        return !readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('/dev/null');
      } catch {
        return false;
      }
    }).length;
  } catch {
    return 0;
  }
}

/** Waits (bounded) until the footprint equals the baseline; returns the last difference as text, '' when equal. */
export async function leaks(scope: OracleScope, baseline: Footprint, deadlineMs = 5000): Promise<string> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const now = footprint(scope);
    const difference = compare(baseline, now);
    if (difference === '' || Date.now() > end) return difference;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function compare(before: Footprint, now: Footprint): string {
  const out: string[] = [];
  const differences = (key: Lists, one: Footprint, other: Footprint, what: string): void => {
    const had = new Set(one[key]);
    const more = other[key].filter((x) => !had.has(x));
    if (more.length > 0) out.push(`${key} ${what}: ${more.join(', ')}`);
  };
  for (const key of ['mounts', 'links', 'cgroups', 'shims', 'resolvers', 'nftObjects', 'networkObjects', 'flows', 'directories'] as const) differences(key, before, now, 'left behind');
  if (now.whole) for (const key of ['nftObjects', 'networkObjects'] as const) differences(key, now, before, 'taken away');
  if (now.descriptors > before.descriptors + 2) out.push(`descriptors: ${before.descriptors} before, ${now.descriptors} now`);
  return out.join('\n');
}
type Lists = { [K in keyof Footprint]: Footprint[K] extends string[] ? K : never }[keyof Footprint];
