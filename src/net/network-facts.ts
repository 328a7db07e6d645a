import { NaruError } from '#spec/errors.ts';
import type { StringMap } from '#spec/engine-api.ts';
import { type IpAddress, tryParseIp } from './ip.ts';
import type { GatewayMode, NetworkRecord } from './records.ts';

const BRIDGE = 'com.docker.network.bridge.';
export const OPTION = {
  bridgeName: `${BRIDGE}name`, icc: `${BRIDGE}enable_icc`, masquerade: `${BRIDGE}enable_ip_masquerade`, hostBinding: `${BRIDGE}host_binding_ipv4`,
  gatewayMode4: `${BRIDGE}gateway_mode_ipv4`, gatewayMode6: `${BRIDGE}gateway_mode_ipv6`, defaultBridge: `${BRIDGE}default_bridge`,
  firewall: 'naru.firewall', guard: 'naru.guard', inhibit4: `${BRIDGE}inhibit_ipv4`, trustedInterfaces: `${BRIDGE}trusted_host_interfaces`,
  mtu: 'com.docker.network.driver.mtu', interfacePrefix: 'com.docker.network.container_iface_prefix',
  parent: 'parent', macvlanMode: 'macvlan_mode', ipvlanMode: 'ipvlan_mode', ipvlanFlag: 'ipvlan_flag',
} as const;

/** open: published ports are for everybody, whatever the host's firewall says of its input (Docker's way). */
export type Firewall = 'open' | 'host';

/** What a network's options mean. */
export interface NetworkFacts {
  /** 0: the driver's default. */
  readonly mtu: number;
  readonly icc: boolean;
  readonly masquerade: boolean;
  /** Where ports are published that name no address; undefined: every address. */
  readonly hostBinding: IpAddress | undefined;
  readonly gatewayMode: Readonly<Record<4 | 6, GatewayMode>>;
  readonly interfacePrefix: string;
  /** host: published ports obey the host's input rules; undefined: as the daemon says. */
  readonly firewall: Firewall | undefined;
  /** Containers do not speak in one another's names (frame-guard.ts). */
  readonly guard: boolean;
  readonly macvlanMode: 'bridge' | 'private' | 'vepa' | 'passthru';
  /** l2: neighbours on the parent's wire; l3, l3s: the host routes (l3s: through its firewall, too). */
  readonly ipvlanMode: 'l2' | 'l3' | 'l3s';
  readonly ipvlanFlag: 'bridge' | 'private' | 'vepa';
}

const MODES: readonly GatewayMode[] = ['nat', 'nat-unprotected', 'routed', 'isolated'];
const TRUE = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']), FALSE = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);
const MACVLAN_MODES = ['bridge', 'private', 'vepa', 'passthru'] as const, IPVLAN_MODES = ['l2', 'l3', 'l3s'] as const, IPVLAN_FLAGS = ['bridge', 'private', 'vepa'] as const;

/** Interfaces of a link of the host's, without a bridge. */
export const hasParent = ({ driver }: Pick<NetworkRecord, 'driver'>): boolean => driver === 'macvlan' || driver === 'ipvlan';
/** Its containers have no gateway: what is not theirs is the host's to route. */
export const isRoutedByParent = (network: NetworkRecord): boolean => network.driver === 'ipvlan' && networkFacts(network).ipvlanMode !== 'l2';

const known = new WeakMap<StringMap, NetworkFacts>();

export function networkFacts({ options }: NetworkRecord): NetworkFacts {
  let facts = known.get(options);
  if (facts === undefined) known.set(options, (facts = parseOptions(options)));
  return facts;
}

/** Throws invalid, naming option and value. */
export function parseOptions(options: StringMap): NetworkFacts {
  const flag = (key: string, otherwise: boolean): boolean => {
    const value = options[key];
    if (value === undefined || value === '') return otherwise;
    if (!TRUE.has(value) && !FALSE.has(value)) throw bad(key, value, 'true or false');
    return TRUE.has(value);
  };
  const mode = (key: string): GatewayMode => {
    const value = options[key] ?? '';
    if (value === '') return 'nat';
    if (!MODES.includes(value as GatewayMode)) throw bad(key, value, MODES.join(', '));
    return value as GatewayMode;
  };
  const mtu = options[OPTION.mtu] ?? '';
  if (!/^\d{0,5}$/.test(mtu) || (mtu !== '' && mtu !== '0' && (Number(mtu) < 68 || Number(mtu) > 65535))) throw bad(OPTION.mtu, mtu, 'a number from 68 to 65535');
  const binding = options[OPTION.hostBinding] ?? '';
  const hostBinding = binding === '' ? undefined : tryParseIp(binding);
  if (binding !== '' && hostBinding === undefined) throw bad(OPTION.hostBinding, binding, 'an IP address');
  const interfacePrefix = options[OPTION.interfacePrefix] || 'eth';
  if (!/^[a-zA-Z0-9_.-]{1,13}$/.test(interfacePrefix) || interfacePrefix === 'lo') throw bad(OPTION.interfacePrefix, interfacePrefix, 'the beginning of an interface name, at most 13 letters');
  const macvlanMode = (options[OPTION.macvlanMode] || 'bridge') as NetworkFacts['macvlanMode'];
  if (!MACVLAN_MODES.includes(macvlanMode)) throw new NaruError('invalid', `requested macvlan mode '${macvlanMode}' is not valid, 'bridge' mode is the macvlan driver default`);
  const ipvlanMode = (options[OPTION.ipvlanMode] || 'l2') as NetworkFacts['ipvlanMode'];
  if (!IPVLAN_MODES.includes(ipvlanMode)) throw new NaruError('invalid', `requested ipvlan mode '${ipvlanMode}' is not valid, 'l2' mode is the ipvlan driver default`);
  const ipvlanFlag = (options[OPTION.ipvlanFlag] || 'bridge') as NetworkFacts['ipvlanFlag'];
  if (!IPVLAN_FLAGS.includes(ipvlanFlag)) throw new NaruError('invalid', `requested ipvlan flag '${ipvlanFlag}' is not valid, 'bridge' is the ipvlan driver default`);
  const firewall = options[OPTION.firewall] || undefined;
  if (firewall !== undefined && firewall !== 'open' && firewall !== 'host') throw bad(OPTION.firewall, firewall, 'open or host');
  return {
    firewall, guard: flag(OPTION.guard, true), mtu: Number(mtu), icc: flag(OPTION.icc, true), masquerade: flag(OPTION.masquerade, true),
    hostBinding: hostBinding === undefined || hostBinding.value === 0n ? undefined : hostBinding,
    gatewayMode: { 4: mode(OPTION.gatewayMode4), 6: mode(OPTION.gatewayMode6) }, interfacePrefix, macvlanMode, ipvlanMode, ipvlanFlag,
  };
}

const bad = (key: string, value: string, wanted: string): NaruError => new NaruError('invalid', `invalid value ${JSON.stringify(value)} of network option ${key}: ${wanted}`);
