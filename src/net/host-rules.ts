import { isKind } from '#spec/errors.ts';
import type { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { FrameGuard } from './frame-guard.ts';
import { findLink } from './host-network.ts';
import type { LinkRemovals } from './link-removals.ts';
import { NatState } from './nat-state.ts';
import { type Firewall, networkFacts } from './network-facts.ts';
import { type Elements, containerElements, networkElements } from './nft-elements.ts';
import { type LoopUses, PacketLoop } from './packet-loop.ts';
import type { EndpointRecord, NetworkRecord } from './records.ts';
import { RuleWatch } from './rule-watch.ts';

/** How often tables that others could flush are looked after, milliseconds. */
const CHECK_MS = 5000;

/** What the rules are a function of. */
export interface RuledState {
  networks(): NetworkRecord[];
  find(id: string): NetworkRecord | undefined;
  endpoints(): EndpointRecord[];
  /** What has been published for the containers that run. */
  published(): Elements[];
}

export interface HostRulesOptions {
  readonly table: string;
  readonly firewall: Firewall;
  readonly removals: LinkRemovals;
  readonly log: (message: string) => void;
}

/**
 * All that naru writes into the host's nftables: the table of published ports and isolation (nat-state.ts), the frame guard's, and the
 * packet loop with its pair of links. Single elements keep the tables in step; when somebody else changed them, they are made anew
 * whole, from the state, which must be so already.
 */
export class HostRules {
  readonly #route: NetlinkSocket;
  readonly #state: RuledState;
  readonly #options: HostRulesOptions;
  readonly #nat: NatState;
  readonly #guard: FrameGuard;
  readonly #loop: PacketLoop;
  readonly #watcher: RuleWatch;
  #looped: LoopUses = { judge: false, loopback6: false };
  /** The kernel cannot do it. */
  #noLoopback6 = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor({ route, netfilter }: { route: NetlinkSocket; netfilter: NetlinkSocket }, state: RuledState, options: HostRulesOptions) {
    const { table, log } = options;
    this.#route = route;
    this.#state = state;
    this.#options = options;
    this.#nat = new NatState(netfilter, table);
    this.#guard = new FrameGuard(netfilter, { table, find: state.find, log });
    this.#loop = new PacketLoop({ route, netfilter }, table);
    this.#watcher = new RuleWatch(netfilter);
  }

  /** Link of ours, that goes when nothing needs it. */
  get loopLink(): string {
    return this.#loop.out;
  }

  exists(): boolean {
    return this.#nat.exists();
  }

  addNetwork(network: NetworkRecord): void {
    this.guards({ addNetwork: network });
    if (!this.#loopChanges()) this.change({ add: networkElements(network) });
    else this.#rebuildTables();
  }

  removeNetwork(network: NetworkRecord): void {
    const elements = networkElements(network);
    this.guards({ removeNetwork: network });
    if (this.#loopChanges()) this.#rebuildTables();
    else this.remove(elements);
  }

  elementsOf(endpoints: readonly EndpointRecord[]): Elements {
    return containerElements(endpoints, this.#state.find, this.#options.firewall);
  }

  remove(elements: Elements): void {
    if (elements.size > 0) this.#nat.remove(elements);
  }

  /** All of them, made anew. */
  rebuild(): void {
    this.#rebuildTables();
    this.#rebuildGuard();
  }

  /** One batch; when somebody changed the table, all of it is made anew. What is in memory must be so already. */
  change(change: { remove?: Elements; add?: Elements }): void {
    if ((change.remove?.size ?? 0) + (change.add?.size ?? 0) === 0) return;
    try {
      this.#nat.change(change);
    } catch (error) {
      if (!isKind(error, 'not-found') && !isKind(error, 'conflict')) throw error;
      const disturbed = this.#disturbed();
      if (disturbed.length > 0) this.#rebuildGuard();
      this.#rebuildTables(change.add);
      this.#tellRestored(disturbed);
    }
  }

  guards(change: Parameters<FrameGuard['change']>[0]): void {
    if (this.#guard.change(change)) return;
    const disturbed = this.#disturbed();
    this.#rebuildGuard(change);
    if (disturbed.length > 0) this.#rebuildTables();
    this.#tellRestored(disturbed);
  }

  /** As memory says; what is just being added is not there yet. */
  #rebuildGuard({ add = [] }: { add?: readonly EndpointRecord[] } = {}): void {
    const known = this.#state.endpoints();
    const ids = new Set(known.map((each) => each.endpointId));
    this.#guard.rebuild(this.#state.networks(), [...known, ...add.filter((each) => !ids.has(each.endpointId))], this.#nat.flags);
  }

  #wantsLoop(): LoopUses {
    const bridges = this.#state.networks().filter((each) => each.driver === 'bridge');
    return {
      judge: bridges.some((record) => (networkFacts(record).firewall ?? this.#options.firewall) === 'host'),
      loopback6: !this.#noLoopback6 && bridges.some((record) => record.ipv6 && !record.internal && networkFacts(record).gatewayMode[6].startsWith('nat')),
    };
  }

  #loopChanges(): boolean {
    const wanted = this.#wantsLoop();
    return wanted.judge !== this.#looped.judge || wanted.loopback6 !== this.#looped.loopback6;
  }

  #rebuildTables(extra: Elements = new Map()): void {
    const uses = (this.#looped = this.#wantsLoop());
    const parts = this.#state.networks().map(networkElements);
    const published = this.#state.published();
    const known = new Set([...parts, ...published].flatMap((each) => [...each.values()].flatMap((list) => list.map((element) => element.key.join()))));
    const missing = new Map([...extra].map(([key, list]) => [key, list.filter((element) => !known.has(element.key.join()))] as const));
    this.#nat.rebuild([...parts, ...published, missing], { ...(uses.judge ? { gate: this.#loop.gate } : {}), ...(uses.loopback6 ? { standIn6: this.#loop.standIn6 } : {}) });
    if (!uses.judge && !uses.loopback6) {
      this.#loop.removeTables();
      if (findLink(this.#route, this.#loop.out) !== undefined) void this.#options.removals.remove(this.#loop.out).catch((error: Error) => this.#options.log(error.message));
      return;
    }
    try {
      this.#loop.ensure(this.#nat.flags, uses);
    } catch (error) {
      if (!uses.loopback6) throw error;
      this.#noLoopback6 = true;
      this.#options.log(`published ports are not reached at ::1: ${(error as Error).message}`);
      this.#rebuildTables(extra);
    }
  }

  #disturbed(): string[] {
    return this.#watcher.disturbed([...this.#nat.written, ...this.#guard.written, ...this.#loop.written]);
  }

  #tellRestored(disturbed: readonly string[]): void {
    if (disturbed.length > 0) this.#options.log(`somebody else deleted nftables rules of naru's (table ${disturbed.join(', table ')}): restored`);
  }

  /** Only where the kernel lets others flush a table that is in use. */
  watch(): void {
    clearInterval(this.#timer);
    if (this.#nat.isOwned) return;
    this.#timer = setInterval(() => {
      try {
        const disturbed = this.#disturbed();
        if (disturbed.length === 0) return;
        this.rebuild();
        this.#tellRestored(disturbed);
      } catch (error) {
        this.#options.log((error as Error).message);
      }
    }, CHECK_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
