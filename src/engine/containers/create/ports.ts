import { NaruError } from '#spec/errors.ts';
import type { PortMap } from '#spec/engine-api.ts';
import { tryParseIp } from '#net/ip.ts';
import type { PortRequest } from '#net/port.ts';

const bad = (text: string): NaruError => new NaruError('invalid', `invalid port specification: ${JSON.stringify(text)}`);

const PROTOCOLS = new Set(['tcp', 'udp', 'sctp']);

function parseNumber(text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number > 65535) throw bad(text);
  return number;
}

/** `80/tcp`, `80` to port and protocol. Throws invalid. */
export function parsePort(text: string): { port: number; protocol: 'tcp' | 'udp' | 'sctp' } {
  const [number = '', protocol = 'tcp'] = text.split('/', 2);
  if (!PROTOCOLS.has(protocol.toLowerCase())) throw bad(text);
  const port = parseNumber(number);
  if (port === 0) throw bad(number);
  return { port, protocol: protocol.toLowerCase() as 'tcp' };
}

/** Port bindings, plus every exposed port when all are to be published, as requests to the network. Throws invalid. */
export function portRequests(bindings: PortMap | null | undefined, exposed: readonly string[], publishAll: boolean): PortRequest[] {
  const requests: PortRequest[] = [];
  for (const [key, list] of Object.entries(bindings ?? {})) {
    const { port, protocol } = parsePort(key);
    // A port with an empty list: any free one, on all addresses.
    for (const binding of list === null || list.length === 0 ? [{ HostIp: '', HostPort: '' }] : list) {
      const text = binding.HostPort ?? '';
      if (!/^(\d+(-\d+)?)?$/.test(text)) throw bad(text);
      const [from = '', to] = text.split('-', 2);
      const hostPort = from === '' ? 0 : parseNumber(from);
      const hostPortEnd = to === undefined ? hostPort : parseNumber(to);
      if (hostPortEnd < hostPort) throw bad(binding.HostPort);
      requests.push({ containerPort: port, protocol, hostIp: checkAddress(binding.HostIp ?? ''), hostPort, hostPortEnd });
    }
  }
  if (publishAll) {
    for (const key of exposed) {
      const { port, protocol } = parsePort(key);
      if (requests.some((request) => request.containerPort === port && request.protocol === protocol)) continue;
      requests.push({ containerPort: port, protocol, hostIp: '', hostPort: 0, hostPortEnd: 0 });
    }
  }
  return requests;
}

function checkAddress(address: string): string {
  if (address !== '' && tryParseIp(address.replace(/^\[(.*)\]$/, '$1')) === undefined) throw new NaruError('invalid', `invalid host IP address: ${address}`);
  return address;
}
