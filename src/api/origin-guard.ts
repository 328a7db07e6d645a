import type { HttpRequest } from '#api/http/request.ts';
import { isIP } from 'node:net';
import { NaruError } from '#spec/errors.ts';

/** Throws kind forbidden for a request that must not reach the API. */
export type Admit = (request: HttpRequest) => void;

/**
 * For TCP listeners: a page in somebody's browser can reach them. Requests that a script made for a site (`Origin`) are
 * refused, and so are host names that could be an attacker's domain resolving to us (DNS rebinding): only addresses,
 * localhost and the names that the administrator listed pass.
 */
export function originGuard(allowedHosts: readonly string[]): Admit {
  const allowed = new Set(['localhost', ...allowedHosts.map((host) => host.toLowerCase())]);
  return (request) => {
    const complaint = complain(request, allowed);
    if (complaint !== undefined) throw new NaruError('forbidden', complaint);
  };
}

function complain(request: HttpRequest, allowed: ReadonlySet<string>): string | undefined {
  if (request.header('origin') !== undefined) return 'requests from web pages are not accepted';
  const host = hostName(request.header('host') ?? '');
  if (host === '' || isIP(host) !== 0 || allowed.has(host)) return undefined;
  return `host name ${JSON.stringify(host)} is not accepted: use the address, or allow the name`;
}

const hostName = (header: string): string =>
  (header.startsWith('[') ? header.slice(1, header.indexOf(']')) : header.replace(/:[0-9]*$/, '')).toLowerCase();
