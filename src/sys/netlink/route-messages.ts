import type { MessageWriter } from './message-writer.ts';
import { AF_INET, AF_INET6, AF_UNSPEC, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE } from './netlink-constants.ts';
import * as R from './route-constants.ts';

/** How an interface is named in a message: by index, by name, or by an index that is filled in at run time. */
export type LinkTarget = { readonly index: number } | { readonly name: string } | { readonly label: string };

function linkHeader(w: MessageWriter, target: LinkTarget, change: { up?: boolean } = {}): void {
  const header = new Uint8Array(16);
  const view = new DataView(header.buffer);
  if ('index' in target) view.setInt32(4, target.index, true);
  if (change.up !== undefined) {
    view.setUint32(8, change.up ? R.IFF_UP : 0, true);
    view.setUint32(12, R.IFF_UP, true);
  }
  w.raw(header);
  if ('label' in target) w.labelBack(target.label, 12);
  if ('name' in target) w.string(R.IFLA_IFNAME, target.name);
}

export interface BridgeOptions {
  readonly name: string;
  readonly mac: Uint8Array;
  readonly mtu: number;
}

/** Make a bridge that forwards from the first frame (no spanning tree, no delay) and is up. Fails with EEXIST. */
export function writeCreateBridge(w: MessageWriter, options: BridgeOptions): void {
  w.message(R.RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, () => {
    linkHeader(w, { name: options.name }, { up: true });
    w.attribute(R.IFLA_ADDRESS, options.mac);
    w.u32(R.IFLA_MTU, options.mtu);
    w.nest(R.IFLA_LINKINFO, () => {
      w.string(R.IFLA_INFO_KIND, 'bridge');
      w.nest(R.IFLA_INFO_DATA, () => {
        w.u32(R.IFLA_BR_FORWARD_DELAY, 0);
        w.u32(R.IFLA_BR_STP_STATE, 0);
        w.u8(R.IFLA_BR_MCAST_SNOOPING, 0);
      });
    });
  });
}

/** Make an interface of a kind that needs to know nothing more (dummy, ifb). MTU 0: the kernel's own. Fails with EEXIST; EOPNOTSUPP where the kernel has none. */
export function writeCreateLink(w: MessageWriter, { name, kind, mtu }: { name: string; kind: string; mtu: number }): void {
  w.message(R.RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, () => {
    linkHeader(w, { name });
    if (mtu > 0) w.u32(R.IFLA_MTU, mtu);
    w.nest(R.IFLA_LINKINFO, () => w.string(R.IFLA_INFO_KIND, kind));
  });
}

export interface VethOptions {
  readonly name: string;
  readonly master: LinkTarget;
  readonly mtu: number;
  readonly peer: {
    readonly name: string;
    readonly mac: Uint8Array;
    /** The label of the u32 that will hold the descriptor of the peer's network namespace. */
    readonly namespaceLabel: string;
  };
}

/** The kernel's default is a queue for each processor, which costs time to make (a quarter of the whole) and memory to keep, and
 *  serves nothing without XDP. */
function writeOneQueue(w: MessageWriter): void {
  w.u32(R.IFLA_NUM_TX_QUEUES, 1);
  w.u32(R.IFLA_NUM_RX_QUEUES, 1);
}

/** Make a veth pair: the host's end up and on the bridge, the peer in another network namespace. The master's index must be a
 *  label or an index. */
export function writeCreateVeth(w: MessageWriter, options: VethOptions, flags: number): void {
  w.message(R.RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | flags, () => {
    linkHeader(w, { name: options.name }, { up: true });
    w.u32(R.IFLA_MTU, options.mtu);
    writeOneQueue(w);
    if ('index' in options.master) w.u32(R.IFLA_MASTER, options.master.index);
    else if ('label' in options.master) w.labelled(R.IFLA_MASTER, options.master.label);
    w.nest(R.IFLA_LINKINFO, () => {
      w.string(R.IFLA_INFO_KIND, 'veth');
      w.nest(R.IFLA_INFO_DATA, () => {
        w.nest(R.VETH_INFO_PEER, () => {
          linkHeader(w, { name: options.peer.name });
          w.attribute(R.IFLA_ADDRESS, options.peer.mac);
          w.u32(R.IFLA_MTU, options.mtu);
          writeOneQueue(w);
          w.labelled(R.IFLA_NET_NS_FD, options.peer.namespaceLabel);
        });
      });
    });
  });
}

