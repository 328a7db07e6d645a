import { NaruError } from '#spec/errors.ts';
import { formatIp } from './ip.ts';
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

/** Host ports for the requests of a container, fixed ones before free ones are looked for. All or nothing. Throws conflict in Docker's words. */
export function takePorts(reservations: PortReservations, requests: readonly PortRequest[], context: PortContext): HeldPort[] {
  const held: HeldPort[][] = requests.map(() => []);
  const isFree = (i: number): number => Number(requests[i]!.hostPort === 0);
  try {
    for (const i of requests.map((_, at) => at).toSorted((a, b) => isFree(a) - isFree(b))) held[i] = takeOne(reservations, requests[i]!, context);
    return held.flat();
  } catch (error) {
    for (const { hold } of held.flat()) if (hold !== undefined) reservations.give(hold);
    throw error;
  }
}

function takeOne(reservations: PortReservations, request: PortRequest, context: PortContext): HeldPort[] {
  const gateways = { 4: gatewayEndpoint(context.endpoints, 4, context.find), 6: gatewayEndpoint(context.endpoints, 6, context.find) };
  const take = (family: 4 | 6, hostIp: string, wish: { first: number; last: number }): HeldPort => {
    const endpoint = gateways[family];
    if (endpoint === undefined) {
      throw new NaruError('unsupported', `publish a port on ${hostIp}: the container has no network that is reached by IPv${family} from outside`, { hint: family === 6 ? 'connect it to a network made with --ipv6' : 'connect it to a network that is not internal' });
    }
    const address = family === 4 ? endpoint.address : endpoint.ipv6;
    const routed = networkFacts(context.find(endpoint.networkId)!).gatewayMode[family] === 'routed';
    if (routed) {
      return { port: { containerPort: request.containerPort, protocol: request.protocol, hostIp, hostPort: request.containerPort }, hold: undefined, endpointId: endpoint.endpointId };
    }
    const hold = reservations.take({ protocol: request.protocol, hostIp, ...wish, owner: context.owner, target: `${family === 6 ? `[${address}]` : address}:${request.containerPort}` });
    return { port: { containerPort: request.containerPort, protocol: request.protocol, hostIp: hold.hostIp, hostPort: hold.port }, hold, endpointId: endpoint.endpointId };
  };
  const wish = { first: request.hostPort, last: request.hostPortEnd };
  if (request.hostIp !== '') {
    const host = hostAddress(request.hostIp);
    if (gateways[host.family] === undefined && (context.lenient === true || gateways[host.family === 4 ? 6 : 4] === undefined)) return [];
    return [take(host.family, formatIp(host), wish)];
  }
  const binding = gateways[4] === undefined ? undefined : networkFacts(context.find(gateways[4].networkId)!).hostBinding;
  if (binding !== undefined) return [take(binding.family, formatIp(binding), wish)];
  if (gateways[4] === undefined && gateways[6] === undefined) return [];
  if (gateways[6] === undefined) return [take(4, WILDCARD[4], wish)];
  if (gateways[4] === undefined) return [take(6, WILDCARD[6], wish)];
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
