/** What must be said to the kernel, and where, so that a container has its network: made by `net`, carried by the engine,
 *  compiled into the plan by `runtime`. */
export type NetworkStep = NetlinkStep | SocketStep | SendStep;

export interface NetlinkStep {
  readonly kind?: 'netlink';
  /** host: by the shim in the host's network namespace, after clone (slot 0 of patch kind 1 then is the child's network
   *  namespace); container: by the child inside its own. */
  readonly where: 'host' | 'container';
  readonly protocol: number;
  /** Whole netlink messages, NLM_F_ACK set on each. */
  readonly batch: Uint8Array;
  readonly acks: number;
  /** Offsets in `batch` (of u32 values) to fill in at run time. */
  readonly patches: readonly (
    | { readonly kind: 'child-netns-fd'; readonly offset: number }
    | { readonly kind: 'ifindex'; readonly offset: number; readonly name: string }
    | { readonly kind: 'child-pid'; readonly offset: number }
    /** The local port (u16, network order) of a socket that an earlier step made. */
    | { readonly kind: 'port'; readonly offset: number; readonly socket: string }
  )[];
  /** What it does, for `naru plan`: `veth naru1a2b3c on naru0`. */
  readonly why: string;
  /** The flag that caused it. */
  readonly source?: string;
}

/** A bound socket in the container's network namespace. */
export interface SocketStep {
  readonly kind: 'socket';
  readonly where: 'container';
  /** What later steps call it. At most two sockets. */
  readonly name: string;
  readonly domain: number;
  readonly type: number;
  /** A sockaddr. */
  readonly address: Uint8Array;
  /** At least 1: listens. */
  readonly backlog: number;
  readonly why: string;
  readonly source?: string;
}

/** Sockets given to another process. */
export interface SendStep {
  readonly kind: 'send';
  readonly where: 'container';
  /** A unix SEQPACKET socket of ours, which takes one message with `data`. */
  readonly path: string;
  readonly sockets: readonly string[];
  readonly data: Uint8Array;
  /** Nobody listening is no failure: somebody else notices and makes up for it. */
  readonly optional: boolean;
  readonly why: string;
  readonly source?: string;
}
