import { readBody, type AnswerElsewhere, type ExchangeElsewhere, type RegistryRequest } from './dispatch.ts';
import { httpDispatch } from './http-dispatch.ts';
import { transportError } from './transport-error.ts';

/** Of an answer to bytes that were sent; it says little, or what is wrong. */
const MAX_ANSWER = 1 << 16;

/** What the other process does: one exchange with these bytes as its body. */
export async function exchangeHere({ method, url, headers, transport }: ExchangeElsewhere, stream: AsyncIterable<Uint8Array>): Promise<AnswerElsewhere> {
  const request: RegistryRequest = { method, url: new URL(url), headers, body: { stream } };
  const dispatch = httpDispatch(transport);
  try {
    const response = await dispatch(request);
    const body = await readBody(response, MAX_ANSWER);
    return { status: response.status, headers: response.headers, body: body.toString('base64') };
  } catch (error) {
    throw transportError(error, request);
  } finally {
    dispatch.close();
  }
}
