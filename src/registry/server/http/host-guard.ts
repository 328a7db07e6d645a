import { isIP } from 'node:net';
import { registryError } from '#registry/protocol/error-codes.ts';
import type { RegistryOptions } from '../options.ts';

/** Throws DENIED for a request that must not be answered. */
export type Admit = (header: (name: string) => string) => void;

/**
 * A registry that anybody on this machine may use is safe from everybody else only as long as no page in a browser here can speak
 * to it: a page's own domain may come to mean 127.0.0.1 (DNS rebinding). So one that listens on loopback, without TLS and without
 * logins, answers to addresses, to `localhost` and what is below it, and to the names that it was told (`allowedHosts`), and never to a script of another
 * site. Elsewhere names are the administrator's, and nothing is refused unless there is a list of them.
 */
export function hostGuard({ host, tls, htpasswd, token, allowedHosts }: Pick<RegistryOptions, 'host' | 'tls' | 'htpasswd' | 'token' | 'allowedHosts'>): Admit {
  const open = isLoopback(host) && tls === undefined && htpasswd === undefined && token === undefined;
  if (!open && allowedHosts.length === 0) return () => undefined;
  const allowed = new Set(['localhost', ...allowedHosts.map((name) => name.toLowerCase())]);
  return (header) => {
    const name = hostName(header('host'));
    if (name !== '' && isIP(name) === 0 && !allowed.has(name) && !name.endsWith('.localhost')) {
      // What is no name is not said again.
      const said = /^[a-z0-9._-]{1,253}$/.test(name) ? name : 'NAME';
      throw registryError('DENIED', `host name ${said} is not accepted`, { hint: `use the address, or start the registry with --allow-host ${said}` });
    }
    const origin = header('origin');
    if (origin !== '' && (!URL.canParse(origin) || new URL(origin).host !== header('host').toLowerCase())) throw registryError('DENIED', 'requests from web pages of other sites are not accepted');
  };
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127\./.test(host);

const hostName = (header: string): string => (header.startsWith('[') ? header.slice(1, header.indexOf(']')) : header.replace(/:[0-9]*$/, '')).replace(/\.$/, '').toLowerCase();