/** Both ends of a pair in this namespace with one and the same MAC, so that each takes what the other sends without asking for an address. */
export function writeCreateLoop(w: MessageWriter, { name, peer, mac, mtu }: { name: string; peer: string; mac: Uint8Array; mtu: number }): void {
  w.message(R.RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, () => {
    linkHeader(w, { name });
    w.attribute(R.IFLA_ADDRESS, mac);
    w.u32(R.IFLA_MTU, mtu);
    writeOneQueue(w);
    w.nest(R.IFLA_LINKINFO, () => {
      w.string(R.IFLA_INFO_KIND, 'veth');
      w.nest(R.IFLA_INFO_DATA, () => {
        w.nest(R.VETH_INFO_PEER, () => {
          linkHeader(w, { name: peer });
          w.attribute(R.IFLA_ADDRESS, mac);
          w.u32(R.IFLA_MTU, mtu);
          writeOneQueue(w);
        });
      });
    });
  });
}

/** Neighbours of this interface are not asked for: every frame goes to its own MAC. */
export function writeNoArp(w: MessageWriter, name: string): void {
  w.message(R.RTM_NEWLINK, 0, () => {
    const header = new Uint8Array(16);
    const view = new DataView(header.buffer);
    view.setUint32(8, R.IFF_NOARP, true);
    view.setUint32(12, R.IFF_NOARP, true);
    w.raw(header);
    w.string(R.IFLA_IFNAME, name);
  });
}

export function writeLinkUp(w: MessageWriter, target: LinkTarget, flags = 0): void {
  w.message(R.RTM_NEWLINK, flags, () => linkHeader(w, target, { up: true }));
}

/** No IPv6 address of its own making for this interface. Must come before it goes up. */
export function writeNoIpv6Address(w: MessageWriter, target: LinkTarget, flags = 0): void {
  w.message(R.RTM_NEWLINK, flags, () => {
    linkHeader(w, target);
    w.nest(R.IFLA_AF_SPEC, () => {
      w.nest(AF_INET6, () => w.u8(R.IFLA_INET6_ADDR_GEN_MODE, R.IN6_ADDR_GEN_MODE_NONE));
    });
  });
}

/** Let a bridge port send a frame back to where it came from. */
export function writeHairpin(w: MessageWriter, target: LinkTarget, flags = 0): void {
  w.message(R.RTM_NEWLINK, flags, () => {
    linkHeader(w, target);
    w.nest(R.IFLA_LINKINFO, () => {
      w.string(R.IFLA_INFO_SLAVE_KIND, 'bridge');
      w.nest(R.IFLA_INFO_SLAVE_DATA, () => w.u8(R.IFLA_BRPORT_MODE, 1));
    });
  });
}

/** Into another network namespace, under this name there. It is down afterwards, and without its addresses. */
export function writeMoveLink(w: MessageWriter, to: { readonly index: number; readonly name: string; readonly namespaceLabel: string }, flags = 0): void {
  w.message(R.RTM_SETLINK, flags, () => {
    linkHeader(w, { index: to.index });
    w.string(R.IFLA_IFNAME, to.name);
    w.labelled(R.IFLA_NET_NS_FD, to.namespaceLabel);
  });
}

export function writeDeleteLink(w: MessageWriter, target: LinkTarget): void {
  w.message(R.RTM_DELLINK, 0, () => linkHeader(w, target));
}

export function writeGetLink(w: MessageWriter, target: LinkTarget): void {
  w.message(R.RTM_GETLINK, 0, () => linkHeader(w, target));
}

export interface AddressOptions {
  readonly link: LinkTarget;
  readonly address: Uint8Array;
  readonly prefixLength: number;
  readonly broadcast?: Uint8Array;
}

/** Give an interface an address, of 4 or 16 bytes; nothing happens when it has it already. An IPv6 one is usable at once (nobody is
 *  asked whether it is taken: we know). */
export function writeAddress(w: MessageWriter, options: AddressOptions, flags = 0): void {
  w.message(R.RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE | flags, () => writeAddressBody(w, options));
}

/** Take it away; fails with EADDRNOTAVAIL when it is not there. */
export function writeNoAddress(w: MessageWriter, options: AddressOptions): void {
  w.message(R.RTM_DELADDR, 0, () => writeAddressBody(w, options));
}

