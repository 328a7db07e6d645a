import { concatenatedType, TYPE_INET_PROTO, TYPE_INET_SERVICE, TYPE_IPV4, TYPE_IPV6 } from '#sys/netlink/nft-constants.ts';
import type { MapElement, MapOptions } from '#sys/netlink/nft-batch.ts';
import { NaruError } from '#spec/errors.ts';
import { type IpAddress, ipBytes, tryParseIp } from './ip.ts';

export type Protocol = 'tcp' | 'udp' | 'sctp';

/**
 * Published ports as elements of nftables maps, four for each family. One port is one element of a hash (`ports` when published on
 * every address, `ports_at` on one). Neighbouring ports that go to neighbouring ports are one interval, however many: in `ranges`
 * when the numbers stay the same, in `shifted` when they do not. IPv6 has the same four, with a 6 behind.
 */
type MapKind = 'ports' | 'ports_at' | 'ranges' | 'shifted';
export type PortMap = MapKind | `${MapKind}6`;

export interface PublishedPort {
  readonly containerPort: number;
  readonly protocol: Protocol;
  /** `0.0.0.0` and `::` are every address of the family. */
  readonly hostIp: string;
  readonly hostPort: number;
}

export type PortElements = ReadonlyMap<PortMap, readonly MapElement[]>;

function mapsOf(family: 4 | 6): Record<MapKind, MapOptions> {
  const suffix = family === 4 ? '' : '6';
  const [addressType, bytes] = family === 4 ? [TYPE_IPV4, 4] : [TYPE_IPV6, 16];
  const at = { keyType: concatenatedType(TYPE_INET_PROTO, addressType, TYPE_INET_SERVICE), keyFields: [1, bytes, 2] };
  const toPort = { dataType: concatenatedType(addressType, TYPE_INET_SERVICE), dataBytes: bytes + 4 };
  return {
    ports: { name: `ports${suffix}`, keyType: concatenatedType(TYPE_INET_PROTO, TYPE_INET_SERVICE), keyFields: [1, 2], ...toPort, intervals: false },
    ports_at: { name: `ports_at${suffix}`, ...at, ...toPort, intervals: false },
    ranges: { name: `ranges${suffix}`, ...at, dataType: addressType, dataBytes: bytes, intervals: true },
    shifted: { name: `shifted${suffix}`, ...at, dataType: concatenatedType(addressType, TYPE_INET_SERVICE, TYPE_INET_SERVICE), dataBytes: bytes + 8, intervals: true },
  };
}

export const PORT_MAPS: Readonly<Record<4 | 6, Readonly<Record<MapKind, MapOptions>>>> = { 4: mapsOf(4), 6: mapsOf(6) };

export const PROTOCOL_NUMBER: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17, sctp: 132 };
export const WILDCARD: Readonly<Record<4 | 6, string>> = { 4: '0.0.0.0', 6: '::' };
export const isWildcard = (hostIp: string): boolean => hostIp === WILDCARD[4] || hostIp === WILDCARD[6];

/** The host address that a request means, in its shortest form. Throws invalid. */
export function hostAddress(text: string): IpAddress {
  const address = tryParseIp(text.replace(/^\[(.*)\]$/, '$1'));
  if (address !== undefined) return address;
  throw new NaruError('invalid', `publish a port on ${text}: that is not an IP address`, { hint: 'leave the address out, or give an address of this host' });
}

/** Ports first..first+count-1 of the host that go to target..target+count-1. */
export interface PortRun {
  readonly protocol: Protocol;
  readonly hostIp: string;
  readonly first: number;
  readonly target: number;
  readonly count: number;
}

/** Neighbouring ports joined. */
export function portRuns(ports: readonly PublishedPort[]): PortRun[] {
  const sorted = ports.toSorted((a, b) =>
    a.protocol.localeCompare(b.protocol) || a.hostIp.localeCompare(b.hostIp) || a.hostPort - b.hostPort);
  const runs: PortRun[] = [];
  for (const port of sorted) {
    const last = runs.at(-1);
    const next = { protocol: port.protocol, hostIp: port.hostIp, first: port.hostPort, target: port.containerPort, count: 1 };
    const joins = last !== undefined && last.protocol === next.protocol && last.hostIp === next.hostIp &&
      next.first === last.first + last.count && next.target === last.target + last.count;
    if (joins) runs[runs.length - 1] = { ...last, count: last.count + 1 };
    else runs.push(next);
  }
  return runs;
}

