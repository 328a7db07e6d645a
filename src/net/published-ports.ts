import { concatenatedType, TYPE_INET_PROTO, TYPE_INET_SERVICE, TYPE_IPV4 } from '#sys/netlink/nft-constants.ts';
import type { MapElement, MapOptions } from '#sys/netlink/nft-batch.ts';
import { NaruError } from '#spec/errors.ts';
import { formatIpv4, ipv4Bytes, parseIpv4, tryParseIpv4 } from './ipv4.ts';
import type { Protocol } from './port-reservations.ts';

/**
 * Published ports as elements of four nftables maps. One port is one element of a hash (`ports` when published on every
 * address, `ports_at` on one). Neighbouring ports that go to neighbouring ports are one interval, however many: in `ranges` when
 * the numbers stay the same, in `shifted` when they do not.
 */
export type PortMap = 'ports' | 'ports_at' | 'ranges' | 'shifted';

export interface PublishedPort {
  readonly containerPort: number;
  readonly protocol: Protocol;
  readonly hostIp: string;
  readonly hostPort: number;
}

export type PortElements = ReadonlyMap<PortMap, readonly MapElement[]>;

const AT = { keyType: concatenatedType(TYPE_INET_PROTO, TYPE_IPV4, TYPE_INET_SERVICE), keyFields: [1, 4, 2] };
const TO_PORT = { dataType: concatenatedType(TYPE_IPV4, TYPE_INET_SERVICE), dataBytes: 8 };

export const PORT_MAPS: Readonly<Record<PortMap, MapOptions>> = {
  ports: { name: 'ports', keyType: concatenatedType(TYPE_INET_PROTO, TYPE_INET_SERVICE), keyFields: [1, 2], ...TO_PORT, intervals: false },
  ports_at: { name: 'ports_at', ...AT, ...TO_PORT, intervals: false },
  ranges: { name: 'ranges', ...AT, dataType: TYPE_IPV4, dataBytes: 4, intervals: true },
  shifted: { name: 'shifted', ...AT, dataType: concatenatedType(TYPE_IPV4, TYPE_INET_SERVICE, TYPE_INET_SERVICE), dataBytes: 12, intervals: true },
};

const PROTOCOL_NUMBER: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17, sctp: 132 };
const WILDCARD = '0.0.0.0';

/** The host address that a request means: empty is every address. Throws for what cannot be published on. */
export function hostAddress(text: string): string {
  if (text === '') return WILDCARD;
  const address = tryParseIpv4(text);
  if (address !== undefined) return formatIpv4(address);
  const isIpv6 = text.includes(':');
  throw new NaruError(isIpv6 ? 'unsupported' : 'invalid', `publish a port on ${text}: ${isIpv6 ? 'this network has no IPv6' : 'that is not an IP address'}`, {
    hint: 'leave the address out, or give an IPv4 address of this host',
  });
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

/** What the maps must hold so that these ports reach `address`. */
export function portElements(ports: readonly PublishedPort[], address: number): PortElements {
  const elements = new Map<PortMap, MapElement[]>();
  const add = (map: PortMap, element: MapElement): void => {
    const list = elements.get(map);
    if (list === undefined) elements.set(map, [element]);
    else list.push(element);
  };
  for (const run of portRuns(ports)) for (const [map, element] of runElements(run, address)) add(map, element);
  return elements;
}

function runElements(run: PortRun, address: number): [PortMap, MapElement][] {
  if (run.count === 1) return [single(run, address)];
  const key = { key: intervalKey(run, 0), keyEnd: intervalKey(run, run.count - 1) };
  if (run.first === run.target) return [['ranges', { ...key, data: ipv4Bytes(address) }]];
  const window = shiftWindow(run);
  if (window !== undefined) {
    return [['shifted', { ...key, data: words(ipv4Bytes(address), portBytes(window.low), portBytes(window.high)) }]];
  }
  return Array.from({ length: run.count }, (_, i) => single({ ...run, first: run.first + i, target: run.target + i, count: 1 }, address));
}

function single(run: PortRun, address: number): [PortMap, MapElement] {
  const data = words(ipv4Bytes(address), portBytes(run.target));
  const protocol = new Uint8Array([PROTOCOL_NUMBER[run.protocol]]);
  if (run.hostIp === WILDCARD) return ['ports', { key: words(protocol, portBytes(run.first)), data }];
  return ['ports_at', { key: words(protocol, ipv4Bytes(parseIpv4(run.hostIp)), portBytes(run.first)), data }];
}

function intervalKey(run: PortRun, offset: number): Uint8Array {
  const address = run.hostIp === WILDCARD ? (offset === 0 ? 0 : 0xffffffff) : parseIpv4(run.hostIp);
  return words(new Uint8Array([PROTOCOL_NUMBER[run.protocol]]), ipv4Bytes(address), portBytes(run.first + offset));
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

const portBytes = (port: number): Uint8Array => new Uint8Array([port >> 8, port & 255]);

/** Fields of a concatenation: each padded to four bytes. */
function words(...fields: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(fields.length * 4);
  fields.forEach((field, i) => bytes.set(field, i * 4));
  return bytes;
}
