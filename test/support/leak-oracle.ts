import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { inPrefix, parsePrefix, tryParseIp } from '#net/ip.ts';

/** What one daemon may leave on a machine, as sorted lists: two snapshots are compared with deepEqual. */
export interface Footprint {
  mounts: string[];
  links: string[];
  cgroups: string[];
  shims: string[];
  /** Sockets of the resolver's process, which ends a moment after the last container that needs it. */
  resolvers: string[];
  /** Of the tables of ours, in every family. */
  nftElements: string[];
  /** Bridges of ours (by what they say of themselves), what is on them, their addresses and routes, tables. */
  networkObjects: string[];
  /** Tracked flows to what containers published: what is published no more is forgotten. */
  flows: string[];
  directories: string[];
  descriptors: number;
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

/** `ip -j addr`, as far as it is read. */
interface Link { readonly ifname: string; readonly ifalias?: string; readonly master?: string; readonly addr_info?: readonly { readonly local: string; readonly prefixlen: number; readonly scope: string }[] }

/** Two programs are asked, for everything at once: this runs after every test. */
export const footprint = (scope: OracleScope): Footprint => (scope.within === undefined ? footprintHere(scope) : scope.within(() => footprintHere(scope)));

function footprintHere(scope: OracleScope): Footprint {
  const links = JSON.parse(output('ip', '-j', 'addr')) as Link[];
  const { tables, elements } = nftables(scope.nftTable);
  const bridges = links.filter(({ ifalias }) => ifalias?.split(' ')[0] === `${scope.nftTable}:`);
  const on = (bridge: string): string[] => links.filter(({ master }) => master === bridge).map(({ ifname }) => ifname);
  const sockets = lines('/proc/net/unix').map((l) => l.split(/\s+/)[7] ?? '').filter((path) => path.startsWith(`${scope.stateDir}/`));
  return {
    mounts: lines('/proc/self/mountinfo').filter((l) => l.includes(scope.dataRoot) || l.includes(scope.stateDir)),
    links: on(scope.bridge).sort(),
    cgroups: cgroupsBelow(scope.cgroupParent),
    shims: sockets.filter((path) => /\/shim[^/]*\.sock$/.test(path)).sort(),
    resolvers: sockets.filter((path) => path === `${scope.stateDir}/dns.sock`),
    nftElements: elements,
    networkObjects: [
      ...tables, ...links.filter(({ ifname }) => ifname === loopOf(scope)).map(({ ifname }) => ifname),
      ...bridges.flatMap(({ ifname, addr_info }) => [
        ifname, ...on(ifname), ...(addr_info ?? []).filter((each) => each.scope === 'global').map(({ local, prefixlen }) => `${ifname} ${local}/${prefixlen}`), ...routesBy(ifname),
      ]),
    ].sort(),
    flows: flowsTo(bridges.flatMap(({ addr_info }) => (addr_info ?? []).filter((each) => each.scope === 'global').map(({ local, prefixlen }) => `${local}/${prefixlen}`))),
    directories: [...children(join(scope.dataRoot, 'snapshots')), ...children(join(scope.dataRoot, 'containers')), ...children(join(scope.stateDir, 'containers')), ...children(join(scope.dataRoot, 'tmp'))],
    descriptors: descriptorsOf(scope.daemonPid),
  };
}

/** Tables of this name in every family, and what the sets and maps in them hold. */
function nftables(name: string): { tables: string[]; elements: string[] } {
  interface Named { readonly family: string; readonly table: string; readonly name: string; readonly elem?: readonly unknown[] }
  // Two answers, a line each. A whole ruleset would be ten times as slow: every table of ours has sets.
  const listed = output('nft', '-j', 'list sets; list maps').split('\n').filter((line) => line !== '').flatMap((line) => (JSON.parse(line) as { nftables: readonly Readonly<Record<string, Named>>[] }).nftables);
  const tables = [...new Set(listed.flatMap(({ set, map }) => [set, map]).flatMap((each) => (each?.table === name ? [`table ${each.family} ${name}`] : [])))];
  const elements = listed.flatMap(({ set, map }) => [set, map]).flatMap((each) => (each?.table === name && (each.elem?.length ?? 0) > 0 ? each.elem!.map((element) => `table ${each.family} ${name}, ${each.name}: ${JSON.stringify(element)}`) : []));
  return { tables, elements: elements.sort() };
}

/** Destinations reached directly by an interface, the kernel's way of writing them; IPv6's link-local ones come and go with the carrier. */
const routesBy = (name: string): string[] => [
  ...lines('/proc/thread-self/net/route').map((line) => line.split('\t')).filter(([device, , gateway]) => device === name && gateway === '00000000').map(([, destination]) => `${name} to ${destination}`),
  ...lines('/proc/thread-self/net/ipv6_route').map((line) => line.split(/\s+/)).filter((fields) => fields.at(-1) === name && !/^f[ef]/.test(fields[0]!)).map(([destination, length]) => `${name} to ${destination}/${length}`),
];

const output = (command: string, ...args: string[]): string => {
  const ran = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 << 20 });
  if (ran.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${ran.stderr}`);
  return ran.stdout;
};

/** Flows of udp, tcp and sctp that were rewritten to an address of these subnets. */
function flowsTo(subnets: readonly string[]): string[] {
  const prefixes = subnets.map(parsePrefix);
  return lines('/proc/thread-self/net/nf_conntrack').flatMap((line) => {
    const [, protocol, to, port, from] = /^ipv[46] .* (udp|tcp|sctp) .*?src=\S+ dst=(\S+) sport=\S+ dport=(\S+) .*?src=(\S+) /.exec(line) ?? [];
    if (to === undefined || from === undefined || to === from) return [];
    return prefixes.some((prefix) => inPrefix(prefix, tryParseIp(from)!)) ? [`${protocol} to ${to}:${port}, by ${from}`] : [];
  }).sort();
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
  for (const key of ['mounts', 'links', 'cgroups', 'shims', 'resolvers', 'nftElements', 'networkObjects', 'flows', 'directories'] as const) {
    const had = new Set(before[key]);
    const left = now[key].filter((x) => !had.has(x));
    if (left.length > 0) out.push(`${key} left behind: ${left.join(', ')}`);
  }
  if (now.descriptors > before.descriptors + 2) out.push(`descriptors: ${before.descriptors} before, ${now.descriptors} now`);
  return out.join('\n');
}
