import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import { isDigest } from '../content/digest.ts';

/** A parsed image name. https://pkg.go.dev/github.com/distribution/reference: Docker's own grammar. */
export interface Reference {
  /** Registry host with port: `docker.io`, `localhost:5000`. */
  readonly domain: string;
  /** Path below it: `library/busybox`. */
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const DOMAIN_PART = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const DOMAIN = new RegExp(`^(?:${DOMAIN_PART}(?:\\.${DOMAIN_PART})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const PATH = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const HEX_ID = /^[0-9a-f]{64}$/;
/** Longest repository name (domain and path). */
const MAX_NAME = 255;

const invalid = (text: string, why = 'invalid reference format'): NaruError =>
  new NaruError('invalid', why, { hint: `${JSON.stringify(text.slice(0, 300))} is not an image name like registry:5000/name:tag` });

/** Parses a familiar name (`busybox`, `localhost:5000/a/b:1`, `x@sha256:…`). Throws `invalid` in Docker's words. The tag is not
 *  defaulted: see `withDefaultTag`. */
export function parseReference(text: string): Reference {
  if (HEX_ID.test(text)) throw new NaruError('invalid', `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  let rest = text;
  let digest: Digest | undefined;
  const at = rest.indexOf('@');
  if (at >= 0) {
    const value = rest.slice(at + 1);
    if (!isDigest(value)) throw invalid(text);
    digest = value;
    rest = rest.slice(0, at);
  }
  let tag: string | undefined;
  const colon = rest.lastIndexOf(':');
  if (colon > rest.lastIndexOf('/')) {
    tag = rest.slice(colon + 1);
    if (!TAG.test(tag)) throw invalid(text);
    rest = rest.slice(0, colon);
  }
  let domain = 'docker.io';
  let path = rest;
  const slash = rest.indexOf('/');
  const first = slash < 0 ? '' : rest.slice(0, slash);
  if (slash >= 0 && (/[.:[]/.test(first) || first === 'localhost' || first !== first.toLowerCase())) {
    domain = first;
    path = rest.slice(slash + 1);
  }
  if (domain === 'index.docker.io') domain = 'docker.io';
  if (domain === 'docker.io' && !path.includes('/')) path = `library/${path}`;
  if (!DOMAIN.test(domain)) throw invalid(text);
  if (!PATH.test(path)) {
    throw path.toLowerCase() !== path && PATH.test(path.toLowerCase())
      ? invalid(text, 'invalid reference format: repository name (' + familiarName({ domain, path }) + ') must be lowercase')
      : invalid(text);
  }
  if (domain.length + 1 + path.length > MAX_NAME) throw invalid(text, `invalid reference format: repository name must not be more than ${MAX_NAME} characters`);
  return { domain, path, tag, digest };
}

/** `busybox`, `user/app`, `localhost:5000/app`: what Docker shows. */
export function familiarName(reference: { domain: string; path: string }): string {
  if (reference.domain !== 'docker.io') return `${reference.domain}/${reference.path}`;
  return reference.path.startsWith('library/') && !reference.path.slice(8).includes('/') ? reference.path.slice(8) : reference.path;
}

/** `name:tag`; the tag is `latest` when there is none. */
export const familiarTag = (reference: Reference): string => `${familiarName(reference)}:${reference.tag ?? 'latest'}`;

/** Parses a name that is to become a tag. Throws when it carries a digest. */
export function parseTag(text: string): string {
  const reference = parseReference(text);
  if (reference.digest !== undefined) throw new NaruError('invalid', 'refusing to create a tag with a digest reference');
  return familiarTag(reference);
}
