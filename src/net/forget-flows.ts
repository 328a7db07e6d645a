import { NaruError } from '#spec/errors.ts';
import { type Flow, parseFlow, writeDeleteFlow, writeDumpFlows, writeDumpRewritten } from '#sys/netlink/conntrack-messages.ts';
import { MessageWriter } from '#sys/netlink/message-writer.ts';
import type { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { ipBytes, tryParseIp } from './ip.ts';
import { PROTOCOL_NUMBER, type PublishedPort, isWildcard } from './published-ports.ts';

const ENOENT = 2;

/** Flows to a published port; of those only the ones that were rewritten to `target`, where it is given. */
export interface UnwantedFlows { readonly port: PublishedPort; readonly target: string | undefined }

interface Wanted { readonly address: Uint8Array | undefined; readonly target: Uint8Array | undefined }

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const bytesOf = (address: string): Uint8Array => ipBytes(tryParseIp(address)!);

/** Make the kernel forget the flows to these host ports; the number of them. Flows through this host to others' ports of the
 *  same number stay: `isLocal` tells whose address it is. One walk through the kernel's table for each family and protocol. */
export function forgetFlows(socket: NetlinkSocket, unwanted: readonly UnwantedFlows[], isLocal: (address: Uint8Array) => boolean): number {
  let forgotten = 0;
  for (const [kind, list] of Map.groupBy(unwanted, ({ port }) => `${port.hostIp.includes(':') ? 6 : 4} ${port.protocol}`)) {
    const family = kind.startsWith('6') ? 6 : 4;
    const protocol = PROTOCOL_NUMBER[list[0]!.port.protocol];
    const wanted = new Map<number, Wanted[]>();
    for (const { port, target } of list) {
      const one = { address: isWildcard(port.hostIp) ? undefined : bytesOf(port.hostIp), target: target === undefined ? undefined : bytesOf(target) };
      wanted.set(port.hostPort, [...(wanted.get(port.hostPort) ?? []), one]);
    }
    const dump = new MessageWriter();
    writeDumpFlows(dump, { family, protocol, ...(wanted.size === 1 ? { destinationPort: list[0]!.port.hostPort } : {}) });
    for (const flow of socket.dump(dump, 'list the tracked flows').map(parseFlow)) {
      if (flow === undefined || flow.family !== family || flow.protocol !== protocol) continue;
      const at = wanted.get(flow.destinationPort)?.some(({ address, target }) =>
        (address === undefined ? isLocal(flow.destination) : same(address, flow.destination)) && (target === undefined || same(target, flow.answerer)));
      if (at === true && forget(socket, flow)) forgotten += 1;
    }
  }
  return forgotten;
}

/** Make the kernel forget the flows whose destination was rewritten to one that is `unwanted`; the number of them. */
export function forgetRewritten(socket: NetlinkSocket, unwanted: (answerer: Uint8Array) => boolean): number {
  const dump = new MessageWriter();
  writeDumpRewritten(dump);
  const flows = socket.dump(dump, 'list the tracked flows').map(parseFlow).filter((flow) => flow !== undefined);
  return flows.filter((flow) => !same(flow.destination, flow.answerer) && unwanted(flow.answerer) && forget(socket, flow)).length;
}

function forget(socket: NetlinkSocket, flow: Flow): boolean {
  const w = new MessageWriter();
  writeDeleteFlow(w, flow);
  try {
    socket.request(w, () => `forget a flow to port ${flow.destinationPort}`);
    return true;
  } catch (error) {
    if (error instanceof NaruError && error.errno === ENOENT) return false; // it ended by itself
    throw error;
  }
}
