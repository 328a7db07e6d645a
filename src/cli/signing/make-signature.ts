import { createHash, createPublicKey, sign, type KeyObject } from 'node:crypto';
import { NaruError } from '#spec/errors.ts';

export type Form = 'tag' | 'referrer' | 'bundle';

/** What is signed, the signature, and a name for the key: https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md */
export function makeSignature(key: KeyObject, { form, repository, digest }: { form: Form; repository: string; digest: string }): { payload: Buffer; signature: Buffer; keyHint: string } {
  const payload = Buffer.from(form === 'bundle' ? statement(digest) : simple(repository, digest));
  const type = 'application/vnd.in-toto+json';
  // DSSE: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
  const signed = form === 'bundle' ? Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${type} ${payload.byteLength} `), payload]) : payload;
  return { payload, signature: signWith(key, signed), keyHint: createHash('sha256').update(createPublicKey(key).export({ format: 'der', type: 'spki' })).digest('base64') };
}

const simple = (repository: string, digest: string): string =>
  JSON.stringify({ critical: { identity: { 'docker-reference': repository }, image: { 'docker-manifest-digest': digest }, type: 'cosign container image signature' }, optional: null });

const statement = (digest: string): string =>
  JSON.stringify({ _type: 'https://in-toto.io/Statement/v1', subject: [{ digest: { sha256: digest.replace(/^sha256:/, '') } }], predicateType: 'https://sigstore.dev/cosign/sign/v1', predicate: {} });

function signWith(key: KeyObject, bytes: Buffer): Buffer {
  switch (key.asymmetricKeyType) {
    case 'ed25519': return sign(null, bytes, key);
    case 'rsa': return sign('sha256', bytes, key);
    case 'ec': return sign('sha256', bytes, { key, dsaEncoding: 'der' });
    default: throw new NaruError('unsupported', `keys of type ${key.asymmetricKeyType ?? 'unknown'} do not sign images`, { hint: 'ECDSA, RSA or ed25519' });
  }
}
