import type { NetlinkStep } from '#spec/network-steps.ts';
import type { EndpointRecord, NetworkRecord } from './records.ts';

export type { EndpointRecord, IpamPool, NetworkDriver, NetworkRecord } from './records.ts';

/**
 * What `net` offers to the engine: networks and the endpoints of containers on them, as records that the engine stores. What is not
 * said to wait is synchronous: nothing interleaves with it.
 */
export interface NetworkService {
  /** The default bridge, network `bridge`. */
  readonly bridge: NetworkRecord;
  /** Create what is missing of the bridges, addresses, sysctls and naru's nftables table, and bring the table to exactly these
   *  networks and endpoints (a list for each container) in one atomic batch. Once at start-up, before anything else. */
  reconcile(networks: readonly NetworkRecord[], containers: readonly (readonly EndpointRecord[])[]): Promise<void>;
  /** A network on paper: everything checked, its subnets reserved. Throws in Docker's words. To be followed by `make` or `forget`. */
  design(request: NetworkRequest): NetworkRecord;
  /** Tell the kernel. Throws when it refuses: then nothing is left of it. */
  make(network: NetworkRecord): Promise<void>;
  /** Take the network out of the kernel and its subnets back. Idempotent. No endpoint may be left. What is left of it in the records
   *  is gone at once; resolves when its bridge is. */
  forget(network: NetworkRecord): Promise<void>;
  /** Reserve addresses, MACs and ports on all networks of a container that starts. All or nothing; on the hot path. Throws in
   *  Docker's words (conflict: `Bind for 0.0.0.0:80 failed: port is already allocated`). */
  reserve(request: SandboxRequest): EndpointRecord[];
  /** The netlink steps that give a container that starts its interfaces. Without endpoints: its loopback. */
  steps(endpoints: readonly EndpointRecord[]): NetlinkStep[];
  /** Sysctls of the container's network namespace (OCI `linux.sysctl`; what the user sets comes after, and wins). On a network
   *  without IPv6 they keep neighbours from giving the container an IPv6 address and route by router advertisements. */
  sysctls(endpoints: readonly EndpointRecord[]): Readonly<Record<string, string>>;
  /** Publish (nftables elements, and what localhost and hairpin need). One batch. Nothing to do without ports. */
  publish(endpoints: readonly EndpointRecord[]): Promise<void>;
  /** Withdraw ports and free the addresses; idempotent; never waits for the kernel's namespace clean-up. */
  release(endpoints: readonly EndpointRecord[]): Promise<void>;
  /** Connect a container that runs to one more network; its endpoints from now on. */
  connect(running: RunningSandbox, request: SandboxRequest): EndpointRecord[];
  /** Tell the neighbours on a network where the addresses of a running container are now. Nothing for one that ended. */
  announce(running: RunningSandbox, networkId: string): Promise<void>;
  /** Disconnect a container that runs from a network; its endpoints from now on. Resolves when its interface is gone. */
  disconnect(running: RunningSandbox, networkId: string): Promise<EndpointRecord[]>;
  /** Interface counters of a process's network namespace, for stats. */
  counters(pid: number): Promise<Record<string, { rxBytes: number; rxPackets: number; rxErrors: number; rxDropped: number; txBytes: number; txPackets: number; txErrors: number; txDropped: number }>>;
  close(): void;
}

/** A network as it is asked for: an interface is not given yet, and pools whose subnet is empty are chosen. */
export type NetworkRequest = Omit<NetworkRecord, 'link'>;

export interface PortRequest {
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly hostIp: string;
  /** 0: any free one */
  readonly hostPort: number;
  /** inclusive upper end of a choice */
  readonly hostPortEnd: number;
}

/** What one container wants of one network. */
export interface AttachmentRequest {
  readonly networkId: string;
  readonly mac?: string;
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly linkLocal?: readonly string[];
  readonly priority?: number;
}

export interface SandboxRequest {
  readonly containerId: string;
  /** For the error of a port that is taken: with it the message is Docker's whole sentence. */
  readonly containerName?: string;
  /** The first one gets eth0. */
  readonly networks: readonly AttachmentRequest[];
  readonly ports: readonly PortRequest[];
}

export interface RunningSandbox {
  readonly containerId: string;
  /** Of the container's first process. */
  readonly pid: number;
  /** Its endpoints so far. */
  readonly endpoints: readonly EndpointRecord[];
}
