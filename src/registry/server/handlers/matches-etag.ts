import type { Digest } from '#spec/ids.ts';
import type { Call } from '../http/call.ts';

/** If-None-Match (RFC 9110, section 13.1.2) against the digest, which is the entity's tag. */
export function matchesEtag(call: Call, digest: Digest): boolean {
  const header = call.header('if-none-match');
  return header !== '' && header.split(',').some((one) => one.trim() === '*' || one.trim().replace(/^W\//, '') === `"${digest}"`);
}
