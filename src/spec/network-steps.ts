/** What must be said to the kernel, and where, so that a container has its network: made by `net`, carried by the engine,
 *  compiled into the plan by `runtime`. */
export interface NetlinkStep {
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
  )[];
  /** What it does, for `naru plan`: `veth naru1a2b3c on naru0`. */
  readonly why: string;
  /** The flag that caused it. */
  readonly source?: string;
}
