import type { Digest } from '#spec/ids.ts';
import { isDigest, parseDigest } from './digest.ts';
import { registryError } from './error-codes.ts';

declare const brand: unique symbol;
/** A name that satisfies the grammar: no empty, `.` or `..` component can occur in it. */
export type RepositoryName = string & { readonly [brand]: 'RepositoryName' };
export type TagName = string & { readonly [brand]: 'TagName' };

/** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests */
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
/** Clients limit host and name together to 255. */
const MAX_NAME_LENGTH = 255;

export const isRepositoryName = (text: string): text is RepositoryName =>
  text.length <= MAX_NAME_LENGTH && text.split('/').every((component) => COMPONENT.test(component));

/** Throws NAME_INVALID. */
export function parseRepositoryName(text: string): RepositoryName {
  if (isRepositoryName(text)) return text;
  throw registryError('NAME_INVALID', `invalid repository name ${JSON.stringify(text.slice(0, 160))}`, {
    hint: 'components of lower-case letters, digits and single separators, joined by /',
  });
}

export const isTag = (text: string): text is TagName => TAG.test(text);

/** Throws TAG_INVALID. */
export function parseTag(text: string): TagName {
  if (isTag(text)) return text;
  throw registryError('TAG_INVALID', `invalid tag ${JSON.stringify(text.slice(0, 160))}`, { hint: 'at most 128 letters, digits, _ . and -, not starting with . or -' });
}

/** What stands behind `/manifests/`: a digest or a tag. */
export type ManifestReference = { digest: Digest; tag?: undefined } | { tag: TagName; digest?: undefined };

/** A text with a colon is meant as a digest: throws DIGEST_INVALID, else TAG_INVALID. */
export function parseManifestReference(text: string): ManifestReference {
  if (isDigest(text)) return { digest: text };
  return text.includes(':') ? { digest: parseDigest(text) } : { tag: parseTag(text) };
}
