import { escapePointer } from '#runtime/compile/check-shape.ts';
import { NaruError } from '#spec/errors.ts';
import type { NetlinkStep } from '#spec/network-steps.ts';
import type { OciSpec } from '#spec/oci-runtime.ts';
import { MessageWriter } from '#sys/netlink/message-writer.ts';
import type { NetlinkMessage } from '#sys/netlink/message-parser.ts';
import { NLM_F_ACK } from '#sys/netlink/netlink-constants.ts';
import { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { writeAddress, writeDump, writeLinkUp, writeMoveLink } from '#sys/netlink/route-messages.ts';
import { type InterfaceAddress, type Link, parseAddress, parseLink } from '#sys/netlink/route-objects.ts';
import { NETLINK_ROUTE } from '#sys/numbers.ts';

const LOOPBACK = { index: 1 };
/** Of an address: it is good everywhere, not only on this link or machine. */
const SCOPE_GLOBAL = 0;

/**
 * What a bundle says of its network: the loopback of a new network namespace is up, as in runc's; interfaces of the host that
 * /linux/netDevices names move in, with their global addresses (runtime-spec, "Network Devices"). Throws `invalid` that
 * begins with the pointer when there is no such interface. `moved`: they are inside already, what is wanted are the steps'
 * places in the plan.
 */
export function bundleNetwork(spec: OciSpec, options: { readonly moved?: boolean } = {}): NetlinkStep[] {
  const namespace = spec.linux?.namespaces?.find((n) => n.type === 'network');
  if (namespace === undefined) return [];
  const steps: NetlinkStep[] = [];
  if (!namespace.path) {
    const w = new MessageWriter();
    writeLinkUp(w, LOOPBACK, NLM_F_ACK);
    steps.push(step('container', w, 'loopback up'));
  }
  const devices = Object.entries(spec.linux?.netDevices ?? {});
  return devices.length === 0 ? steps : [...steps, ...moves(devices, options.moved === true)];
}

function moves(devices: readonly (readonly [string, { readonly name?: string }])[], moved: boolean): NetlinkStep[] {
  const { links, addresses } = moved ? { links: [], addresses: [] } : look();
  return devices.flatMap(([name, device]) => {
    const pointer = `/linux/netDevices/${escapePointer(name)}`;
    const link = links.find((l) => l.name === name);
    if (link === undefined && !moved) throw new NaruError('invalid', `${pointer}: there is no interface of this name here`);
    const inside = device.name ? device.name : name;
    const [host, within] = [new MessageWriter(), new MessageWriter()];
    writeMoveLink(host, { index: link?.index ?? 0, name: inside, namespaceLabel: 'child-netns-fd' }, NLM_F_ACK);
    for (const { address, prefixLength } of addresses.filter((a) => a.index === link?.index)) {
      writeAddress(within, { link: { label: inside }, address, prefixLength }, NLM_F_ACK);
    }
    writeLinkUp(within, { label: inside }, NLM_F_ACK);
    return [step('host', host, `interface ${name} moves in`, pointer), step('container', within, `interface ${inside}: its addresses, up`, pointer)];
  });
}

function look(): { links: Link[]; addresses: InterfaceAddress[] } {
  const socket = new NetlinkSocket(NETLINK_ROUTE);
  const dump = (what: 'links' | 'addresses', family?: 4 | 6): NetlinkMessage[] => {
    const w = new MessageWriter();
    writeDump(w, what, family);
    return socket.dump(w, `list ${what}`);
  };
  try {
    const all = [...dump('addresses', 4), ...dump('addresses', 6)];
    return { links: dump('links').map(parseLink), addresses: all.filter(({ payload }) => payload[3] === SCOPE_GLOBAL).map(parseAddress) };
  } finally {
    socket.close();
  }
}

const step = (where: NetlinkStep['where'], w: MessageWriter, why: string, source?: string): NetlinkStep => ({
  where, protocol: NETLINK_ROUTE, batch: w.finish(), acks: w.count, why, ...(source !== undefined && { source }),
  patches: w.labels.map(({ name, offset }) => (name === 'child-netns-fd' ? { kind: name, offset } : { kind: 'ifindex', offset, name })),
});