function writeAddressBody(w: MessageWriter, options: AddressOptions): void {
  const isIpv6 = options.address.byteLength === 16;
  const header = new Uint8Array([isIpv6 ? AF_INET6 : AF_INET, options.prefixLength, isIpv6 ? R.IFA_F_NODAD : 0, 0, 0, 0, 0, 0]);
  if ('index' in options.link) new DataView(header.buffer).setUint32(4, options.link.index, true);
  w.raw(header);
  if ('label' in options.link) w.labelBack(options.link.label, 4);
  w.attribute(R.IFA_LOCAL, options.address);
  w.attribute(R.IFA_ADDRESS, options.address);
  if (options.broadcast !== undefined) w.attribute(R.IFA_BROADCAST, options.broadcast);
}

/** The default route through a gateway (4 or 16 bytes) that is on an interface's own subnet. `replace`: whatever it was before. */
export function writeDefaultRoute(w: MessageWriter, gateway: Uint8Array, flags = 0, replace = false): void {
  w.message(R.RTM_NEWROUTE, NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL) | flags, () => {
    w.raw(routeHeader(gateway.byteLength === 16));
    w.attribute(R.RTA_GATEWAY, gateway);
  });
}

/** Without a default route; fails with ESRCH when there is none. */
export function writeNoDefaultRoute(w: MessageWriter, family: 4 | 6, flags = 0): void {
  w.message(R.RTM_DELROUTE, flags, () => w.raw(routeHeader(family === 6)));
}

/** One IPv6 address by an interface: a neighbour there (unicast), or the host itself for what comes in by it (local). Other interfaces may have
 *  routes to the same address. Fails with EEXIST. */
export function writeRoute6(w: MessageWriter, { link, address, metric, type }: { link: { readonly index: number }; address: Uint8Array; metric: number; type: 'local' | 'unicast' }, flags = 0): void {
  w.message(R.RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND | flags, () => {
    const [table, kind] = type === 'local' ? [R.RT_TABLE_LOCAL, R.RTN_LOCAL] : [R.RT_TABLE_MAIN, R.RTN_UNICAST];
    w.raw(new Uint8Array([AF_INET6, 128, 0, 0, table, R.RTPROT_BOOT, R.RT_SCOPE_UNIVERSE, kind, 0, 0, 0, 0]));
    w.attribute(R.RTA_DST, address);
    w.u32(R.RTA_OIF, link.index);
    w.u32(R.RTA_PRIORITY, metric);
  });
}

const routeHeader = (isIpv6: boolean): Uint8Array =>
  new Uint8Array([isIpv6 ? AF_INET6 : AF_INET, 0, 0, 0, R.RT_TABLE_MAIN, R.RTPROT_BOOT, R.RT_SCOPE_UNIVERSE, R.RTN_UNICAST, 0, 0, 0, 0]);

export interface MacvlanOptions {
  readonly name: string;
  readonly parent: LinkTarget;
  readonly mac: Uint8Array;
  /** 0: the parent's. */
  readonly mtu: number;
  /** MACVLAN_MODE_*. */
  readonly mode: number;
  readonly namespaceLabel: string;
}

/** Make a macvlan on a parent of this network namespace, in another. */
export const writeCreateMacvlan = (w: MessageWriter, options: MacvlanOptions, flags: number): void =>
  writeOnParent(w, options, { flags, kind: 'macvlan', data: () => w.u32(R.IFLA_MACVLAN_MODE, options.mode) });

export interface IpvlanOptions {
  readonly name: string;
  readonly parent: LinkTarget;
  /** 0: the parent's. */
  readonly mtu: number;
  /** IPVLAN_MODE_*, IPVLAN_F_*. */
  readonly mode: number;
  readonly flags: number;
  readonly namespaceLabel: string;
}

/** Make an ipvlan on a parent of this network namespace, whose hardware address it shares, in another. */
export const writeCreateIpvlan = (w: MessageWriter, options: IpvlanOptions, flags: number): void =>
  writeOnParent(w, options, { flags, kind: 'ipvlan', data: () => {
    w.u16(R.IFLA_IPVLAN_MODE, options.mode);
    w.u16(R.IFLA_IPVLAN_FLAGS, options.flags);
  } });

