import type { EndpointSettings } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import { networkAttachment, type NetworkAttachment } from '../flags/network-flag.ts';
import type { ParsedFlags } from '../flags/parse-flags.ts';

export interface NetworkSettings { readonly mode: string; readonly endpoints: Record<string, EndpointSettings> }

const invalid = (message: string): NaruError => new NaruError('invalid', message);
const MAC = /^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$|^([0-9a-fA-F]{2}[:-]){7}[0-9a-fA-F]{2}$|^([0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}$/;

/** True for networks that somebody made: not default, bridge, host, none, container:X. */
export const isUserDefined = (target: string): boolean => !['', 'default', 'bridge', 'host', 'none'].includes(target) && target.split(':')[0] !== 'container';

/** `--network` and its like (`--ip`, `--network-alias`, `--link`, …) as the API's endpoints. */
export function networkSettings(flags: ParsedFlags): NetworkSettings {
  const given = flags.list<NetworkAttachment>('network');
  const attachments = given.length === 0 ? [networkAttachment('default')] : given;
  const mode = (attachments[0] as NetworkAttachment).target;
  const endpoints: Record<string, EndpointSettings> = {};
  attachments.forEach((attachment, i) => {
    if (i === 0) applyFlags(attachment, flags);
    const endpoint = endpointOf(attachment);
    if (Object.hasOwn(endpoints, attachment.target)) throw invalid(`network ${JSON.stringify(attachment.target)} is specified multiple times`);
    // One network with nothing else asked for is said by the mode alone.
    if (given.length === 1 && Object.keys(endpoint).length === 0) return;
    endpoints[attachment.target] = endpoint;
  });
  const kinds = new Set(given.map((attachment) => isUserDefined(attachment.target)));
  if (kinds.size > 1) throw invalid('conflicting options: cannot attach both user-defined and non-user-defined network-modes');
  return { mode, endpoints };
}

/** The flags of old describe the first network. */
function applyFlags(attachment: NetworkAttachment, flags: ParsedFlags): void {
  const conflict = (both: boolean, flag: string, what: string): void => {
    if (both) throw invalid(`conflicting options: cannot specify both --${flag} and per-network ${what}`);
  };
  const aliases = flags.list('network-alias');
  const links = flags.list('link');
  const linkLocal = flags.list('link-local-ip');
  const [ip, ip6, mac] = [flags.string('ip'), flags.string('ip6'), flags.string('mac-address')];
  conflict(attachment.aliases.length > 0 && aliases.length > 0, 'network-alias', 'alias');
  conflict(attachment.ipv4 !== '' && ip !== '', 'ip', 'IPv4 address');
  conflict(attachment.ipv6 !== '' && ip6 !== '', 'ip6', 'IPv6 address');
  conflict(attachment.macAddress !== '' && mac !== '', 'mac-address', 'MAC address');
  conflict(attachment.linkLocalIps.length > 0 && linkLocal.length > 0, 'link-local-ip', 'link-local IP addresses');
  if (aliases.length > 0) attachment.aliases = aliases;
  if (isUserDefined(attachment.target) && links.length > 0) attachment.links = links;
  if (ip !== '') attachment.ipv4 = ip;
  if (ip6 !== '') attachment.ipv6 = ip6;
  if (mac !== '') attachment.macAddress = mac;
  if (linkLocal.length > 0) attachment.linkLocalIps = linkLocal;
}

function endpointOf(attachment: NetworkAttachment): EndpointSettings {
  if (attachment.target.trim() === '') throw invalid('no name set for network');
  if (!isUserDefined(attachment.target)) {
    if (attachment.aliases.length > 0) throw invalid('network-scoped aliases are only supported for user-defined networks');
    if (attachment.links.length > 0) throw invalid('links are only supported for user-defined networks');
  }
  const endpoint: EndpointSettings = {};
  if (attachment.aliases.length > 0) endpoint.Aliases = attachment.aliases;
  if (attachment.links.length > 0) endpoint.Links = attachment.links;
  if (Object.keys(attachment.driverOpts).length > 0) endpoint.DriverOpts = attachment.driverOpts;
  if (attachment.gwPriority !== 0) endpoint.GwPriority = attachment.gwPriority;
  if (attachment.ipv4 !== '' || attachment.ipv6 !== '' || attachment.linkLocalIps.length > 0) {
    endpoint.IPAMConfig = {
      ...(attachment.ipv4 === '' ? {} : { IPv4Address: attachment.ipv4 }),
      ...(attachment.ipv6 === '' ? {} : { IPv6Address: attachment.ipv6 }),
      ...(attachment.linkLocalIps.length === 0 ? {} : { LinkLocalIPs: attachment.linkLocalIps }),
    };
  }
  if (attachment.macAddress !== '') {
    checkMac(attachment.macAddress);
    endpoint.MacAddress = attachment.macAddress;
  }
  return endpoint;
}

/** Throws when it is no MAC address. */
export function checkMac(text: string): void {
  if (!MAC.test(text.trim())) throw invalid(`${text} is not a valid mac address`);
}
