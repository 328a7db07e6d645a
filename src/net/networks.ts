import { existsSync, readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { NaruError } from '#spec/errors.ts';
import type { NetlinkStep } from '#spec/network-steps.ts';
import { NetworkNamespace } from '#sys/network-namespace.ts';
import { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { NETLINK_NETFILTER, NETLINK_ROUTE } from '#sys/numbers.ts';
import { bridgeMac, deleteLink, ensureBridge } from './bridge.ts';
import { DEFAULT_POOLS, type SubnetPool, parsePool } from './choose-subnet.ts';
import { designDefaultBridge } from './design-default-bridge.ts';
import { designNetwork, mtuOf, ownUlaPool, subnetsOf } from './design-network.ts';
import { announce } from './announce.ts';
import { type Attachment, connectSteps, loopbackSteps, routeSteps, startSteps } from './endpoint-steps.ts';
import { foreignForwardDrops, forwardDropWarning } from './foreign-firewall.ts';
import { HostRules } from './host-rules.ts';
import { defaultRouteMtu, findLink, kernelHasIpvlan, usedNetworks } from './host-network.ts';
import { type InterfaceCounters, interfaceCounters } from './interface-counters.ts';
import { tryParseIp } from './ip.ts';
import { macBytes, macOf } from './ipv4.ts';
import { NetworkAddresses } from './network-addresses.ts';
import { hasParent, isRoutedByParent, networkFacts } from './network-facts.ts';
import { type NetworkOptions, networkNames } from './network-options.ts';
import type { Elements } from './nft-elements.ts';
import { type PortHold, PortReservations } from './port-reservations.ts';
import { ensureOwnParent, hasOwnParent } from './own-parent.ts';
import type { AttachmentRequest, EndpointRecord, NetworkRecord, NetworkRequest, NetworkService, PortRequest, RunningSandbox, SandboxRequest } from './port.ts';
import { PublishedFlows } from './published-flows.ts';
import { runSteps } from './run-steps.ts';
import { freeInterface, withDefaultRoutes } from './sandbox-endpoints.ts';
import { takePorts } from './sandbox-ports.ts';
import { LinkRemovals } from './link-removals.ts';
import { VethStragglers } from './veth-stragglers.ts';

const MAX_MTU = 1500;

interface Network { readonly record: NetworkRecord; readonly addresses: NetworkAddresses }
interface Sandbox { endpoints: readonly EndpointRecord[]; holds: PortHold[]; published: Elements | undefined }

/**
 * All networks with their addresses, the rules (host-rules.ts) and the endpoints. What is in memory is the truth: the kernel's table is made
 * from it whole (`reconcile`) and kept in step by single elements. All work is synchronous, so nothing interleaves.
 */
export class Networks implements NetworkService {
  readonly bridge: NetworkRecord;
  readonly #route = new NetlinkSocket(NETLINK_ROUTE);
  readonly #netfilter = new NetlinkSocket(NETLINK_NETFILTER);
  readonly #networks = new Map<string, Network>();
  /** By container. */
  readonly #sandboxes = new Map<string, Sandbox>();
  readonly #ports = new PortReservations();
  readonly #rules: HostRules;
  readonly #table: string;
  readonly #mtu: number;
  readonly #pools: readonly SubnetPool[];
  readonly #log: (message: string) => void;
  readonly #stragglers: VethStragglers;
  readonly #flows: PublishedFlows;
  readonly #removals: LinkRemovals;

  constructor(options: NetworkOptions) {
    const { bridge: name, table } = networkNames(options);
    this.#log = options.log ?? (() => {});
    this.#table = table;
    this.#pools = [...(options.pools?.map(parsePool) ?? DEFAULT_POOLS), ownUlaPool(options.seed ?? table)];
    this.#mtu = options.mtu ?? Math.min(MAX_MTU, defaultRouteMtu(this.#route) ?? MAX_MTU);
    const firewall = options.firewall ?? 'open';
    this.bridge = designDefaultBridge(this.#route, options, { name, table, firewall, mtu: this.#mtu, pools: this.#pools });
    this.#networks.set(this.bridge.id, { record: this.bridge, addresses: new NetworkAddresses(this.bridge.pools) });
    this.#flows = new PublishedFlows({ route: this.#route, netfilter: this.#netfilter }, this.#log);
    this.#removals = new LinkRemovals(this.#log);
    this.#rules = new HostRules({ route: this.#route, netfilter: this.#netfilter }, {
      networks: () => this.#networkRecords(), find: this.#find, endpoints: () => this.#records(),
      published: () => [...this.#sandboxes.values()].flatMap((each) => (each.published === undefined ? [] : [each.published])),
    }, { table, firewall, removals: this.#removals, log: this.#log });
    this.#stragglers = new VethStragglers(this.#route, (link) => this.#records().some((each) => each.hostInterface === link), this.#log);
  }

  async reconcile(networks: readonly NetworkRecord[], containers: readonly (readonly EndpointRecord[])[]): Promise<void> {
    for (const record of networks) {
      if (this.#networks.has(record.id)) continue;
      this.#networks.set(record.id, { record, addresses: new NetworkAddresses(record.configOnly ? [] : record.pools) });
    }
    for (const { record } of this.#networks.values()) {
      try {
        this.#ensureLink(record);
      } catch (error) {
        if (record === this.bridge) throw error;
        this.#log(`network ${record.name}: ${(error as Error).message}`);
      }
    }
    const wanted = new Set(containers.flatMap((list) => list.slice(0, 1).map((each) => each.containerId)));
    for (const [id, sandbox] of this.#sandboxes) if (!wanted.has(id)) this.#forgetSandbox(id, sandbox);
    for (const endpoints of containers) if (endpoints[0] !== undefined && !this.#sandboxes.has(endpoints[0].containerId)) this.#adopt(endpoints);
    for (const sandbox of this.#sandboxes.values()) sandbox.published = this.#rules.elementsOf(sandbox.endpoints);
    if (wanted.size > 0 && !this.#rules.exists()) this.#log('the nftables rules of containers that run were deleted while no daemon did: restored');
    this.#rules.rebuild();
    this.#rules.watch();
    this.#flows.left(this.#networkRecords(), this.#records());
    for (const chain of foreignForwardDrops(this.#netfilter, { ownTable: this.#table, ipv6: this.#networkRecords().some((record) => record.ipv6) })) this.#log(forwardDropWarning(chain, this.bridge.link));
  }

  design(request: NetworkRequest): NetworkRecord {
    const records = this.#networkRecords();
    const { record, addresses } = designNetwork(request, {
      own: records.filter((each) => !each.configOnly).flatMap(subnetsOf), pools: this.#pools, host: (family) => usedNetworks(this.#route, family),
      linkTaken: (name) => records.some((each) => each.link === name) || findLink(this.#route, name) !== undefined,
      ownerOfParent: (name) => records.find((each) => each.link === name && hasOwnParent(each))?.id,
    });
    this.#networks.set(record.id, { record, addresses });
    return record;
  }

  async make(network: NetworkRecord): Promise<void> {
    for (const gone of [this.#removals.settled(network.link), this.#removals.settled(this.#rules.loopLink), this.#removals.kernelIsFree()]) if (gone !== undefined) await gone;
    try {
      this.#ensureLink(network);
      this.#rules.addNetwork(network);
    } catch (error) {
      await this.forget(network);
      throw error;
    }
  }

  async forget(network: NetworkRecord): Promise<void> {
    if (!this.#networks.delete(network.id)) return;
    this.#flows.flush(); // also those by its gateway's address, while that is one of this host's
    this.#rules.removeNetwork(network);
    if ((network.driver === 'bridge' && network.link !== '') || hasOwnParent(network)) await this.#removals.remove(network.link);
  }

  reserve(request: SandboxRequest): EndpointRecord[] {
    const bare: EndpointRecord[] = [];
    try {
      for (const wish of request.networks) bare.push(this.#reserveOne(request, wish, bare));
      const routed = withDefaultRoutes(bare, this.#find);
      const holds: PortHold[] = [];
      const endpoints = this.#withPorts(request, routed, holds);
      this.#sandboxes.set(request.containerId, { endpoints, holds, published: undefined });
      this.#rules.guards({ add: endpoints });
      return endpoints;
    } catch (error) {
      for (const endpoint of bare) this.#cancelAddresses(endpoint);
      throw error;
    }
  }

  steps(endpoints: readonly EndpointRecord[]): NetlinkStep[] {
    return endpoints.length === 0 ? loopbackSteps() : startSteps(endpoints.map((endpoint) => this.#attachment(endpoint)));
  }

  sysctls(endpoints: readonly EndpointRecord[]): Readonly<Record<string, string>> {
    const sysctls: Record<string, string> = {};
    if (!existsSync('/proc/sys/net/ipv6')) return sysctls;
    for (const { interface: name, ipv6 } of endpoints) {
      if (ipv6 === '') sysctls[`net.ipv6.conf.${name}.disable_ipv6`] = '1';
      else sysctls[`net.ipv6.conf.${name}.accept_ra`] = '0';
    }
    return sysctls;
  }

  async publish(endpoints: readonly EndpointRecord[]): Promise<void> {
    if (endpoints.every((each) => each.ports.length === 0)) return;
    const sandbox = this.#sandboxes.get(endpoints[0]!.containerId);
    if (sandbox === undefined) throw new NaruError('not-found', `publish ports of container ${endpoints[0]!.containerId.slice(0, 12)}: its network endpoint was released`);
    if (sandbox.published !== undefined) return;
    sandbox.published = this.#rules.elementsOf(endpoints);
    this.#rules.change({ add: sandbox.published });
    this.#flows.begun(endpoints);
  }

  async release(endpoints: readonly EndpointRecord[]): Promise<void> {
    const id = endpoints[0]?.containerId ?? '';
    const sandbox = this.#sandboxes.get(id);
    if (sandbox === undefined || sandbox.endpoints[0]?.endpointId !== endpoints[0]?.endpointId) return;
    this.#forgetSandbox(id, sandbox);
    if (sandbox.published === undefined || sandbox.published.size === 0) return;
    this.#rules.remove(sandbox.published);
    this.#flows.ended(sandbox.endpoints);
  }

  connect(running: RunningSandbox, request: SandboxRequest): EndpointRecord[] {
    const sandbox = this.#sandboxOf(running);
    using namespace = NetworkNamespace.ofProcess(running.pid, running.containerId);
    const made = this.#reserveOne(request, request.networks[0]!, sandbox.endpoints);
    const next = withDefaultRoutes([...sandbox.endpoints, made], this.#find);
    const added = next.at(-1)!;
    try {
      this.#rules.guards({ add: [added] });
      runSteps(connectSteps(this.#attachment(added)), this.#route, namespace);
      return this.#move(sandbox, next, { request, namespace });
    } catch (error) {
      this.#rules.guards({ remove: [added] });
      if (added.hostInterface !== '') deleteLink(this.#route, added.hostInterface);
      this.#cancelAddresses(made);
      throw error;
    }
  }

  async announce(running: RunningSandbox, networkId: string): Promise<void> {
    const endpoint = this.#sandboxes.get(running.containerId)?.endpoints.find((each) => each.networkId === networkId);
    if (endpoint === undefined) return;
    try {
      using namespace = NetworkNamespace.ofProcess(running.pid, running.containerId);
      await announce(endpoint, this.#route, namespace);
    } catch (error) {
      // It ended meanwhile: nobody is there to be announced.
      if (!(error instanceof NaruError && error.kind === 'conflict')) throw error;
    }
  }

  async disconnect(running: RunningSandbox, networkId: string): Promise<EndpointRecord[]> {
    const sandbox = this.#sandboxOf(running);
    const gone = sandbox.endpoints.find((each) => each.networkId === networkId);
    if (gone === undefined) return [...sandbox.endpoints];
    using namespace = NetworkNamespace.ofProcess(running.pid, running.containerId);
    const rest = withDefaultRoutes(sandbox.endpoints.filter((each) => each !== gone), this.#find);
    const ports = sandbox.endpoints.flatMap((each) => each.ports);
    const request: SandboxRequest = { containerId: running.containerId, networks: [], ports: portWishes(ports) };
    const next = this.#move(sandbox, rest, { request, namespace });
    if (next.length === 0) this.#sandboxes.delete(running.containerId);
    this.#rules.guards({ remove: [gone] });
    if (gone.hostInterface !== '') await this.#removals.remove(gone.hostInterface);
    else namespace.within(() => {
      const socket = new NetlinkSocket(NETLINK_ROUTE);
      deleteLink(socket, gone.interface);
      socket.close();
    });
    this.#giveAddresses(gone);
    return next;
  }

  counters(pid: number): Promise<Record<string, InterfaceCounters>> {
    return interfaceCounters(pid);
  }

  close(): void {
    this.#rules.close();
    this.#flows.flush();
    this.#stragglers.close();
    this.#ports.closeAll();
    this.#route.close();
    this.#netfilter.close();
  }

  readonly #find = (id: string): NetworkRecord | undefined => this.#networks.get(id)?.record;

  #networkRecords(): NetworkRecord[] {
    return [...this.#networks.values()].map((each) => each.record);
  }

  #records(): EndpointRecord[] {
    return [...this.#sandboxes.values()].flatMap((each) => each.endpoints);
  }

  #ensureLink(network: NetworkRecord): void {
    const alias = `${this.#table}: network ${network.name}`.slice(0, 200);
    if (hasParent(network) && network.link !== '' && !hasOwnParent(network) && findLink(this.#route, network.link) === undefined) {
      throw new NaruError('invalid', `invalid parent ${network.link}: there is no such interface`, { hint: 'name one of this host\'s: -o parent=eth0' });
    }
    if (network.driver === 'ipvlan' && network.link !== '' && !kernelHasIpvlan(this.#route)) {
      throw new NaruError('unsupported', 'network driver ipvlan: this host\'s kernel has no ipvlan', { hint: 'a kernel with CONFIG_IPVLAN has (modprobe ipvlan); macvlan and bridge do much the same' });
    }
    if (hasOwnParent(network)) ensureOwnParent(this.#route, network, { alias, mtu: networkFacts(network).mtu });
    if (network.driver !== 'bridge' || network.link === '') return;
    const gateways = network.pools.filter((pool) => pool.gateway !== '');
    const v4 = gateways.find((pool) => !pool.gateway.includes(':'))?.gateway ?? '';
    ensureBridge(this.#route, {
      name: network.link, alias, mtu: mtuOf(network, this.#mtu), mac: bridgeMac(v4, network.id),
      addresses: gateways.map((pool) => ({ address: pool.gateway, subnet: pool.subnet })),
    });
  }

  #attachment(endpoint: EndpointRecord): Attachment {
    const network = this.#find(endpoint.networkId);
    if (network === undefined) throw new NaruError('not-found', `network ${endpoint.network} not found`);
    return { endpoint, network, isolated: network.driver === 'bridge' && !networkFacts(network).icc && !bridgesAreFiltered(), mtu: hasParent(network) ? networkFacts(network).mtu : mtuOf(network, this.#mtu) };
  }

  #reserveOne(request: SandboxRequest, wish: AttachmentRequest, others: readonly EndpointRecord[]): EndpointRecord {
    const network = this.#networks.get(wish.networkId);
    if (network === undefined) throw new NaruError('not-found', `network ${wish.networkId} not found`);
    const { record, addresses } = network;
    const mac = wish.mac === undefined || wish.mac === '' ? undefined : normalMac(wish.mac);
    if (mac !== undefined && record.driver === 'ipvlan') throw new NaruError('invalid', 'ipvlan interfaces do not support custom mac address assignment');
    const v4 = record.ipv4 ? addresses.take(4, wish.ipv4 ?? '') : undefined;
    let v6: ReturnType<NetworkAddresses['take']>;
    try {
      v6 = record.ipv6 ? addresses.take(6, wish.ipv6 ?? '') : undefined;
    } catch (error) {
      if (v4 !== undefined) addresses.cancel(v4.address);
      throw error;
    }
    const endpointId = randomBytes(32).toString('hex');
    const byItself = isRoutedByParent(record);
    return {
      containerId: request.containerId, networkId: record.id, network: record.name, endpointId,
      // Of this run: the kernel takes the pair of the run before away at its own leisure, and a restart does not wait for it.
      hostInterface: record.driver !== 'bridge' ? '' : `nv${endpointId.slice(0, 11)}`,
      interface: freeInterface(networkFacts(record).interfacePrefix, others),
      address: v4?.address ?? '', prefixLength: v4?.prefixLength ?? 0, gateway: byItself ? '' : v4?.gateway ?? '',
      ipv6: v6?.address ?? '', ipv6PrefixLength: v6?.prefixLength ?? 0, ipv6Gateway: byItself ? '' : v6?.gateway ?? '',
      ...(wish.linkLocal === undefined || wish.linkLocal.length === 0 ? {} : { linkLocal: wish.linkLocal }),
      mac: record.driver === 'ipvlan' ? '' : mac ?? (v4 === undefined ? normalMac(`02:42:${endpointId.slice(0, 8).replace(/(..)(?!$)/g, '$1:')}`) : macOf(Number(tryParseIp(v4.address)!.value))),
      defaultIpv4: false, defaultIpv6: false, priority: wish.priority ?? 0, ports: [],
    };
  }

  /** The endpoints with the ports that are published through each. */
  #withPorts(request: Pick<SandboxRequest, 'containerId' | 'containerName' | 'ports'> & { lenient?: boolean }, endpoints: readonly EndpointRecord[], holds: PortHold[]): EndpointRecord[] {
    if (request.ports.length === 0) return endpoints.map((each) => (each.ports.length === 0 ? each : { ...each, ports: [] }));
    try {
      const owner = request.containerName ?? request.containerId.slice(0, 12);
      const held = takePorts(this.#ports, request.ports, { owner, endpoints, find: this.#find, lenient: request.lenient === true });
      for (const { hold } of held) if (hold !== undefined) holds.push(hold);
      const byEndpoint = Map.groupBy(held, (port) => port.endpointId);
      return endpoints.map((each) => ({ ...each, ports: (byEndpoint.get(each.endpointId) ?? []).map(({ port }) => port) }));
    } catch (error) {
      throw withContainer(error, request, endpoints.find((each) => each.defaultIpv4 || each.defaultIpv6)?.endpointId ?? '');
    }
  }

  /** A container that runs has other endpoints from now on: routes inside, ports that move with the gateway. */
  #move(sandbox: Sandbox, next: readonly EndpointRecord[], { request, namespace }: { request: Pick<SandboxRequest, 'containerId' | 'containerName' | 'ports'>; namespace: NetworkNamespace }): EndpointRecord[] {
    const before = sandbox.endpoints;
    const moved = next.filter((each) => {
      const was = before.find((other) => other.endpointId === each.endpointId);
      return (each.defaultIpv4 && was?.defaultIpv4 !== true) || (each.defaultIpv6 && was?.defaultIpv6 !== true);
    });
    runSteps(routeSteps(moved), this.#route, namespace);
    const carriers = (list: readonly EndpointRecord[]): string => list.filter((each) => each.defaultIpv4 || each.defaultIpv6).map((each) => each.endpointId).join();
    const ports = before.flatMap((each) => each.ports);
    let endpoints = [...next];
    if (carriers(before) !== carriers(next) && (ports.length > 0 || request.ports.length > 0)) {
      for (const hold of sandbox.holds) this.#ports.give(hold);
      sandbox.holds = [];
      endpoints = this.#withPorts({ ...request, lenient: true, ports: ports.length > 0 ? portWishes(ports) : request.ports }, next, sandbox.holds);
    }
    const published = this.#rules.elementsOf(endpoints);
    this.#rules.change({ remove: sandbox.published ?? new Map(), add: published });
    sandbox.endpoints = endpoints;
    sandbox.published = published;
    this.#flows.moved(before, endpoints);
    return endpoints;
  }

  #sandboxOf({ containerId, endpoints }: RunningSandbox): Sandbox {
    let sandbox = this.#sandboxes.get(containerId);
    if (sandbox === undefined) this.#sandboxes.set(containerId, (sandbox = { endpoints, holds: [], published: undefined }));
    return sandbox;
  }

  /** Endpoints of an earlier life of this daemon. What is in the way is only told: the container runs already. */
  #adopt(endpoints: readonly EndpointRecord[]): void {
    const holds: PortHold[] = [];
    const attempt = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        this.#log(`network of container ${endpoints[0]!.containerId.slice(0, 12)}: ${(error as Error).message}`);
      }
    };
    for (const endpoint of endpoints) {
      const addresses = this.#networks.get(endpoint.networkId)?.addresses;
      if (endpoint.address !== '') attempt(() => addresses?.take(4, endpoint.address));
      if (endpoint.ipv6 !== '') attempt(() => addresses?.take(6, endpoint.ipv6));
      const routed = this.#find(endpoint.networkId);
      for (const { protocol, hostIp, hostPort, containerPort } of endpoint.ports) {
        if (routed !== undefined && networkFacts(routed).gatewayMode[hostIp.includes(':') ? 6 : 4] === 'routed') continue;
        attempt(() => holds.push(this.#ports.take({ protocol, hostIp, first: hostPort, last: hostPort, owner: endpoint.containerId.slice(0, 12), target: { address: endpoint.address, port: containerPort } })));
      }
    }
    this.#sandboxes.set(endpoints[0]!.containerId, { endpoints, holds, published: undefined });
  }

  #forgetSandbox(id: string, sandbox: Sandbox): void {
    this.#sandboxes.delete(id);
    this.#rules.guards({ remove: sandbox.endpoints });
    for (const hold of sandbox.holds) this.#ports.give(hold);
    for (const endpoint of sandbox.endpoints) {
      this.#giveAddresses(endpoint);
      if (endpoint.hostInterface !== '') this.#stragglers.add(endpoint.hostInterface);
    }
  }

  #giveAddresses({ networkId, address, ipv6 }: EndpointRecord): void {
    const addresses = this.#networks.get(networkId)?.addresses;
    addresses?.give(address);
    addresses?.give(ipv6);
  }

  #cancelAddresses({ networkId, address, ipv6 }: EndpointRecord): void {
    const addresses = this.#networks.get(networkId)?.addresses;
    addresses?.cancel(address);
    addresses?.cancel(ipv6);
  }

}

/**
 * Whether the kernel shows bridged packets to the table's forward chain (br_netfilter). Then that keeps containers apart; and a port
 * of the bridge that is isolated would also keep them from one another's published ports, which the bridge itself turns around.
 */
function bridgesAreFiltered(): boolean {
  const isOn = (name: string): boolean => {
    try {
      return readFileSync(`/proc/sys/net/bridge/${name}`, 'utf8').trim() === '1';
    } catch {
      return false;
    }
  };
  return isOn('bridge-nf-call-iptables') && isOn('bridge-nf-call-ip6tables');
}

const normalMac = (mac: string): string => [...macBytes(mac)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');

/** Ports that are published, as wishes for the very same. */
const portWishes = (ports: EndpointRecord['ports']): PortRequest[] =>
  ports.map(({ containerPort, protocol, hostIp, hostPort }) => ({ containerPort, protocol, hostIp, hostPort, hostPortEnd: hostPort }));

/** Docker's whole sentence for a port that cannot be had, when we know whose it would be; and Docker's kind, which is no conflict. */
function withContainer(error: unknown, request: Pick<SandboxRequest, 'containerName'>, endpointId: string): unknown {
  if (!(error instanceof NaruError) || request.containerName === undefined) return error;
  const message = `failed to set up container networking: driver failed programming external connectivity on endpoint ${request.containerName} (${endpointId}): ${error.message}`;
  return new NaruError(error.kind === 'conflict' ? 'internal' : error.kind, message, {
    cause: error, ...(error.errno === undefined ? {} : { errno: error.errno }), ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