function writeOnParent(w: MessageWriter, options: Omit<MacvlanOptions, 'mac' | 'mode'> & { readonly mac?: Uint8Array }, how: { readonly flags: number; readonly kind: string; data(): void }): void {
  w.message(R.RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | how.flags, () => {
    linkHeader(w, { name: options.name });
    if ('label' in options.parent) w.labelled(R.IFLA_LINK, options.parent.label);
    if (options.mac !== undefined) w.attribute(R.IFLA_ADDRESS, options.mac);
    if (options.mtu > 0) w.u32(R.IFLA_MTU, options.mtu);
    w.labelled(R.IFLA_NET_NS_FD, options.namespaceLabel);
    w.nest(R.IFLA_LINKINFO, () => {
      w.string(R.IFLA_INFO_KIND, how.kind);
      w.nest(R.IFLA_INFO_DATA, () => how.data());
    });
  });
}

/** An ipvlan without a parent, which cannot be: EINVAL, or EOPNOTSUPP from a kernel that has none. */
export function writeImpossibleIpvlan(w: MessageWriter): void {
  w.message(R.RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, () => {
    linkHeader(w, { name: 'naru-ipvlan' });
    w.nest(R.IFLA_LINKINFO, () => w.string(R.IFLA_INFO_KIND, 'ipvlan'));
  });
}

/** The default route by an interface itself, whose other end knows the way. */
export function writeDeviceRoute(w: MessageWriter, { label, family }: { label: string; family: 4 | 6 }, flags = 0, replace = false): void {
  w.message(R.RTM_NEWROUTE, NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL) | flags, () => {
    w.raw(new Uint8Array([family === 6 ? AF_INET6 : AF_INET, 0, 0, 0, R.RT_TABLE_MAIN, R.RTPROT_BOOT, family === 6 ? R.RT_SCOPE_UNIVERSE : R.RT_SCOPE_LINK, R.RTN_UNICAST, 0, 0, 0, 0]));
    w.labelled(R.RTA_OIF, label);
  });
}

/** A word for people, at most 255 bytes. */
export function writeAlias(w: MessageWriter, target: LinkTarget, alias: string): void {
  w.message(R.RTM_SETLINK, 0, () => {
    linkHeader(w, target);
    w.string(R.IFLA_IFALIAS, alias);
  });
}

/** The hardware address, 6 bytes. */
export function writeLinkAddress(w: MessageWriter, target: LinkTarget, mac: Uint8Array, flags = 0): void {
  w.message(R.RTM_SETLINK, flags, () => {
    linkHeader(w, target);
    w.attribute(R.IFLA_ADDRESS, mac);
  });
}

/** Before the interface goes up: it announces its IPv4 address to the neighbours then. */
export function writeAnnounce(w: MessageWriter, target: LinkTarget, flags = 0): void {
  w.message(R.RTM_SETLINK, flags, () => {
    linkHeader(w, target);
    w.nest(R.IFLA_AF_SPEC, () => w.nest(AF_INET, () => w.nest(R.IFLA_INET_CONF, () => w.u32(R.IPV4_DEVCONF_ARP_NOTIFY, 1))));
  });
}

/** Let a bridge port talk to the bridge alone, not to its other isolated ports. */
export function writeIsolated(w: MessageWriter, target: LinkTarget, flags = 0): void {
  w.message(R.RTM_NEWLINK, flags, () => {
    linkHeader(w, target);
    w.nest(R.IFLA_LINKINFO, () => {
      w.string(R.IFLA_INFO_SLAVE_KIND, 'bridge');
      w.nest(R.IFLA_INFO_SLAVE_DATA, () => w.u8(R.IFLA_BRPORT_ISOLATED, 1));
    });
  });
}

/** Ask for all interfaces, or all addresses or routes of a family. */
export function writeDump(w: MessageWriter, what: 'links' | 'addresses' | 'routes', family: 4 | 6 = 4): void {
  const af = family === 4 ? AF_INET : AF_INET6;
  const [type, header] = what === 'links' ? [R.RTM_GETLINK, dumpHeader(AF_UNSPEC, 16)] as const
    : what === 'addresses' ? [R.RTM_GETADDR, dumpHeader(af, 8)] as const
    : [R.RTM_GETROUTE, dumpHeader(af, 12)] as const;
  w.message(type, NLM_F_DUMP, () => w.raw(header));
}

const dumpHeader = (family: number, length: number): Uint8Array => {
  const header = new Uint8Array(length);
  header[0] = family;
  return header;
};
