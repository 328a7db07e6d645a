import { NaruError } from '#spec/errors.ts';
import type { RegistryRequest } from './dispatch.ts';

const TEXTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused', ECONNRESET: 'connection reset by peer', ENOTFOUND: 'no such host', EAI_AGAIN: 'no such host (name servers do not answer)',
  ETIMEDOUT: 'i/o timeout', EHOSTUNREACH: 'connect: no route to host', ENETUNREACH: 'connect: network is unreachable', EPIPE: 'broken pipe',
};

/** What a failed exchange means, in the words of Docker's daemon. Certificates that do not hold are `forbidden`, so that nobody
 *  tries again; everything else is `unavailable`. */
export function transportError(error: unknown, request: RegistryRequest): NaruError {
  if (request.signal?.aborted === true) return new NaruError('canceled', 'canceled', { cause: error });
  if (error instanceof NaruError) return error;
  const { code = '', message } = error as NodeJS.ErrnoException;
  const method = request.method[0]! + request.method.slice(1).toLowerCase();
  const said = (text: string): string => `${method} ${JSON.stringify(request.url.origin + request.url.pathname)}: ${text}`;
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || /wrong.version.number/i.test(message)) {
    return new NaruError('unavailable', said('http: server gave HTTP response to HTTPS client'), { cause: error, hint: `if ${request.url.host} really speaks no TLS, say "insecure": true in its file in registries.d` });
  }
  if (/CERT|SIGNED|ISSUER|ALTNAME/.test(code) || /certificate/i.test(message)) {
    return new NaruError('forbidden', said(`tls: failed to verify certificate: ${message}`), { cause: error, hint: `name the certificate's authority as "ca" in the file of ${request.url.host} in registries.d` });
  }
  return new NaruError('unavailable', said(TEXTS[code] ?? message), { cause: error });
}
