import { isKind, NaruError } from '#spec/errors.ts';
import { authenticate } from './authenticate.ts';
import type { Credentials } from './credentials.ts';
import { compose, type Dispatch, type Interceptor } from './dispatch.ts';
import { followRedirects } from './follow-redirects.ts';
import { httpDispatch, onThisMachine } from './http-dispatch.ts';
import type { EndpointConfig } from './host-config.ts';
import { retry, type RetryOptions } from './retry.ts';

/** One server that speaks the protocol: `dispatch` with everything composed in, for URLs below `base`. */
export interface Endpoint {
  readonly base: URL;
  readonly dispatch: Dispatch;
  close(): void;
}

export interface EndpointOptions {
  readonly config: EndpointConfig;
  readonly credentials?: Credentials;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly retry?: RetryOptions;
  readonly userAgent?: string;
  /** For a login: an identity token is asked for, and told here. */
  readonly onIdentityToken?: (token: string) => void;
  /** Silence of the peer, milliseconds. */
  readonly patience?: number;
}

/**
 * From the outside in: retry, TLS or not, headers, credentials, redirects, HTTP. Registries on this machine need no TLS, as with
 * Docker: https is tried first, unverified, then http.
 */
export function openEndpoint(base: URL, options: EndpointOptions): Endpoint {
  const { config, credentials = {}, userAgent, patience } = options;
  const env = config.proxy === undefined ? options.env : { ...options.env, HTTP_PROXY: config.proxy || '', HTTPS_PROXY: config.proxy || '' };
  const loopback = onThisMachine(base);
  const insecure = config.insecure || loopback;
  const http = httpDispatch({
    tls: insecure && config.tls.ca === undefined ? { ...config.tls, skipVerify: true } : config.tls, loopback,
    ...(env === undefined ? {} : { env }), ...(userAgent === undefined ? {} : { userAgent }), ...(patience === undefined ? {} : { patience }),
  });
  const own = Object.keys(config.headers);
  // The token server is a host of its own: it gets neither this host's client certificate nor its headers or its leniency.
  const tokenHttp = httpDispatch({ tls: insecure || config.tls.ca === undefined ? { ...(insecure ? { skipVerify: true } : {}) } : { ca: config.tls.ca }, loopback, ...(env === undefined ? {} : { env }), ...(userAgent === undefined ? {} : { userAgent }) });
  const tokens = compose(tokenHttp, retry(options.retry), followRedirects());
  const dispatch = compose(
    http,
    retry(options.retry),
    plainFallback(base, insecure),
    addHeaders(config.headers, base),
    authenticate(credentials, { tokens, onIdentityToken: options.onIdentityToken }),
    followRedirects({ own }),
  );
  return {
    base, dispatch,
    close() {
      http.close();
      tokenHttp.close();
    },
  };
}

/** Where TLS is not demanded, the first answer decides. Throws what TLS complained of when plain HTTP is not there either. */
function plainFallback(base: URL, insecure: boolean): Interceptor {
  let scheme: 'http:' | 'https:' | undefined = insecure && base.protocol === 'https:' ? undefined : (base.protocol as 'http:' | 'https:');
  const as = (url: URL, protocol: string): URL => (url.protocol === protocol || url.host !== base.host ? url : new URL(`${protocol}//${url.host}${url.pathname}${url.search}`));
  return (next) => async (request) => {
    if (scheme !== undefined) return await next(scheme === base.protocol ? request : { ...request, url: as(request.url, scheme) });
    let failure: unknown;
    try {
      const response = await next(request);
      scheme = 'https:';
      return response;
    } catch (error) {
      if (!isKind(error, 'unavailable') || scheme !== undefined) throw error;
      failure = error;
    }
    try {
      const response = await next({ ...request, url: as(request.url, 'http:') });
      scheme = 'http:';
      return response;
    } catch (error) {
      if (isKind(error, 'unavailable') && failure instanceof NaruError && !/HTTP response to HTTPS client/.test(failure.message)) throw isRefused(error) ? error : failure;
      throw error;
    }
  };
}

const isRefused = (error: unknown): boolean => error instanceof NaruError && error.message.includes('connection refused');

const addHeaders = (headers: Readonly<Record<string, string>>, base: URL): Interceptor => (next) => (request) =>
  next(request.url.host === base.host ? { ...request, headers: { ...headers, ...request.headers } } : request);
