import { NaruError } from '#spec/errors.ts';
import { makeRoomForDescriptors } from '#sys/descriptors.ts';
import { type IpAddress, formatIp } from './ip.ts';
import { networkFacts } from './network-facts.ts';
import type { PortRequest } from './port.ts';
import type { PortHold, PortReservations } from './port-reservations.ts';
import { WILDCARD, hostAddress, type PublishedPort } from './published-ports.ts';
import type { EndpointRecord, NetworkRecord } from './records.ts';
import { gatewayEndpoint } from './sandbox-endpoints.ts';

const MAX_PAIRS = 32;

export interface PortContext {
  readonly owner: string;
  readonly endpoints: readonly EndpointRecord[];
  readonly find: (id: string) => NetworkRecord | undefined;
  /** The container runs: what cannot be published any more is left out. */
  readonly lenient?: boolean;
}

export interface HeldPort { readonly port: PublishedPort; readonly hold: PortHold | undefined; readonly endpointId: string }

/** How ports of one family reach the container. */
interface Way { readonly endpointId: string; readonly address: string; readonly routed: boolean }
type Ways = Readonly<Record<4 | 6, Way | undefined>> & { readonly hostBinding: IpAddress | undefined };

/** Host ports for the requests of a container, fixed ones before free ones are looked for. All or nothing. Throws conflict in Docker's words. */
export function takePorts(reservations: PortReservations, requests: readonly PortRequest[], context: PortContext): HeldPort[] {
  const held: HeldPort[][] = requests.map(() => []);
  const ways = waysOf(context);
  makeRoomForDescriptors(requests.length);
  // Those that can be no other, then choices of a range, then any
  const freedom = (i: number): number => (requests[i]!.hostPort === 0 ? Infinity : Math.max(0, requests[i]!.hostPortEnd - requests[i]!.hostPort));
  const byFreedom = (a: number, b: number): number => (freedom(a) === freedom(b) ? 0 : freedom(a) - freedom(b));
  try {
    for (const i of requests.map((_, at) => at).toSorted(byFreedom)) held[i] = takeOne(reservations, requests[i]!, { context, ways });
    return held.flat();
  } catch (error) {
    for (const { hold } of held.flat()) if (hold !== undefined) reservations.give(hold);
    throw error;
  }
}

function waysOf({ endpoints, find }: PortContext): Ways {
  const way = (family: 4 | 6): Way | undefined => {
    const endpoint = gatewayEndpoint(endpoints, family, find);
    if (endpoint === undefined) return undefined;
    const address = family === 4 ? endpoint.address : endpoint.ipv6;
    return { endpointId: endpoint.endpointId, address, routed: networkFacts(find(endpoint.networkId)!).gatewayMode[family] === 'routed' };
  };
  const first = gatewayEndpoint(endpoints, 4, find);
  return { 4: way(4), 6: way(6), hostBinding: first === undefined ? undefined : networkFacts(find(first.networkId)!).hostBinding };
}

function takeOne(reservations: PortReservations, request: PortRequest, { context, ways }: { context: PortContext; ways: Ways }): HeldPort[] {
  const { containerPort, protocol } = request;
  const take = (family: 4 | 6, hostIp: string, wish: { first: number; last: number }): HeldPort => {
    const way = ways[family];
    if (way === undefined) {
      throw new NaruError('unsupported', `publish a port on ${hostIp}: the container has no network that is reached by IPv${family} from outside`, { hint: family === 6 ? 'connect it to a network made with --ipv6' : 'connect it to a network that is not internal' });
    }
    const { endpointId, address, routed } = way;
    if (routed) return { port: { containerPort, protocol, hostIp, hostPort: containerPort }, hold: undefined, endpointId };
    const hold = reservations.take({ protocol, hostIp, ...wish, owner: context.owner, target: { address, port: containerPort } });
    return { port: { containerPort, protocol, hostIp: hold.hostIp, hostPort: hold.port }, hold, endpointId };
  };
  const wish = { first: request.hostPort, last: request.hostPortEnd };
  if (request.hostIp !== '') {
    const host = hostAddress(request.hostIp);
    if (ways[host.family] === undefined && (context.lenient === true || ways[host.family === 4 ? 6 : 4] === undefined)) return [];
    return [take(host.family, formatIp(host), wish)];
  }
  if (ways.hostBinding !== undefined) return [take(ways.hostBinding.family, formatIp(ways.hostBinding), wish)];
  if (ways[4] === undefined && ways[6] === undefined) return [];
  if (ways[6] === undefined) return [take(4, WILDCARD[4], wish)];
  if (ways[4] === undefined) return [take(6, WILDCARD[6], wish)];
  return takePair(reservations, (family, range) => take(family, WILDCARD[family], range), wish);
}

/** The same number in both families. */
function takePair(reservations: PortReservations, take: (family: 4 | 6, range: { first: number; last: number }) => HeldPort, wish: { first: number; last: number }): HeldPort[] {
  const refused: PortHold[] = [];
  try {
    for (let tries = 1; ; tries++) {
      const v4 = take(4, wish);
      const number = v4.port.hostPort;
      try {
        return [v4, take(6, { first: number, last: number })];
      } catch (error) {
        if (v4.hold !== undefined) refused.push(v4.hold); // kept until the end, so that the next try finds another
        const fixed = wish.first !== 0 && wish.first >= wish.last;
        if (fixed || tries >= MAX_PAIRS) throw error;
      }
    }
  } finally {
    for (const hold of refused) reservations.give(hold);
  }
}
