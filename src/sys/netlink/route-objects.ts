import { NaruError } from '#spec/errors.ts';
import { type NetlinkMessage, attributeString, attributeU32, parseAttributes, viewOf } from './message-parser.ts';
import * as R from './route-constants.ts';

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  /** Index of the bridge that it is a port of; 0: none. */
  readonly master: number;
  /** `bridge`, `veth`, …; empty for hardware. */
  readonly kind: string;
  readonly mac: Uint8Array;
  /** Of a port of a bridge: BR_STATE_* (linux/if_bridge.h). */
  readonly portState: number | undefined;
}

export interface InterfaceAddress {
  readonly index: number;
  readonly prefixLength: number;
  readonly address: Uint8Array;
}

export interface Route {
  readonly table: number;
  readonly type: number;
  readonly prefixLength: number;
  /** Empty for the default route. */
  readonly destination: Uint8Array;
  readonly outInterface: number;
  readonly metric: number;
}

const body = (message: NetlinkMessage, length: number, what: string): DataView => {
  if (message.payload.byteLength < length) throw new NaruError('corrupt', `netlink ${what} message of ${message.payload.byteLength} bytes`);
  return viewOf(message.payload);
};

const EMPTY = new Uint8Array(0);

export function parseLink(message: NetlinkMessage): Link {
  const view = body(message, 16, 'link');
  const attributes = parseAttributes(message.payload, 16);
  const info = attributes.get(R.IFLA_LINKINFO);
  const about = info === undefined ? undefined : parseAttributes(info);
  const port = about?.get(R.IFLA_INFO_SLAVE_DATA);
  return {
    index: view.getInt32(4, true),
    up: (view.getUint32(8, true) & R.IFF_UP) !== 0,
    name: attributeString(attributes.get(R.IFLA_IFNAME)),
    mtu: attributeU32(attributes.get(R.IFLA_MTU)) ?? 0,
    master: attributeU32(attributes.get(R.IFLA_MASTER)) ?? 0,
    kind: attributeString(about?.get(R.IFLA_INFO_KIND)),
    mac: attributes.get(R.IFLA_ADDRESS) ?? EMPTY,
    portState: port === undefined || attributeString(about?.get(R.IFLA_INFO_SLAVE_KIND)) !== 'bridge' ? undefined : parseAttributes(port).get(R.IFLA_BRPORT_STATE)?.[0],
  };
}

export function parseAddress(message: NetlinkMessage): InterfaceAddress {
  const view = body(message, 8, 'address');
  const attributes = parseAttributes(message.payload, 8);
  return {
    index: view.getUint32(4, true),
    prefixLength: view.getUint8(1),
    address: attributes.get(R.IFA_LOCAL) ?? attributes.get(R.IFA_ADDRESS) ?? EMPTY,
  };
}

export function parseRoute(message: NetlinkMessage): Route {
  const view = body(message, 12, 'route');
  const attributes = parseAttributes(message.payload, 12);
  return {
    table: attributeU32(attributes.get(R.RTA_TABLE)) ?? view.getUint8(4),
    type: view.getUint8(7),
    prefixLength: view.getUint8(1),
    destination: attributes.get(R.RTA_DST) ?? EMPTY,
    outInterface: attributeU32(attributes.get(R.RTA_OIF)) ?? 0,
    metric: attributeU32(attributes.get(R.RTA_PRIORITY)) ?? 0,
  };
}
