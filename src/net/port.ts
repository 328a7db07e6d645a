import type { NetlinkStep } from '#spec/network-steps.ts';

/**
 * What `net` offers to the engine. Here: the default bridge with NAT and published ports. User-defined networks come later
 * behind the same shapes (`network` is a name already).
 */
export interface NetworkService {
  /** Create what is missing of the bridge, its addresses, forwarding sysctls and naru's nftables table; and bring the table to
   *  exactly the endpoints given (one atomic batch). Called once at start-up; restores after a flush by others. */
  reconcile(endpoints: readonly EndpointRecord[]): Promise<void>;
  /** Reserve an address, a MAC and the ports. Synchronous but for nothing: on the hot path. Throws conflict
   *  (`Bind for 0.0.0.0:80 failed: port is already allocated`). The record is JSON-able: the engine stores it. */
  reserve(request: EndpointRequest): EndpointRecord;
  /** The netlink steps that give the container its interface. */
  steps(record: EndpointRecord): NetlinkStep[];
  /** Sysctls of the container's network namespace (OCI `linux.sysctl`; what the user sets comes after, and wins). On a network
   *  without IPv6 they keep neighbours from giving the container an IPv6 address and route by router advertisements. */
  sysctls(record: EndpointRecord): Readonly<Record<string, string>>;
  /** Publish (nftables elements, and what localhost and hairpin need). One batch. Nothing to do without ports. */
  publish(record: EndpointRecord): Promise<void>;
  /** Withdraw ports and free the address; idempotent; never waits for the kernel's namespace clean-up. */
  release(record: EndpointRecord): Promise<void>;
  readonly bridge: { name: string; subnet: string; gateway: string; id: string; mtu: number };
  /** Interface counters of a process's network namespace, for stats. */
  counters(pid: number): Promise<Record<string, { rxBytes: number; rxPackets: number; rxErrors: number; rxDropped: number; txBytes: number; txPackets: number; txErrors: number; txDropped: number }>>;
  close(): void;
}

export interface EndpointRequest {
  readonly containerId: string;
  /** For the error of a port that is taken: with it the message is Docker's whole sentence. */
  readonly containerName?: string;
  readonly network: string;
  readonly mac?: string;
  readonly ipv4?: string;
  readonly ports: readonly { readonly containerPort: number; readonly protocol: 'tcp' | 'udp' | 'sctp'; readonly hostIp: string; /** 0: any free one */ readonly hostPort: number; /** inclusive upper end of a choice */ readonly hostPortEnd: number }[];
}

export interface EndpointRecord {
  readonly containerId: string;
  readonly network: string;
  readonly endpointId: string;
  readonly hostInterface: string;
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly mac: string;
  readonly ports: readonly { readonly containerPort: number; readonly protocol: 'tcp' | 'udp' | 'sctp'; readonly hostIp: string; readonly hostPort: number }[];
}
