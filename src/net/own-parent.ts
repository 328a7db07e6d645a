import { NaruError } from '#spec/errors.ts';
import { MessageWriter } from '#sys/netlink/message-writer.ts';
import type { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { writeAlias, writeCreateLink, writeLinkUp } from '#sys/netlink/route-messages.ts';
import { findLink } from './host-network.ts';
import { hasParent } from './network-facts.ts';
import type { NetworkRecord } from './records.ts';

const EEXIST = 17, EOPNOTSUPP = 95;

/**
 * The parent of a macvlan or ipvlan network that names none: an interface that leads nowhere, so that its containers have one another
 * and nobody else. Named as Docker's is, `dm-` or `di-` with the network's short id; it comes and goes with the network.
 */
export const ownParentName = ({ driver, id }: Pick<NetworkRecord, 'driver' | 'id'>): string => `${driver === 'macvlan' ? 'dm' : 'di'}-${id.slice(0, 12)}`;

export const hasOwnParent = (network: NetworkRecord): boolean => hasParent(network) && network.link === ownParentName(network);

/** Kinds that are up by themselves (a bridge without ports has no carrier, and its macvlans send nothing). Distributions' kernels have the first one. */
const KINDS = ['dummy', 'ifb'] as const;

/** Nothing happens when it is there. MTU 0: the kernel's own. Throws unsupported where the kernel has nothing of the kind. */
export function ensureOwnParent(socket: NetlinkSocket, network: NetworkRecord, { alias, mtu }: { alias: string; mtu: number }): void {
  const name = network.link;
  if (findLink(socket, name)?.up === true) return;
  if (!KINDS.some((kind) => make(socket, network, { kind, mtu }))) {
    throw new NaruError('unsupported', `network driver ${network.driver} without a parent: this host's kernel has no dummy interfaces`, { hint: 'a kernel with CONFIG_DUMMY has (modprobe dummy); or name an interface: -o parent=eth0' });
  }
  const w = new MessageWriter();
  writeAlias(w, { name }, alias);
  writeLinkUp(w, { name });
  socket.request(w, (index) => `${name}, the parent of network ${network.name}: ${['say what it is', 'bring it up'][index]}`);
}

/** False: the kernel has none of this kind. */
function make(socket: NetlinkSocket, { link: name, name: network }: NetworkRecord, { kind, mtu }: { kind: string; mtu: number }): boolean {
  const w = new MessageWriter();
  writeCreateLink(w, { name, kind, mtu });
  try {
    socket.request(w, () => `make ${kind} ${name}, the parent of network ${network}`);
    return true;
  } catch (error) {
    if (error instanceof NaruError && error.errno === EOPNOTSUPP) return false;
    if (error instanceof NaruError && error.errno === EEXIST) return true;
    throw error;
  }
}
