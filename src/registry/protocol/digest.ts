import { createHash, type Hash } from 'node:crypto';
import type { Digest } from '#spec/ids.ts';
import { registryError } from './error-codes.ts';

/** https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests */
const PATTERN = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;
export type DigestAlgorithm = 'sha256' | 'sha512';

export const isDigest = (text: unknown): text is Digest => typeof text === 'string' && PATTERN.test(text);

/** Throws DIGEST_INVALID. */
export function parseDigest(text: unknown): Digest {
  if (isDigest(text)) return text;
  throw registryError('DIGEST_INVALID', `invalid digest ${JSON.stringify(text)?.slice(0, 160) ?? ''}`, { hint: 'a digest is sha256: or sha512: and lower-case hex digits' });
}

/** Throws DIGEST_INVALID for anything but sha256 and sha512. */
export function parseAlgorithm(text: string): DigestAlgorithm {
  if (text === 'sha256' || text === 'sha512') return text;
  throw registryError('DIGEST_INVALID', `unsupported digest algorithm ${JSON.stringify(text.slice(0, 40))}`, { hint: 'sha256 and sha512 are supported' });
}

export const algorithmOf = (digest: Digest): DigestAlgorithm => digest.slice(0, digest.indexOf(':')) as DigestAlgorithm;
export const hexOf = (digest: Digest): string => digest.slice(digest.indexOf(':') + 1);

export const digestOf = (bytes: Uint8Array | string, algorithm: DigestAlgorithm = 'sha256'): Digest =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest;

/** A digest that is made while bytes pass; `digest()` may be asked at any time and does not end it. */
export class Digester {
  readonly algorithm: DigestAlgorithm;
  readonly #hash: Hash;
  constructor(algorithm: DigestAlgorithm) {
    this.algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }
  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }
  digest(): Digest {
    return `${this.algorithm}:${this.#hash.copy().digest('hex')}` as Digest;
  }
}
