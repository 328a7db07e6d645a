import type { AnswerElsewhere, ExchangeElsewhere, RegistryRequest, RegistryResponse } from './dispatch.ts';
import type { HttpDispatchOptions } from './http-options.ts';

const PROXIES = /^(?:https?|no)_proxy$/i;

/** The exchange as another process is told of it: everything of the transport but what is the daemon's own (its environment). */
export const exchangeOf = ({ method, url, headers = {} }: RegistryRequest, transport: HttpDispatchOptions): ExchangeElsewhere => ({
  method, url: url.href, headers,
  transport: { ...transport, env: Object.fromEntries(Object.entries(transport.env ?? {}).filter(([name]) => PROXIES.test(name))) },
});

export function responseElsewhere(request: RegistryRequest, { status, headers, body }: AnswerElsewhere): RegistryResponse {
  async function* bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    yield Buffer.from(body, 'base64');
  }
  const iterator = bytes();
  return { status, headers, url: request.url, body: { [Symbol.asyncIterator]: () => iterator, cancel: () => void iterator.return() } };
}
