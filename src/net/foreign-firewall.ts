import { MessageWriter } from '#sys/netlink/message-writer.ts';
import type { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6, NF_DROP, NF_INET_FORWARD } from '#sys/netlink/nft-constants.ts';
import { type BaseChain, parseBaseChain, writeDumpChains } from '#sys/netlink/nft-chains.ts';

const FAMILY_NAMES: Readonly<Record<number, string>> = { [NFPROTO_INET]: 'inet', [NFPROTO_IPV4]: 'ip', [NFPROTO_IPV6]: 'ip6' };

/** Chains of others that drop what is forwarded unless a rule of theirs accepts it: Docker's and ufw's `FORWARD`, for instance. A
 *  packet needs every table's consent, so no rule of ours can help; we do not touch theirs. */
export function foreignForwardDrops(socket: NetlinkSocket, { ownTable, ipv6 }: { ownTable: string; ipv6: boolean }): BaseChain[] {
  const w = new MessageWriter();
  writeDumpChains(w);
  return socket.dump(w, 'list the nftables chains').map(parseBaseChain).filter((chain) => chain !== undefined)
    .filter((chain) => ipv6 || chain.family !== NFPROTO_IPV6)
    .filter((chain) => chain.hook === NF_INET_FORWARD && chain.policy === NF_DROP && chain.table !== ownTable && chain.family in FAMILY_NAMES);
}

/** What to tell the person who runs this host. */
export const forwardDropWarning = (chain: BaseChain, bridge: string): string =>
  `the firewall of another program drops forwarded packets (nftables table ${FAMILY_NAMES[chain.family]} ${chain.table}, chain ${chain.name}, policy drop): ` +
  `unless its rules let ${bridge} through, containers reach no other host and published ports are not reached from others. ` +
  `To allow both: nft insert rule ${FAMILY_NAMES[chain.family]} ${chain.table} ${chain.name} iifname ${bridge} accept; ` +
  `nft insert rule ${FAMILY_NAMES[chain.family]} ${chain.table} ${chain.name} oifname ${bridge} accept`;
