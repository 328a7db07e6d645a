import { connect as tcpConnect, type Socket } from 'node:net';
import { NaruError } from '#spec/errors.ts';
import { bareHost, isLoopbackHost } from './address-guard.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy for a URL by HTTP_PROXY, HTTPS_PROXY and NO_PROXY (either case), by the rules of Go's
 * https://pkg.go.dev/golang.org/x/net/http/httpproxy: loopback is never proxied; NO_PROXY holds `*`, hosts, `.suffixes`,
 * addresses, networks (10.0.0.0/8), each with an optional port. undefined: none.
 */
export function proxyFor(url: URL, env: Environment): URL | undefined {
  const variable = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const value = env[variable] ?? env[variable.toLowerCase()] ?? '';
  const host = bareHost(url);
  if (value === '' || isLoopbackHost(host)) return undefined;
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  const exceptions = (env['NO_PROXY'] ?? env['no_proxy'] ?? '').split(',').map((item) => item.trim().toLowerCase()).filter((item) => item !== '');
  if (exceptions.some((item) => excepts(item, host, port))) return undefined;
  return new URL(/^[a-z0-9+.-]+:\/\//i.test(value) ? value : `http://${value}`);
}

function excepts(item: string, host: string, port: string): boolean {
  if (item === '*') return true;
  const network = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(item);
  if (network !== null) return inNetwork(host, network[1]!, Number(network[2]));
  const withPort = /^(.*[^:]):(\d+)$/.exec(item);
  if (withPort !== null && withPort[2] !== port) return false;
  const name = (withPort?.[1] ?? item).replace(/^\[|\]$/g, '').replace(/^\*/, '');
  return host === name || host.endsWith(name.startsWith('.') ? name : `.${name}`);
}

function inNetwork(host: string, network: string, bits: number): boolean {
  const number = (text: string): number => text.split('.').reduce((value, byte) => value * 256 + Number(byte), 0);
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(host) || bits > 32) return false;
  const size = 2 ** (32 - bits);
  return Math.floor(number(host) / size) === Math.floor(number(network) / size);
}

export const proxyAuthorization = (proxy: URL): Record<string, string> =>
  proxy.username === '' ? {} : { 'proxy-authorization': `Basic ${Buffer.from(`${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`).toString('base64')}` };

const MAX_HEAD = 16384;

/** A tunnel through an HTTP proxy (https://www.rfc-editor.org/rfc/rfc9110#name-connect), ready for TLS. */
export function openTunnel(proxy: URL, target: { host: string; port: number }, signal?: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const authority = `${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.port}`;
    const socket = tcpConnect({ host: bareHost(proxy), port: Number(proxy.port === '' ? 80 : proxy.port) });
    const fail = (error: Error): void => {
      signal?.removeEventListener('abort', abort);
      socket.destroy();
      reject(error instanceof NaruError ? error : new NaruError('unavailable', `proxy ${proxy.host}: ${error.message}`, { cause: error }));
    };
    const abort = (): void => fail(new NaruError('canceled', 'canceled'));
    signal?.addEventListener('abort', abort, { once: true });
    socket.once('error', fail);
    socket.once('close', () => fail(new Error('connection closed')));
    socket.once('connect', () => {
      const headers = Object.entries({ host: authority, ...proxyAuthorization(proxy) }).map(([name, value]) => `${name}: ${value}\r\n`).join('');
      socket.write(`CONNECT ${authority} HTTP/1.1\r\n${headers}\r\n`);
    });
    let head = '';
    const onData = (chunk: Buffer): void => {
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) {
        if (head.length > MAX_HEAD) fail(new Error('its answer has no end'));
        return;
      }
      const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1];
      if (status !== '200') return fail(new NaruError('unavailable', `proxy ${proxy.host} refused ${authority}: ${head.slice(0, head.indexOf('\r\n'))}`));
      signal?.removeEventListener('abort', abort);
      socket.removeAllListeners();
      resolve(socket);
    };
    socket.on('data', onData);
  });
}
