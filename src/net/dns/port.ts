import type { NetworkStep } from '#spec/network-steps.ts';

/**
 * The resolver of containers on user-defined networks: 127.0.0.11:53 inside each of them. It runs as a process of its own
 * (`naru internal dns`) that no container's life depends on and that outlives the daemon; the daemon tells it what exists.
 *
 *     start of a container     steps(id, configuration)  → goes into its plan: sockets in its namespace, sent to the process
 *     it runs; connect,        setContainer(id, configuration)
 *     disconnect, rename
 *     a new daemon             setContainer(id, configuration) of all that runs, then settle()
 *     end of a container       removeContainer(id)
 *
 * What `setContainer` said is remembered, so that a resolver that died is started again and told everything; containers get new
 * sockets then. All calls are synchronous and cheap; nothing waits for the process.
 */
export interface DnsService {
  /** Has the process started, if there is none: what the next container's plan sends is not lost then. */
  makeReady(): void;
  /** What a container's plan must do, after its interfaces are up. Changes nothing by itself. */
  steps(containerId: string, configuration: DnsConfiguration): NetworkStep[];
  /** Says what a running container sees from now on; `pid` is its init as the host knows it. One that has no resolver yet (connected
   *  while it runs), or whose resolver died, gets one. */
  setContainer(containerId: string, configuration: DnsConfiguration & { readonly pid: number }): void;
  /** `setContainer` was called for it, and not `removeContainer` since. */
  has(containerId: string): boolean;
  /** Its names and sockets go. Idempotent. */
  removeContainer(containerId: string): void;
  /** All containers of an earlier daemon were told: the process forgets every other one (and ends when none is left). */
  settle(): void;
  /** undefined: no resolver runs. Waits at most two seconds. */
  statistics(): Promise<DnsStatistics | undefined>;
  /** Lets go of the process, which goes on. */
  close(): void;
}

export interface DnsConfiguration {
  /** Shown as the target of PTR records: `<name>.<network's name>`. */
  readonly name: string;
  /** The user-defined networks it is on, in the order in which they are asked for a name (gateway priority first). */
  readonly networks: readonly DnsEndpoint[];
  /** Names that only this container knows, for those of another container on one of its networks (`--link db:database`). */
  readonly links?: readonly { readonly alias: string; readonly target: string }[];
  readonly upstreams: readonly DnsUpstream[];
  /** Words of resolv.conf's `options` that were set by the user or the host: `timeout:n`, `attempts:n`, `rotate`, `ndots:0`
   *  (a name without a dot is a whole name: such names are then forwarded), `no-rebind` (answers from upstream that lead to loopback, to the link
   *  or into the container's own networks are none). */
  readonly options?: readonly string[];
  /** All of its networks are internal: only servers within its own network namespace are asked, never by way of the host. */
  readonly internal?: boolean;
}

export interface DnsEndpoint {
  readonly networkId: string;
  /** `<container>.<networkName>` is answered too. */
  readonly networkName: string;
  /** The container's addresses there, v4 and v6, without prefix length. */
  readonly addresses: readonly string[];
  /** Everything it is called there: name, short id, host name, aliases. Several containers may share a name. */
  readonly names: readonly string[];
  /** CIDRs of the network: reverse lookups of addresses within are never forwarded. */
  readonly subnets?: readonly string[];
}

export interface DnsUpstream {
  readonly address: string;
  /** Default 53. */
  readonly port?: number;
  /** `container`: asked from the container's network namespace, as its own traffic; `host`: from the host's (a server on the
   *  host's loopback, or one that the container has no address family for). */
  readonly via: 'container' | 'host';
}

export interface DnsStatistics {
  readonly pid: number;
  readonly uptimeSeconds: number;
  readonly containers: number;
  /** Proportional set size, bytes. */
  readonly memory: number;
  readonly total: DnsCounters;
  readonly perContainer: Readonly<Record<string, DnsCounters>>;
}

export interface DnsCounters {
  readonly queries: number;
  /** Answered from the names of the networks, empty answers included. */
  readonly local: number;
  /** Answered from what upstream said before. */
  readonly cached: number;
  readonly forwarded: number;
  /** Not forwarded on purpose (internal names and addresses). */
  readonly withheld: number;
  /** No upstream gave an answer. */
  readonly failed: number;
  /** Malformed, or more at once than the limits allow. */
  readonly refused: number;
  /** Attempts at an upstream that timed out. */
  readonly timeouts: number;
  /** Upstream answers that were not answers to our question. */
  readonly mismatched: number;
  readonly tcp: number;
  /** Upstream answers by milliseconds: at most 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, more. */
  readonly latency: readonly number[];
}