/** What the maps must hold so that these ports reach `target` (of one family; ports on addresses of the other are left out). */
export function portElements(ports: readonly PublishedPort[], target: IpAddress): PortElements {
  const elements = new Map<PortMap, MapElement[]>();
  const suffix = target.family === 4 ? '' : '6';
  for (const run of portRuns(ports.filter((port) => port.hostIp.includes(':') === (target.family === 6)))) {
    for (const [kind, element] of runElements(run, target)) {
      const map: PortMap = `${kind}${suffix}`;
      const list = elements.get(map);
      if (list === undefined) elements.set(map, [element]);
      else list.push(element);
    }
  }
  return elements;
}

/** The host's ports of one family as intervals of protocol . address . port. */
export function portIntervals(ports: readonly PublishedPort[], family: 4 | 6): MapElement[] {
  return portRuns(ports.filter((port) => port.hostIp.includes(':') === (family === 6))).map((run) => ({ key: intervalKey(run, 0), keyEnd: intervalKey(run, run.count - 1, true) }));
}

function runElements(run: PortRun, target: IpAddress): [MapKind, MapElement][] {
  if (run.count === 1) return [single(run, target)];
  const key = { key: intervalKey(run, 0), keyEnd: intervalKey(run, run.count - 1) };
  if (run.first === run.target) return [['ranges', { ...key, data: ipBytes(target) }]];
  const window = shiftWindow(run);
  if (window !== undefined) {
    return [['shifted', { ...key, data: fields(ipBytes(target), portBytes(window.low), portBytes(window.high)) }]];
  }
  return Array.from({ length: run.count }, (_, i) => single({ ...run, first: run.first + i, target: run.target + i, count: 1 }, target));
}

function single(run: PortRun, target: IpAddress): [MapKind, MapElement] {
  const data = fields(ipBytes(target), portBytes(run.target));
  const protocol = new Uint8Array([PROTOCOL_NUMBER[run.protocol]]);
  if (isWildcard(run.hostIp)) return ['ports', { key: fields(protocol, portBytes(run.first)), data }];
  return ['ports_at', { key: fields(protocol, ipBytes(tryParseIp(run.hostIp)!), portBytes(run.first)), data }];
}

function intervalKey(run: PortRun, offset: number, isEnd = offset > 0): Uint8Array {
  const host = ipBytes(tryParseIp(run.hostIp)!);
  const address = isWildcard(run.hostIp) && isEnd ? host.fill(0xff) : host;
  return fields(new Uint8Array([PROTOCOL_NUMBER[run.protocol]]), address, portBytes(run.first + offset));
}

/**
 * The kernel has no "add n to the port", but with NF_NAT_RANGE_PROTO_OFFSET it makes the new port
 *
 *     low + port % (high - low + 1)
 *
 * A window of s ports for which `port % s` is `port - k·s` with the same k for the whole run is a shift by low - k·s. Upwards that
 * is k = 0 with s above every port of the run; downwards k = 1 with (last port)/2 < s <= first port. Undefined when no such
 * window fits into 0..65535: then each port gets an element of its own.
 */
export function shiftWindow(run: Pick<PortRun, 'first' | 'target' | 'count'>): { low: number; high: number } | undefined {
  const shift = run.target - run.first;
  const last = run.first + run.count - 1;
  if (shift >= 0) return { low: shift, high: 65535 };
  const smallest = Math.max(Math.floor(last / 2) + 1, -shift);
  if (smallest > run.first) return undefined;
  const low = shift + smallest;
  const high = low + smallest - 1;
  return high <= 65535 ? { low, high } : undefined;
}

export const portBytes = (port: number): Uint8Array => new Uint8Array([port >> 8, port & 255]);

/** Fields of a concatenation: each padded to a multiple of four bytes. */
export function fields(...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + ((part.byteLength + 3) & ~3), 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += (part.byteLength + 3) & ~3;
  }
  return bytes;
}
