import type { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { forgetUdpFlows } from './forget-flows.ts';
import { hostAddresses } from './host-network.ts';
import { ipv4FromBytes } from './ipv4.ts';
import type { PublishedPort } from './published-ports.ts';

/** One walk through the kernel's table (some ms: it is large even when it is empty) serves all ports of so long a time. */
const GATHER_MS = 20;
const LOOPBACK_BYTE = 127;

/**
 * A tracked UDP flow keeps the rewriting that its first packet got, for as long as packets come: a client that never pauses would
 * stay with what was there before a port was published, or after it was withdrawn. So the flows to a port are forgotten soon
 * after either.
 */
export class UdpFlows {
  readonly #sockets: { route: NetlinkSocket; netfilter: NetlinkSocket };
  readonly #log: (message: string) => void;
  #ports: PublishedPort[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(sockets: { route: NetlinkSocket; netfilter: NetlinkSocket }, log: (message: string) => void) {
    this.#sockets = sockets;
    this.#log = log;
  }

  /** The rules for these ports have just changed. */
  changed(ports: readonly PublishedPort[]): void {
    const udp = ports.filter((port) => port.protocol === 'udp');
    if (udp.length === 0) return;
    this.#ports.push(...udp);
    this.#timer ??= setTimeout(() => this.flush(), GATHER_MS);
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const ports = this.#ports;
    this.#ports = [];
    if (ports.length === 0) return;
    try {
      const local = new Set(hostAddresses(this.#sockets.route).map((each) => ipv4FromBytes(each.address)));
      forgetUdpFlows(this.#sockets.netfilter, ports, (address) => local.has(address) || address >>> 24 === LOOPBACK_BYTE);
    } catch (error) {
      // A kernel without ctnetlink: flows end when they pause
      this.#log(`UDP flows to ports that were just published or withdrawn may go on as they were: ${(error as Error).message}`);
    }
  }
}
