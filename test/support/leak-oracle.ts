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

export interface OracleScope { dataRoot: string; stateDir: string; bridge: string; nftTable: string; cgroupParent: string; daemonPid: number }

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

/** Shims by the sockets that they listen on below our state directory. */
function shimsOf(stateDir: string): string[] {
  return lines('/proc/net/unix').map((l) => l.split(/\s+/)[7] ?? '').filter((path) => path.startsWith(`${stateDir}/`) && path.endsWith('shim.sock')).sort();
}

const resolversOf = (stateDir: string): string[] => lines('/proc/net/unix').map((l) => l.split(/\s+/)[7] ?? '').filter((path) => path === `${stateDir}/dns.sock`);

/** The veth pair by which packets come in once more, while a network needs it. */
export const loopOf = ({ nftTable }: OracleScope): string => `ng${createHash('sha256').update(nftTable).digest('hex').slice(0, 8)}o`;

export function footprint(scope: OracleScope): Footprint {
  const tables = output('nft', 'list', 'tables').split('\n').filter((line) => line.endsWith(` ${scope.nftTable}`));
  const elements = tables.flatMap((table) => [...output('nft', '-j', 'list', ...table.split(' ')).matchAll(/"elem": \[(.*?)\]\}/gs)].map((m) => `${table}: ${m[1]}`)).sort();
  const bridges = [...output('ip', '-d', 'link').matchAll(/^\d+: ([^:@\s]+)(?:(?!^\d+: )[^])*?alias (\S+)/gm)].filter(([, , alias]) => alias === `${scope.nftTable}:`).map(([, name]) => name as string).sort();
  const linkNames = spawnSync('ip', ['-o', 'link', 'show', 'master', scope.bridge], { encoding: 'utf8' }).stdout.split('\n').filter((l) => l !== '').map((l) => (l.split(': ')[1] ?? '').split('@')[0] as string).sort();
  return {
    mounts: lines('/proc/self/mountinfo').filter((l) => l.includes(scope.dataRoot) || l.includes(scope.stateDir)),
    links: linkNames,
    cgroups: cgroupsBelow(scope.cgroupParent),
    shims: shimsOf(scope.stateDir),
    resolvers: resolversOf(scope.stateDir),
    nftElements: elements,
    networkObjects: [...tables, ...(existsSync(`/sys/class/net/${loopOf(scope)}`) ? [loopOf(scope)] : []), ...bridges.flatMap((bridge) => [
      bridge, ...output('ip', '-o', 'link', 'show', 'master', bridge).split('\n').map((line) => line.split(': ')[1] ?? '').filter((name) => name !== ''),
      ...['-4', '-6'].flatMap((family) => [
        ...[...output('ip', family, '-o', 'addr', 'show', 'dev', bridge, 'scope', 'global').matchAll(/inet6? (\S+)/g)].map(([, address]) => `${bridge} ${address}`),
        ...output('ip', family, 'route', 'show', 'dev', bridge, 'scope', 'link').split('\n').filter((route) => route !== '').map((route) => `${bridge} ${route.split(' ')[0]}`),
      ]),
    ])].sort(),
    flows: flowsTo(bridges.flatMap((bridge) => [...output('ip', '-o', 'addr', 'show', 'dev', bridge, 'scope', 'global').matchAll(/inet6? (\S+)/g)].map(([, cidr]) => cidr as string))),
    directories: [...children(join(scope.dataRoot, 'snapshots')), ...children(join(scope.dataRoot, 'containers')), ...children(join(scope.stateDir, 'containers')), ...children(join(scope.dataRoot, 'tmp'))],
    descriptors: descriptorsOf(scope.daemonPid),
  };
}

const output = (command: string, ...args: string[]): string => spawnSync(command, args, { encoding: 'utf8' }).stdout;

/** Flows of udp, tcp and sctp that were rewritten to an address of these subnets. */
function flowsTo(subnets: readonly string[]): string[] {
  const prefixes = subnets.map(parsePrefix);
  return lines('/proc/net/nf_conntrack').flatMap((line) => {
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
