import { isKind, NaruError } from '#spec/errors.ts';
import type { Descriptor } from '#spec/oci-image.ts';
import type { RegistryRequest, RegistryResponse } from './dispatch.ts';
import { responseError } from './response-error.ts';
import { backOff, RETRY_DEFAULTS, sleep, type RetryOptions } from './retry.ts';

export interface ReadBlobOptions {
  /** Bytes that are there already. */
  readonly offset?: number;
  readonly signal?: AbortSignal | undefined;
  readonly retry?: RetryOptions | undefined;
}

/**
 * The bytes of a blob from `offset` on: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-blobs.
 * A body that breaks or ends early is resumed by Range where it stopped; the wait grows only while nothing comes. Exactly as
 * many bytes as the descriptor says pass, or it throws: `corrupt` when there are more or a range is not what was asked for,
 * `unavailable` when it cannot be finished. The digest is for the reader to check.
 */
export async function* readBlob(send: (request: Omit<RegistryRequest, 'url'>) => Promise<RegistryResponse>, descriptor: Descriptor, options: ReadBlobOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
  const { digest, size } = descriptor;
  const { attempts, base, most, random } = { ...RETRY_DEFAULTS, ...options.retry };
  let at = options.offset ?? 0;
  let failures = 0;
  while (at < size) {
    const before = at;
    let failure: NaruError;
    try {
      const response = await send({ method: 'GET', headers: at === 0 ? {} : { range: `bytes=${at}-` }, ...(options.signal === undefined ? {} : { signal: options.signal }) });
      let skip = await expectBytes(response, { digest, size, at });
      for await (const chunk of response.body) {
        const part = skip > 0 ? chunk.subarray(Math.min(skip, chunk.byteLength)) : chunk;
        skip -= chunk.byteLength - part.byteLength;
        if (part.byteLength === 0) continue;
        if (at + part.byteLength > size) {
          response.body.cancel();
          throw new NaruError('corrupt', `blob ${digest} is longer than the ${size} bytes that its descriptor says`);
        }
        at += part.byteLength;
        yield part;
      }
      failure = new NaruError('unavailable', `${response.url.host} sent ${at} of ${size} bytes of ${digest}`);
    } catch (error) {
      if (!isKind(error, 'unavailable')) throw error;
      failure = error as NaruError;
    }
    if (at >= size) return;
    failures = at > before ? 1 : failures + 1;
    if (failures >= attempts) throw failure;
    await sleep(backOff(failures, { base, most, random }), options.signal);
  }
}

/** How many bytes of the body come before `at`. */
async function expectBytes(response: RegistryResponse, { digest, size, at }: { digest: string; size: number; at: number }): Promise<number> {
  const refuse = (what: string): never => {
    response.body.cancel();
    throw new NaruError('corrupt', `${response.url.host}: ${what}`);
  };
  if (response.status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers['content-range'] ?? '');
    if (range === null || Number(range[1]) !== at || (range[2] !== '*' && Number(range[2]) !== size)) {
      return refuse(`asked for bytes ${at}- of ${digest} (${size} bytes), it sent ${JSON.stringify(response.headers['content-range'] ?? 'no range')}`);
    }
    return 0;
  }
  if (response.status === 200) {
    const length = response.headers['content-length'];
    if (length !== undefined && Number(length) !== size) return refuse(`blob ${digest} has ${length} bytes, its descriptor says ${size}`);
    return at;
  }
  if (response.status === 416) return refuse(`blob ${digest} has fewer than the ${size} bytes that its descriptor says`);
  const error = await responseError(response, { what: `blob ${digest}` });
  throw response.status === 404 ? new NaruError('not-found', `blob ${digest} not found: ${error.message}`, { cause: error }) : error;
}
