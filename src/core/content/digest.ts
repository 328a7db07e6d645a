import { createHash } from 'node:crypto';
import { NaruError } from '#spec/errors.ts';
import type { ChainId, Digest } from '#spec/ids.ts';

const PATTERN = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests: sha256 and sha512 in lower-case hex. Throws
 *  `invalid`. */
export function parseDigest(text: unknown): Digest {
  if (typeof text === 'string' && PATTERN.test(text)) return text as Digest;
  throw new NaruError('invalid', `invalid digest: ${JSON.stringify(text)?.slice(0, 200)}`, { hint: 'a digest is sha256: and 64 hex digits' });
}

export const isDigest = (text: unknown): text is Digest => typeof text === 'string' && PATTERN.test(text);

export type DigestAlgorithm = 'sha256' | 'sha512';
export const algorithmOf = (digest: Digest): DigestAlgorithm => digest.slice(0, digest.indexOf(':')) as DigestAlgorithm;
export const hexOf = (digest: Digest | ChainId): string => digest.slice(digest.indexOf(':') + 1);

export const digestOf = (bytes: Uint8Array | string, algorithm: DigestAlgorithm = 'sha256'): Digest =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest;

/** A digest that is made while bytes pass. */
export interface Digester {
  update(bytes: Uint8Array): void;
  digest(): Digest;
}

export function digester(algorithm: DigestAlgorithm = 'sha256'): Digester {
  const hash = createHash(algorithm);
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => `${algorithm}:${hash.digest('hex')}` as Digest,
  };
}

/** https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid, bottom first. */
export function chainIds(diffIds: readonly Digest[]): ChainId[] {
  const chain: ChainId[] = [];
  for (const diffId of diffIds) {
    const parent = chain[chain.length - 1];
    chain.push((parent === undefined ? diffId : digestOf(`${parent} ${diffId}`)) as unknown as ChainId);
  }
  return chain;
}
