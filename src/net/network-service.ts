import { createHash, randomBytes } from 'node:crypto';
import { NaruError, isKind } from '#spec/errors.ts';
import { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { NETLINK_NETFILTER, NETLINK_ROUTE } from '#sys/numbers.ts';
import { span } from '#sys/trace.ts';
import { AddressPool } from './address-pool.ts';
import { deleteLink, ensureBridge, existingBridge } from './bridge.ts';
import { chooseSubnet } from './choose-subnet.ts';
import { bridgeSteps, loopbackSteps } from './endpoint-steps.ts';
import { forgetUdpFlows } from './forget-flows.ts';
import { defaultRouteMtu, findLink, hostAddresses, usedNetworks } from './host-network.ts';
import { interfaceCounters } from './interface-counters.ts';
import { contains, formatCidr, formatIpv4, ipv4FromBytes, macBytes, macOf, parseCidr, parseIpv4, tryParseIpv4 } from './ipv4.ts';
import { NatState } from './nat-state.ts';
import { type PortHold, PortReservations } from './port-reservations.ts';
import type { EndpointRecord, EndpointRequest, NetworkService } from './port.ts';
import { type PortElements, portElements } from './published-ports.ts';

export interface NetworkOptions {
  /** Up to 15 letters, digits, `-` and `_`. Default `naru0`. */
  readonly bridge?: string;
  /** `172.17.0.0/16`; default: what the bridge has, else the first pool that overlaps with nothing. */
  readonly subnet?: string;
  /** Name of the nftables table (family ip). Default: the bridge's name. */
  readonly table?: string;
  /** Default: that of the default route's interface, at most 1500. */
  readonly mtu?: number;
  /** Told of what is wrong but does not stop anything. */
  readonly warn?: (message: string) => void;
}

const NAME = /^[a-zA-Z0-9_-]{1,15}$/;
const WILDCARD = '0.0.0.0';
const MAX_MTU = 1500;
/** A host's end of a veth that is still there so long after its container is deleted by us. */
const STRAGGLER_MS = 1500;
const CHECK_MS = 5000;

export const networkNames = (options: NetworkOptions): { bridge: string; table: string } => {
  const bridge = options.bridge ?? 'naru0';
  const table = options.table ?? bridge;
  for (const name of [bridge, table]) {
    if (!NAME.test(name)) throw new NaruError('invalid', `invalid bridge or table name ${JSON.stringify(name)}`, { hint: 'up to 15 letters, digits, - and _' });
  }
  return { bridge, table };
};

interface Endpoint {
  readonly record: EndpointRecord;
  readonly holds: readonly PortHold[];
  published: PortElements | undefined;
}

/** The default bridge. Opens two netlink sockets and decides the subnet; nothing is changed before `reconcile`. */
export function createNetworkService(options: NetworkOptions = {}): NetworkService {
  return new BridgeNetwork(options);
}

class BridgeNetwork implements NetworkService {
  readonly bridge: NetworkService['bridge'];
  readonly #route = new NetlinkSocket(NETLINK_ROUTE);
  readonly #netfilter = new NetlinkSocket(NETLINK_NETFILTER);
  readonly #pool: AddressPool;
  readonly #ports = new PortReservations();
  readonly #nat: NatState;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #warn: (message: string) => void;
  readonly #stragglers: { name: string; at: number }[] = [];
  #stragglerTimer: ReturnType<typeof setTimeout> | undefined;
  #checkTimer: ReturnType<typeof setInterval> | undefined;

  constructor(options: NetworkOptions) {
    const { bridge: name, table } = networkNames(options);
    this.#warn = options.warn ?? (() => {});
    const existing = existingBridge(this.#route, name);
    const kept = existing?.address;
    const subnet = options.subnet !== undefined ? parseCidr(options.subnet)
      : kept?.subnet ?? chooseSubnet(usedNetworks(this.#route, existing?.index ?? 0));
    const gateway = kept !== undefined && contains(subnet, kept.gateway) ? kept.gateway : subnet.base + 1;
    const mtu = options.mtu ?? Math.min(MAX_MTU, defaultRouteMtu(this.#route) ?? MAX_MTU);
    this.#pool = new AddressPool(subnet);
    this.#pool.takeThis(gateway);
    this.#nat = new NatState(this.#netfilter, { table, bridge: name, subnet });
    const id = createHash('sha256').update(`naru bridge ${name} ${table} ${formatCidr(subnet)}`).digest('hex');
    this.bridge = { name, subnet: formatCidr(subnet), gateway: formatIpv4(gateway), id, mtu };
  }

  async reconcile(endpoints: readonly EndpointRecord[]): Promise<void> {
    const { name, mtu, gateway } = this.bridge;
    ensureBridge(this.#route, { name, mtu, gateway: parseIpv4(gateway), subnet: this.#pool.network });
    const wanted = new Set(endpoints.map((record) => record.endpointId));
    for (const [id, endpoint] of this.#endpoints) if (!wanted.has(id)) this.#forget(id, endpoint);
    for (const record of endpoints) if (!this.#endpoints.has(record.endpointId)) this.#adopt(record);
    for (const endpoint of this.#endpoints.values()) endpoint.published = elementsOf(endpoint.record);
    this.#rebuild();
    this.#watch();
  }

  reserve(request: EndpointRequest): EndpointRecord {
    return span('net', 'reserve', () => this.#reserve(request));
  }

  steps(record: EndpointRecord) {
    if (record.network === 'none') return loopbackSteps();
    return isBridge(record.network) ? bridgeSteps(record, this.bridge) : [];
  }

  async publish(record: EndpointRecord): Promise<void> {
    if (record.ports.length === 0) return;
    span('net', `publish ${record.ports.length} ports`, () => this.#publish(record));
  }

  async release(record: EndpointRecord): Promise<void> {
    const endpoint = this.#endpoints.get(record.endpointId);
    if (endpoint === undefined) return;
    span('net', 'release', () => {
      const { published } = endpoint;
      this.#forget(record.endpointId, endpoint);
      if (published === undefined || published.size === 0) return;
      this.#nat.remove(published);
      this.#forgetFlows(record);
    });
  }

  counters(pid: number) {
    return interfaceCounters(pid);
  }

  close(): void {
    clearTimeout(this.#stragglerTimer);
    clearInterval(this.#checkTimer);
    this.#ports.closeAll();
    this.#route.close();
    this.#netfilter.close();
  }

  #reserve(request: EndpointRequest): EndpointRecord {
    const endpointId = randomBytes(32).toString('hex');
    const bare = { containerId: request.containerId, network: request.network, endpointId };
    if (!isBridge(request.network)) {
      const record = { ...bare, hostInterface: '', address: '', prefixLength: 0, gateway: '', mac: '', ports: [] };
      this.#endpoints.set(endpointId, { record, holds: [], published: undefined });
      return record;
    }
    const address = this.#takeAddress(request.ipv4);
    try {
      const mac = request.mac === undefined || request.mac === '' ? macOf(address) : normalMac(request.mac);
      const holds = this.#takePorts(request, formatIpv4(address));
      const record: EndpointRecord = {
        ...bare,
        hostInterface: `nv${request.containerId.slice(0, 11)}`,
        address: formatIpv4(address),
        prefixLength: this.#pool.network.prefixLength,
        gateway: this.bridge.gateway,
        mac,
        ports: request.ports.map((port, i) => ({
          containerPort: port.containerPort, protocol: port.protocol, hostIp: holds[i]!.hostIp, hostPort: holds[i]!.port,
        })),
      };
      this.#endpoints.set(endpointId, { record, holds, published: undefined });
      return record;
    } catch (error) {
      this.#pool.give(address, 0);
      throw error;
    }
  }

  #takeAddress(wanted: string | undefined): number {
    if (wanted === undefined || wanted === '') return this.#pool.take();
    const address = parseIpv4(wanted);
    this.#pool.takeThis(address);
    return address;
  }

  /** In the request's order; fixed ports are taken before free ones are looked for. All or nothing. */
  #takePorts(request: EndpointRequest, address: string): PortHold[] {
    const holds: PortHold[] = [];
    const order = request.ports.map((_, i) => i).toSorted((a, b) => Number(request.ports[a]!.hostPort === 0) - Number(request.ports[b]!.hostPort === 0));
    try {
      for (const i of order) {
        const port = request.ports[i]!;
        holds[i] = this.#ports.take({
          protocol: port.protocol, hostIp: hostAddress(port.hostIp), first: port.hostPort, last: port.hostPortEnd,
          target: `${address}:${port.containerPort}`,
        });
      }
      return holds;
    } catch (error) {
      for (const hold of holds) if (hold !== undefined) this.#ports.give(hold);
      throw error;
    }
  }

  #publish(record: EndpointRecord): void {
    const endpoint = this.#endpoints.get(record.endpointId);
    if (endpoint === undefined) throw new NaruError('not-found', `publish ports of container ${record.containerId.slice(0, 12)}: its network endpoint was released`);
    if (endpoint.published !== undefined) return;
    const elements = elementsOf(record);
    try {
      this.#nat.add(elements);
      endpoint.published = elements;
    } catch (error) {
      if (!isKind(error, 'not-found')) throw error;
      endpoint.published = elements; // somebody took the table away: all of it comes back
      this.#rebuild();
    }
    this.#forgetFlows(record);
  }

  /** An endpoint of an earlier life of this daemon. What is in the way is a warning: the container runs already. */
  #adopt(record: EndpointRecord): void {
    if (!isBridge(record.network)) {
      this.#endpoints.set(record.endpointId, { record, holds: [], published: undefined });
      return;
    }
    this.#orWarn(record, () => this.#pool.takeThis(parseIpv4(record.address)));
    const holds: PortHold[] = [];
    for (const port of record.ports) {
      this.#orWarn(record, () => {
        holds.push(this.#ports.take({
          protocol: port.protocol, hostIp: port.hostIp, first: port.hostPort, last: port.hostPort, target: `${record.address}:${port.containerPort}`,
        }));
      });
    }
    this.#endpoints.set(record.endpointId, { record, holds, published: undefined });
  }

  #orWarn(record: EndpointRecord, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#warn(`network of container ${record.containerId.slice(0, 12)}: ${(error as Error).message}`);
    }
  }

  #forget(id: string, endpoint: Endpoint): void {
    this.#endpoints.delete(id);
    for (const hold of endpoint.holds) this.#ports.give(hold);
    const { address, hostInterface } = endpoint.record;
    if (address === '') return;
    const number = tryParseIpv4(address);
    if (number !== undefined) this.#pool.give(number);
    this.#stragglers.push({ name: hostInterface, at: Date.now() + STRAGGLER_MS });
    this.#stragglerTimer ??= setTimeout(() => this.#deleteStragglers(), STRAGGLER_MS).unref();
  }

  /** The pair goes with the container's namespace, by itself. Only one that something keeps alive is deleted here. */
  #deleteStragglers(): void {
    this.#stragglerTimer = undefined;
    const now = Date.now();
    while (this.#stragglers.length > 0 && this.#stragglers[0]!.at <= now) {
      const { name } = this.#stragglers.shift()!;
      const inUse = [...this.#endpoints.values()].some((each) => each.record.hostInterface === name);
      try {
        if (!inUse && findLink(this.#route, name) !== undefined) deleteLink(this.#route, name);
      } catch (error) {
        this.#warn((error as Error).message);
      }
    }
    const next = this.#stragglers[0];
    if (next !== undefined) this.#stragglerTimer = setTimeout(() => this.#deleteStragglers(), Math.max(50, next.at - now)).unref();
  }

  #rebuild(): void {
    this.#nat.rebuild([...this.#endpoints.values()].flatMap((each) => (each.published === undefined ? [] : [each.published])));
  }

  /** Only where the kernel lets others flush a table that is in use. */
  #watch(): void {
    clearInterval(this.#checkTimer);
    if (this.#nat.isOwned) return;
    this.#checkTimer = setInterval(() => {
      try {
        if (this.#nat.exists()) return;
        this.#warn(`nftables table of bridge ${this.bridge.name} was deleted by somebody else: restored`);
        this.#rebuild();
      } catch (error) {
        this.#warn((error as Error).message);
      }
    }, CHECK_MS).unref();
  }

  #forgetFlows(record: EndpointRecord): void {
    if (!record.ports.some((port) => port.protocol === 'udp')) return;
    try {
      const local = new Set(hostAddresses(this.#route).map((each) => ipv4FromBytes(each.address)));
      forgetUdpFlows(this.#netfilter, record.ports, (address) => local.has(address) || address >>> 24 === 127);
    } catch (error) {
      this.#warn(`UDP flows that were there before may go on as they were: ${(error as Error).message}`); // a kernel without ctnetlink
    }
  }
}

const isBridge = (network: string): boolean => network === 'bridge' || network === 'default' || network === '';
const elementsOf = (record: EndpointRecord): PortElements =>
  record.ports.length === 0 ? new Map() : portElements(record.ports, parseIpv4(record.address));

const normalMac = (mac: string): string => [...macBytes(mac)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');

function hostAddress(text: string): string {
  if (text === '') return WILDCARD;
  const address = tryParseIpv4(text);
  if (address !== undefined) return formatIpv4(address);
  throw new NaruError(text.includes(':') ? 'unsupported' : 'invalid', `publish a port on ${text}: ${text.includes(':') ? 'this network has no IPv6' : 'that is not an IP address'}`, {
    hint: 'leave the address out, or give an IPv4 address of this host',
  });
}
