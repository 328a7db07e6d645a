import type { PortMap } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import { isIp } from '../flags/ip.ts';

const invalid = (message: string): NaruError => new NaruError('invalid', message);

export interface Ports { readonly exposed: Record<string, object>; readonly bindings: PortMap }

/** `-p` and `--expose` as the API's port sets. Throws NaruError invalid. */
export function parsePorts(publish: readonly string[], expose: readonly string[]): Ports {
  const exposed: Record<string, object> = {};
  const bindings: PortMap = {};
  for (const text of publish.map(standardNotation)) {
    for (const { port, ip, hostPort } of parsePublish(text)) {
      exposed[port] = {};
      (bindings[port] ??= []).push({ HostIp: ip, HostPort: hostPort });
    }
  }
  for (const text of expose) {
    if (text.includes(':')) throw invalid(`invalid port format for --expose: ${text}`);
    const [proto, range] = splitProtocol(text);
    let ports: [number, number];
    try {
      ports = parseRange(range);
    } catch (error) {
      throw invalid(`invalid range format for --expose: ${text}, error: ${(error as Error).message}`);
    }
    for (let port = ports[0]; port <= ports[1]; port++) exposed[`${port}/${proto}`] ??= {};
  }
  return { exposed, bindings };
}

/** `published=8080,target=80,protocol=udp` is the long form of `8080:80/udp`. */
function standardNotation(text: string): string {
  if (!text.includes('=')) return text;
  const values: Record<string, string> = { protocol: 'tcp' };
  for (const part of text.split(',')) {
    const equals = part.indexOf('=');
    if (equals <= 0) throw invalid(`invalid publish opts format (should be name=value but got '${part}')`);
    values[part.slice(0, equals)] = part.slice(equals + 1);
  }
  return `${values['published'] ?? ''}:${values['target'] ?? ''}/${values['protocol'] ?? ''}`;
}

function* parsePublish(text: string): Generator<{ port: string; ip: string; hostPort: string }> {
  const parts = text.split(':');
  const [rawProto, container] = splitProtocol(parts.at(-1) as string);
  const hostText = parts.length > 1 ? (parts.at(-2) as string) : '';
  let ip = parts.slice(0, -2).join(':');
  if (ip.startsWith('[')) {
    if (!ip.endsWith(']')) throw invalid(`invalid IP address ${ip}: address ${ip}:: missing ']' in address`);
    ip = ip.slice(1, -1);
  }
  if (ip !== '' && !isIp(ip)) throw invalid(`invalid IP address: ${ip}`);
  if (container === '') throw invalid(`no port specified: ${text}<empty>`);
  const range = (value: string, what: string): [number, number] => {
    try {
      return parseRange(value);
    } catch {
      throw invalid(`invalid ${what}: ${value}`);
    }
  };
  const [start, end] = range(container, 'containerPort');
  const [hostStart, hostEnd] = hostText === '' ? [0, 0] : range(hostText, 'hostPort');
  if (hostText !== '' && end - start !== hostEnd - hostStart && end !== start) throw invalid(`invalid ranges specified for container and host Ports: ${container} and ${hostText}`);
  const proto = rawProto.toLowerCase();
  if (!['tcp', 'udp', 'sctp'].includes(proto)) throw invalid(`invalid proto: ${rawProto}`);
  for (let i = 0; i <= end - start; i++) {
    let hostPort = hostText === '' ? '' : String(hostStart + i);
    if (start === end && hostStart !== hostEnd) hostPort = `${hostStart}-${hostEnd}`;
    yield { port: `${start + i}/${proto}`, ip, hostPort };
  }
}

function splitProtocol(text: string): [string, string] {
  const [port = '', proto = ''] = text.split('/');
  if (port === '') return ['', ''];
  return [proto === '' ? 'tcp' : proto, port];
}

function parseRange(text: string): [number, number] {
  if (text === '') throw invalid('empty string specified for ports');
  const number = (part: string): number => {
    if (!/^\d+$/.test(part)) throw invalid(`strconv.ParseUint: parsing ${JSON.stringify(part)}: invalid syntax`);
    if (Number(part) > 65535) throw invalid(`strconv.ParseUint: parsing ${JSON.stringify(part)}: value out of range`);
    return Number(part);
  };
  const [first = '', second] = text.split('-');
  const start = number(first);
  const end = second === undefined ? start : number(second);
  if (end < start) throw invalid(`invalid range specified for port: ${text}`);
  return [start, end];
}
