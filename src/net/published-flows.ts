import type { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { type UnwantedFlows, forgetFlows, forgetRewritten } from './forget-flows.ts';
import { hostAddresses } from './host-network.ts';
import { formatIp, inPrefix, ipFromBytes, parsePrefix, tryParseIp } from './ip.ts';
import type { PublishedPort } from './published-ports.ts';
import type { EndpointRecord, NetworkRecord } from './records.ts';

/** One walk through the kernel's table (some ms: it is large even when it is empty) serves all ports of so long a time. */
const GATHER_MS = 20, GATHER_ENDED_MS = 500;
const LOOPBACK4_BYTE = 127, LOOPBACK6 = '00000000000000000000000000000001';

/**
 * What the kernel remembers of published ports. A tracked UDP flow keeps the rewriting that its first packet got, for as long as packets
 * come: a client that never pauses would stay with what was there before a port was published, or after it was withdrawn. So the
 * flows to a port are forgotten soon after either. Connections (tcp, sctp) to a container that is gone would be remembered for days, and
 * their clients not told: they are forgotten a moment later, so that who asks again is refused.
 */
export class PublishedFlows {
  readonly #sockets: { route: NetlinkSocket; netfilter: NetlinkSocket };
  readonly #log: (message: string) => void;
  readonly #datagrams: Queue = { flows: [], timer: undefined };
  readonly #connections: Queue = { flows: [], timer: undefined };

  constructor(sockets: { route: NetlinkSocket; netfilter: NetlinkSocket }, log: (message: string) => void) {
    this.#sockets = sockets;
    this.#log = log;
  }

  /** These publish from now on. */
  begun(endpoints: readonly EndpointRecord[]): void {
    // Connections to who has port and address now are not to be cut
    const now = new Set(connectionsOf(endpoints).map(keyOf));
    this.#connections.flows = this.#connections.flows.filter((each) => !now.has(keyOf(each)));
    this.changed(endpoints.flatMap((each) => each.ports));
  }

  /** The rules for these ports have just changed. */
  changed(ports: readonly PublishedPort[]): void {
    this.#later(this.#datagrams, ports.filter((port) => port.protocol === 'udp').map((port) => ({ port, target: undefined })), GATHER_MS);
  }

  /** What these published is withdrawn, and they are gone. */
  ended(endpoints: readonly EndpointRecord[]): void {
    this.changed(endpoints.flatMap((each) => each.ports));
    this.#later(this.#connections, connectionsOf(endpoints), GATHER_ENDED_MS);
  }

  /** A container that runs has other endpoints now. Connections by an endpoint that it still has go on, whichever publishes. */
  moved(before: readonly EndpointRecord[], now: readonly EndpointRecord[]): void {
    const ports = before.flatMap((each) => each.ports);
    const gone = before.filter(({ endpointId }) => !now.some((each) => each.endpointId === endpointId));
    this.begun(now);
    this.changed(ports);
    this.#later(this.#connections, connectionsOf(gone.map((each) => ({ ...each, ports }))), GATHER_ENDED_MS);
  }

  /** What is remembered of containers that ended while no daemon ran: rewritten to an address of our bridges that none of `live` has. */
  left(networks: readonly NetworkRecord[], live: readonly EndpointRecord[]): void {
    const subnets = networks.filter((each) => each.driver === 'bridge' && !each.configOnly).flatMap((each) => each.pools.map(({ subnet }) => parsePrefix(subnet)));
    const addresses = new Set(live.flatMap(({ address, ipv6 }) => [address, ipv6]).map(tryParseIp).flatMap((ip) => (ip === undefined ? [] : [formatIp(ip)])));
    this.#attempt('flows to ports of containers that ended meanwhile may go on', () => {
      forgetRewritten(this.#sockets.netfilter, (answerer) => {
        const ip = ipFromBytes(answerer);
        return subnets.some((subnet) => inPrefix(subnet, ip)) && !addresses.has(formatIp(ip));
      });
    });
  }

  flush(): void {
    for (const queue of [this.#datagrams, this.#connections]) this.#flush(queue);
  }

  #later(queue: Queue, flows: readonly UnwantedFlows[], ms: number): void {
    if (flows.length === 0) return;
    queue.flows.push(...flows);
    queue.timer ??= setTimeout(() => this.#flush(queue), ms);
  }

  #flush(queue: Queue): void {
    clearTimeout(queue.timer);
    queue.timer = undefined;
    const { flows } = queue;
    queue.flows = [];
    if (flows.length === 0) return;
    // A kernel without ctnetlink: flows end when they pause
    this.#attempt('flows to ports that were just published or withdrawn may go on as they were', () => {
      const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
      const local = new Set(([4, 6] as const).flatMap((family) => hostAddresses(this.#sockets.route, family)).map((each) => hex(each.address)));
      forgetFlows(this.#sockets.netfilter, flows, (address) => local.has(hex(address)) || (address.byteLength === 4 ? address[0] === LOOPBACK4_BYTE : hex(address) === LOOPBACK6));
    });
  }

  #attempt(otherwise: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#log(`${otherwise}: ${(error as Error).message}`);
    }
  }
}

const connectionsOf = (endpoints: readonly EndpointRecord[]): UnwantedFlows[] =>
  endpoints.flatMap(({ ports, address, ipv6 }) => ports.filter((port) => port.protocol !== 'udp').map((port) => ({ port, target: port.hostIp.includes(':') ? ipv6 : address })));

const keyOf = ({ port, target }: UnwantedFlows): string => `${port.protocol} ${port.hostPort} ${target}`;

interface Queue { flows: UnwantedFlows[]; timer: ReturnType<typeof setTimeout> | undefined }
