import { isRoutedByParent, networkFacts } from './network-facts.ts';
import type { EndpointRecord, NetworkRecord } from './records.ts';

type Find = (id: string) => NetworkRecord | undefined;

/** Whether a network can be a container's way out in this family. */
function leadsOut(endpoint: EndpointRecord, family: 4 | 6, find: Find): boolean {
  const network = find(endpoint.networkId);
  if (network === undefined || network.internal || networkFacts(network).gatewayMode[family] === 'isolated') return false;
  const byItself = isRoutedByParent(network);
  return family === 4 ? endpoint.address !== '' && (byItself || endpoint.gateway !== '') : endpoint.ipv6 !== '' && (byItself || endpoint.ipv6Gateway !== '');
}

/** The endpoint that gives the default route: the highest priority, then one that has both families, then the first by its network's name. */
export function gatewayEndpoint(endpoints: readonly EndpointRecord[], family: 4 | 6, find: Find): EndpointRecord | undefined {
  const both = (endpoint: EndpointRecord): number => Number(leadsOut(endpoint, 4, find)) + Number(leadsOut(endpoint, 6, find));
  return endpoints.filter((each) => leadsOut(each, family, find))
    .toSorted((a, b) => b.priority - a.priority || both(b) - both(a) || (a.network < b.network ? -1 : 1))[0];
}

/** The endpoints with their default routes as they follow from all of them. What is unchanged stays the same object. */
export function withDefaultRoutes(endpoints: readonly EndpointRecord[], find: Find): EndpointRecord[] {
  const [v4, v6] = [gatewayEndpoint(endpoints, 4, find), gatewayEndpoint(endpoints, 6, find)];
  return endpoints.map((each) => {
    const [defaultIpv4, defaultIpv6] = [each === v4, each === v6];
    return each.defaultIpv4 === defaultIpv4 && each.defaultIpv6 === defaultIpv6 ? each : { ...each, defaultIpv4, defaultIpv6 };
  });
}

/** `prefix` and the lowest number that no endpoint has. */
export function freeInterface(prefix: string, endpoints: readonly EndpointRecord[]): string {
  for (let number = 0; ; number++) {
    const name = `${prefix}${number}`;
    if (!endpoints.some((each) => each.interface === name)) return name;
  }
}
