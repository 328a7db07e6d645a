import { createPrivateKey, generateKeyPairSync, randomBytes, scryptSync, type KeyObject } from 'node:crypto';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { NaruError } from '#spec/errors.ts';

/**
 * cosign's encrypted private keys: PEM whose body is JSON, the key (PKCS #8, DER) in a NaCl secretbox under a password stretched by
 * scrypt. https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md, https://github.com/secure-systems-lab/go-securesystemslib (encrypted)
 */
interface Envelope {
  kdf: { name: string; params: { N: number; r: number; p: number }; salt: string };
  cipher: { name: string; nonce: string };
  ciphertext: string;
}

const LABELS = ['ENCRYPTED SIGSTORE PRIVATE KEY', 'ENCRYPTED COSIGN PRIVATE KEY'] as const;
const SCRYPT = { N: 65536, r: 8, p: 1 } as const;
/** What a key file may ask of this machine: memory is 128 · N · r bytes. */
const MAX_MEMORY = 512 << 20;

/** A private key in PEM: encrypted as cosign does, or PKCS #8, SEC 1 or PKCS #1 (encrypted ones too). Throws `invalid`. */
export async function readPrivateKey(pem: string, password: () => Promise<string>): Promise<KeyObject> {
  const label = LABELS.find((one) => pem.includes(`-----BEGIN ${one}-----`));
  if (label !== undefined) return decrypt(pem, label, await password());
  try {
    return createPrivateKey(/ENCRYPTED/.test(pem) ? { key: pem, passphrase: await password() } : pem);
  } catch (cause) {
    throw new NaruError('invalid', 'no private key in PEM, or the password is wrong', { cause });
  }
}

function decrypt(pem: string, label: string, password: string): KeyObject {
  const body = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`).exec(pem)?.[1] ?? '';
  let envelope: Envelope;
  try {
    envelope = JSON.parse(Buffer.from(body, 'base64').toString('utf8')) as Envelope;
  } catch (cause) {
    throw new NaruError('invalid', 'the private key is damaged', { cause });
  }
  const { kdf, cipher, ciphertext } = envelope;
  if (kdf?.name !== 'scrypt' || cipher?.name !== 'nacl/secretbox') throw new NaruError('unsupported', `the private key is encrypted by ${String(kdf?.name)} and ${String(cipher?.name)}`, { hint: 'scrypt and nacl/secretbox are known' });
  const { N, r, p } = kdf.params ?? {};
  if (![N, r, p].every((value) => Number.isSafeInteger(value) && value > 0) || 128 * N * r > MAX_MEMORY || p > 16) throw new NaruError('invalid', 'the private key asks for too much work to be decrypted');
  try {
    const key = scryptSync(password, Buffer.from(kdf.salt, 'base64'), 32, { N, r, p, maxmem: 2 * MAX_MEMORY });
    const der = xsalsa20poly1305(key, Buffer.from(cipher.nonce, 'base64')).decrypt(Buffer.from(ciphertext, 'base64'));
    return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
  } catch (cause) {
    throw new NaruError('invalid', 'the private key cannot be decrypted: wrong password', { cause });
  }
}

/** A new key pair as cosign makes it: ECDSA on P-256, the private one encrypted. */
export function makeKeyPair(password: string): { privatePem: string; publicPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const salt = randomBytes(32);
  const nonce = randomBytes(24);
  const key = scryptSync(password, salt, 32, { ...SCRYPT, maxmem: 2 * MAX_MEMORY });
  const ciphertext = xsalsa20poly1305(key, nonce).encrypt(privateKey.export({ format: 'der', type: 'pkcs8' }));
  const envelope: Envelope = { kdf: { name: 'scrypt', params: { ...SCRYPT }, salt: salt.toString('base64') }, cipher: { name: 'nacl/secretbox', nonce: nonce.toString('base64') }, ciphertext: Buffer.from(ciphertext).toString('base64') };
  const body = Buffer.from(JSON.stringify(envelope)).toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return { privatePem: `-----BEGIN ${LABELS[0]}-----\n${body}\n-----END ${LABELS[0]}-----\n`, publicPem: publicKey.export({ format: 'pem', type: 'spki' }) as string };
}
