import { existsSync } from 'node:fs';
import { createHash, randomBytes } from 'node:crypto';
import { NaruError, isKind } from '#spec/errors.ts';
import type { NetlinkStep } from '#spec/network-steps.ts';
import { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { NETLINK_NETFILTER, NETLINK_ROUTE } from '#sys/numbers.ts';
import { AddressPool } from './address-pool.ts';
import { ensureBridge, existingBridge } from './bridge.ts';
import { chooseSubnet } from './choose-subnet.ts';
import { bridgeSteps, loopbackSteps } from './endpoint-steps.ts';
import { foreignForwardDrops, forwardDropWarning } from './foreign-firewall.ts';
import { defaultRouteMtu, usedNetworks } from './host-network.ts';
import { type InterfaceCounters, interfaceCounters } from './interface-counters.ts';
import { contains, formatCidr, formatIpv4, macBytes, macOf, parseCidr, parseIpv4, tryParseIpv4 } from './ipv4.ts';
import { NatState } from './nat-state.ts';
import { type NetworkOptions, networkNames } from './network-options.ts';
import { type PortHold, PortReservations } from './port-reservations.ts';
import type { EndpointRecord, EndpointRequest, NetworkService } from './port.ts';
import { type PortElements, hostAddress, portElements } from './published-ports.ts';
import { UdpFlows } from './udp-flows.ts';
import { VethStragglers } from './veth-stragglers.ts';

const MAX_MTU = 1500;
/** How often a table that others could flush is looked after. */
const CHECK_MS = 5000;

interface Endpoint {
  readonly record: EndpointRecord;
  readonly holds: readonly PortHold[];
  /** What of it is in the kernel's maps. */
  published: PortElements | undefined;
}

/**
 * One bridge with its addresses, its nftables table and the endpoints on it. What is in memory is the truth: the kernel's table is
 * made from it whole (`reconcile`) and kept in step by single elements. All work is synchronous, so nothing interleaves.
 */
export class BridgeNetwork implements NetworkService {
  readonly bridge: NetworkService['bridge'];
  readonly #route = new NetlinkSocket(NETLINK_ROUTE);
  readonly #netfilter = new NetlinkSocket(NETLINK_NETFILTER);
  readonly #pool: AddressPool;
  readonly #ports = new PortReservations();
  readonly #nat: NatState;
  readonly #table: string;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #log: (message: string) => void;
  readonly #stragglers: VethStragglers;
  readonly #flows: UdpFlows;
  #checkTimer: ReturnType<typeof setInterval> | undefined;

  constructor(options: NetworkOptions) {
    const { bridge: name, table } = networkNames(options);
    this.#log = options.log ?? (() => {});
    const existing = existingBridge(this.#route, name);
    const kept = existing?.address;
    const subnet = options.subnet !== undefined ? parseCidr(options.subnet)
      : kept?.subnet ?? chooseSubnet(usedNetworks(this.#route, existing?.index ?? 0));
    const gateway = kept !== undefined && contains(subnet, kept.gateway) ? kept.gateway : subnet.base + 1;
    const mtu = options.mtu ?? Math.min(MAX_MTU, defaultRouteMtu(this.#route) ?? MAX_MTU);
    this.#pool = new AddressPool(subnet);
    this.#pool.takeThis(gateway);
    this.#table = table;
    this.#nat = new NatState(this.#netfilter, { table, bridge: name, subnet, own: options.ownTable ?? true });
    this.#flows = new UdpFlows({ route: this.#route, netfilter: this.#netfilter }, this.#log);
    const inUse = (link: string): boolean => [...this.#endpoints.values()].some((each) => each.record.hostInterface === link);
    this.#stragglers = new VethStragglers(this.#route, inUse, this.#log);
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
    for (const chain of foreignForwardDrops(this.#netfilter, this.#table)) this.#log(forwardDropWarning(chain, name));
  }

  reserve(request: EndpointRequest): EndpointRecord {
    const endpointId = randomBytes(32).toString('hex');
    const isOnBridge = isBridge(request.network);
    const { record, holds } = isOnBridge ? this.#reserveOnBridge(request, endpointId) : { record: bareRecord(request, endpointId), holds: [] };
    this.#endpoints.set(endpointId, { record, holds, published: undefined });
    return record;
  }

  steps(record: EndpointRecord): NetlinkStep[] {
    if (record.network === 'none') return loopbackSteps();
    return isBridge(record.network) ? bridgeSteps(record, this.bridge) : [];
  }

  sysctls(record: EndpointRecord): Readonly<Record<string, string>> {
    return isBridge(record.network) && existsSync('/proc/sys/net/ipv6') ? { 'net.ipv6.conf.eth0.disable_ipv6': '1' } : {};
  }

  async publish(record: EndpointRecord): Promise<void> {
    if (record.ports.length === 0) return;
    const endpoint = this.#endpoints.get(record.endpointId);
    if (endpoint === undefined) {
      throw new NaruError('not-found', `publish ports of container ${record.containerId.slice(0, 12)}: its network endpoint was released`);
    }
    if (endpoint.published !== undefined) return;
    const elements = elementsOf(record);
    try {
      this.#nat.add(elements);
      endpoint.published = elements;
    } catch (error) {
      if (!isKind(error, 'not-found') && !isKind(error, 'conflict')) throw error;
      endpoint.published = elements; // somebody changed the table: all of it is made anew
      this.#rebuild();
    }
    this.#flows.changed(record.ports);
  }

  async release(record: EndpointRecord): Promise<void> {
    const endpoint = this.#endpoints.get(record.endpointId);
    if (endpoint === undefined) return;
    this.#forget(record.endpointId, endpoint);
    if (endpoint.published === undefined || endpoint.published.size === 0) return;
    this.#nat.remove(endpoint.published);
    this.#flows.changed(record.ports);
  }

  counters(pid: number): Promise<Record<string, InterfaceCounters>> {
    return interfaceCounters(pid);
  }

  close(): void {
    clearInterval(this.#checkTimer);
    this.#flows.flush();
    this.#stragglers.close();
    this.#ports.closeAll();
    this.#route.close();
    this.#netfilter.close();
  }

  #reserveOnBridge(request: EndpointRequest, endpointId: string): { record: EndpointRecord; holds: PortHold[] } {
    const mac = request.mac === undefined || request.mac === '' ? undefined : normalMac(request.mac);
    const address = this.#takeAddress(request.ipv4);
    let holds: PortHold[];
    try {
      holds = this.#takePorts(request, formatIpv4(address));
    } catch (error) {
      this.#pool.cancel(address);
      throw withContainer(error, request, endpointId);
    }
    const record: EndpointRecord = {
      ...bareRecord(request, endpointId),
      // Of this run: the kernel takes the pair of the run before away at its own leisure, and a restart does not wait for it.
      hostInterface: `nv${endpointId.slice(0, 11)}`,
      address: formatIpv4(address),
      prefixLength: this.#pool.network.prefixLength,
      gateway: this.bridge.gateway,
      mac: mac ?? macOf(address),
      ports: request.ports.map((port, i) => ({
        containerPort: port.containerPort, protocol: port.protocol, hostIp: holds[i]!.hostIp, hostPort: holds[i]!.port,
      })),
    };
    return { record, holds };
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
    const isFree = (i: number): number => Number(request.ports[i]!.hostPort === 0);
    const order = request.ports.map((_, i) => i).toSorted((a, b) => isFree(a) - isFree(b));
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

  /** An endpoint of an earlier life of this daemon. What is in the way is only told: the container runs already. */
  #adopt(record: EndpointRecord): void {
    const holds: PortHold[] = [];
    const attempt = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        this.#log(`network of container ${record.containerId.slice(0, 12)}: ${(error as Error).message}`);
      }
    };
    if (isBridge(record.network)) attempt(() => this.#pool.takeThis(parseIpv4(record.address)));
    for (const { protocol, hostIp, hostPort, containerPort } of record.ports) {
      attempt(() => holds.push(this.#ports.take({ protocol, hostIp, first: hostPort, last: hostPort, target: `${record.address}:${containerPort}` })));
    }
    this.#endpoints.set(record.endpointId, { record, holds, published: undefined });
  }

  #forget(id: string, endpoint: Endpoint): void {
    this.#endpoints.delete(id);
    for (const hold of endpoint.holds) this.#ports.give(hold);
    const address = tryParseIpv4(endpoint.record.address);
    if (address === undefined) return;
    this.#pool.give(address);
    this.#stragglers.add(endpoint.record.hostInterface);
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
        this.#log(`the nftables table of bridge ${this.bridge.name} was deleted by somebody else: restored`);
        this.#rebuild();
      } catch (error) {
        this.#log((error as Error).message);
      }
    }, CHECK_MS).unref();
  }
}

const isBridge = (network: string): boolean => network === 'bridge' || network === 'default' || network === '';
const normalMac = (mac: string): string => [...macBytes(mac)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
const elementsOf = (record: EndpointRecord): PortElements =>
  record.ports.length === 0 ? new Map() : portElements(record.ports, parseIpv4(record.address));

const bareRecord = (request: EndpointRequest, endpointId: string): EndpointRecord => ({
  containerId: request.containerId, network: request.network, endpointId,
  hostInterface: '', address: '', prefixLength: 0, gateway: '', mac: '', ports: [],
});

/** Docker's whole sentence for a port that cannot be had, when we know whose it would be. */
function withContainer(error: unknown, request: EndpointRequest, endpointId: string): unknown {
  if (!(error instanceof NaruError) || request.containerName === undefined) return error;
  const message = `failed to set up container networking: driver failed programming external connectivity on endpoint ${request.containerName} (${endpointId}): ${error.message}`;
  return new NaruError(error.kind, message, {
    cause: error, ...(error.errno === undefined ? {} : { errno: error.errno }), ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}
