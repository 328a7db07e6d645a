import type { StringMap } from '#spec/engine-api.ts';
import type { PublishedPort } from './published-ports.ts';

/**
 * Networks and endpoints as values: JSON-able, stored by the engine as they are. Everything that the kernel is told is a function of
 * them (nft-elements.ts, endpoint-steps.ts), so that a daemon that comes back brings the kernel to them with one difference.
 */
export type NetworkDriver = 'bridge' | 'macvlan' | 'ipvlan' | 'host' | 'null';

/** nat: published ports by the host's address; nat-unprotected: and every port by the container's own; routed: published ports by the
 *  container's own address, nothing rewritten; isolated: the host has no address in the network. */
export type GatewayMode = 'nat' | 'nat-unprotected' | 'routed' | 'isolated';

/** One subnet, in the API's words. Gateway empty: the network has none in this family. */
export interface IpamPool {
  readonly subnet: string;
  readonly ipRange: string;
  readonly gateway: string;
  readonly auxiliary: StringMap;
}

export interface NetworkRecord {
  readonly id: string;
  readonly name: string;
  readonly driver: NetworkDriver;
  /** RFC 3339, as the API shows it. */
  readonly created: string;
  /** Interface of the host: the bridge; the parent of a macvlan or ipvlan. Empty: none. */
  readonly link: string;
  /** Subnets, IPv4 before IPv6; chosen by us where the user gave none. */
  readonly pools: readonly IpamPool[];
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly configOnly: boolean;
  readonly configFrom: string;
  readonly ipamOptions: StringMap;
  readonly options: StringMap;
  readonly labels: StringMap;
}

/** One container on one network. */
export interface EndpointRecord {
  readonly containerId: string;
  readonly networkId: string;
  /** The network's name. */
  readonly network: string;
  readonly endpointId: string;
  /** The host's end of the veth pair; empty where there is none. */
  readonly hostInterface: string;
  /** The container's end: `eth0`. */
  readonly interface: string;
  /** IPv4; empty: none. */
  readonly address: string;
  readonly prefixLength: number;
  /** Of the network, in this family; empty: none. */
  readonly gateway: string;
  readonly ipv6: string;
  readonly ipv6PrefixLength: number;
  readonly ipv6Gateway: string;
  /** Further addresses of the interface, link-local ones of either family; nothing reserves them. */
  readonly linkLocal?: readonly string[];
  /** Empty: the parent's (ipvlan). */
  readonly mac: string;
  /** This endpoint is the container's default route: by its gateway, or (ipvlan of mode l3 or l3s) by the interface itself. */
  readonly defaultIpv4: boolean;
  readonly defaultIpv6: boolean;
  readonly priority: number;
  /** Published through this endpoint. */
  readonly ports: readonly PublishedPort[];
}
