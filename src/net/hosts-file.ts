import { isIP } from 'node:net';
import { NaruError } from '#spec/errors.ts';

export interface HostsOptions {
  readonly hostname: string;
  readonly domainname?: string;
  /** The container's own addresses, a line for each that is not empty. */
  readonly addresses?: readonly string[];
  /** `name:address` or `name=address`; the address may be `host-gateway`, and IPv6 may be in brackets. */
  readonly extraHosts?: readonly string[];
  /** What `host-gateway` stands for: the bridge's address. */
  readonly hostGateway?: string;
}

const STANDARD = [
  ['127.0.0.1', 'localhost'],
  ['::1', 'localhost ip6-localhost ip6-loopback'],
  ['fe00::', 'ip6-localnet'],
  ['ff00::', 'ip6-mcastprefix'],
  ['ff02::1', 'ip6-allnodes'],
  ['ff02::2', 'ip6-allrouters'],
] as const;

/** One of `--add-host`. Throws invalid. */
export function parseExtraHost(text: string, hostGateway: string | undefined): { name: string; address: string } {
  const [, name, given] = /^([^:=\s]+)[:=](\S+)$/.exec(text) ?? [];
  if (name === undefined || given === undefined) {
    throw new NaruError('invalid', `bad format for add-host: ${JSON.stringify(text)}`, { hint: 'write it as name:address' });
  }
  if (given === 'host-gateway') {
    if (hostGateway === undefined) throw new NaruError('invalid', `unable to derive the IP value for host-gateway (add-host ${text}): this network has no gateway`);
    return { name, address: hostGateway };
  }
  const address = given.replace(/^\[(.*)\]$/, '$1');
  if (isIP(address) === 0) throw new NaruError('invalid', `invalid IP address in add-host: ${JSON.stringify(given)}`);
  return { name, address };
}

/** /etc/hosts of a container, in Docker's order. */
export function buildHosts(options: HostsOptions): string {
  const extra = (options.extraHosts ?? []).map((text) => parseExtraHost(text, options.hostGateway));
  const names = options.domainname === undefined || options.domainname === ''
    ? options.hostname
    : `${options.hostname}.${options.domainname} ${options.hostname}`;
  const own = (options.addresses ?? []).filter((address) => address !== '').map((address) => [address, names] as const);
  return [...STANDARD, ...extra.map(({ name, address }) => [address, name] as const), ...own]
    .map(([address, text]) => `${address}\t${text}\n`)
    .join('');
}

/** /etc/hosts of a container on the host's network: the host's own, with what was added. */
export function extendHosts(hostText: string, options: Pick<HostsOptions, 'extraHosts' | 'hostGateway'>): string {
  const extra = (options.extraHosts ?? []).map((text) => parseExtraHost(text, options.hostGateway));
  const base = hostText === '' || hostText.endsWith('\n') ? hostText : `${hostText}\n`;
  return base + extra.map(({ name, address }) => `${address}\t${name}\n`).join('');
}
