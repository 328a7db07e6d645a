import { createHash, createPublicKey, verify, type KeyObject } from 'node:crypto';
import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import type { SignatureClaim } from './signature.ts';

export interface VerifyKey {
  /** sha256 of the key in DER, 16 hex digits: to tell keys apart. */
  readonly id: string;
  /** Where it came from. */
  readonly source: string;
  readonly key: KeyObject;
}

/** Shorter RSA keys are not taken. */
const MIN_RSA_BITS = 2048;
const CURVES: readonly (string | undefined)[] = ['prime256v1', 'secp384r1', 'secp521r1'];

/** A public key in PEM: ECDSA (P-256, P-384, P-521), RSA or ed25519. Throws `invalid`. */
export function parseVerifyKey(pem: string, source: string): VerifyKey {
  let key: KeyObject;
  if (/PRIVATE KEY/.test(pem)) throw new NaruError('invalid', `${source} is a private key`, { hint: 'public keys verify' });
  try {
    key = createPublicKey(pem);
  } catch (cause) {
    throw new NaruError('invalid', `${source} is no public key in PEM`, { cause });
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const fit = type === 'ed25519' || (type === 'ec' && CURVES.includes(details?.namedCurve)) || (type === 'rsa' && (details?.modulusLength ?? 0) >= MIN_RSA_BITS);
  if (!fit) throw new NaruError('invalid', `${source}: keys of type ${type ?? 'unknown'} are not taken`, { hint: 'ECDSA on P-256, P-384 or P-521, RSA of 2048 bits or more, ed25519' });
  return { id: createHash('sha256').update(key.export({ type: 'spki', format: 'der' })).digest('hex').slice(0, 16), source, key };
}

/** As cosign signs: SHA-256 with ECDSA (DER) or RSA (PKCS #1 v1.5), ed25519 over the bytes themselves. */
export function isSignedBy({ key }: VerifyKey, signed: Uint8Array, signature: Uint8Array): boolean {
  try {
    if (key.asymmetricKeyType === 'ed25519') return verify(null, signed, key, signature);
    return verify('sha256', signed, key.asymmetricKeyType === 'ec' ? { key, dsaEncoding: 'der' } : key, signature);
  } catch {
    return false;
  }
}

export interface Expected {
  /** The image is known by these: its index's, its manifest's. */
  readonly digests: readonly Digest[];
  /** Whether a claim's name means the repository; undefined: any name will do. */
  readonly isName: ((name: string) => boolean) | undefined;
  readonly keys: readonly VerifyKey[];
}

export type Verdict = { readonly key: VerifyKey } | { readonly problem: string };

/** The key that made this signature, if it is one for what is expected. A claim without a name is held by its digest alone. */
export function verifyClaim(claim: SignatureClaim, { digests, isName, keys }: Expected): Verdict {
  const key = keys.find((one) => isSignedBy(one, claim.signed, claim.signature));
  if (key === undefined) return { problem: 'it was made by none of the keys, or changed since' };
  if (!digests.includes(claim.digest as Digest)) return { problem: `it is for another image, ${claim.digest.slice(0, 80)}` };
  if (claim.name !== undefined && isName !== undefined && !isName(claim.name)) return { problem: `it was made for another repository, ${JSON.stringify(claim.name.slice(0, 200))}` };
  return { key };
}
