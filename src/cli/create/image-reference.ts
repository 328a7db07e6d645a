import { NaruError } from '#spec/errors.ts';

/** An image's name taken apart, as Docker normalizes it. */
export interface ImageReference {
  /** `docker.io`, or the registry's host. */
  readonly domain: string;
  /** `library/busybox`. */
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const PATH = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const DOMAIN = /^(?:\[[a-fA-F0-9:]+\]|(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*)(?::[0-9]+)?$/;
const TAG = /^[\w][\w.-]{0,127}$/;
const DIGEST = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
const MAX_NAME = 255;

const malformed = (): NaruError => new NaruError('invalid', 'invalid reference format');

/** Parses a name with Docker's rules and messages. Throws NaruError invalid. */
export function parseImageReference(text: string): ImageReference {
  if (text.length === 64 && /^[0-9a-f]{64}$/.test(text)) throw new NaruError('invalid', `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  const slash = text.indexOf('/');
  const first = slash < 0 ? '' : text.slice(0, slash);
  let domain = 'docker.io';
  let rest = text;
  if (slash >= 0 && (/[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first)) {
    domain = first === 'index.docker.io' ? 'docker.io' : first;
    rest = text.slice(slash + 1);
  }
  if (domain === 'docker.io' && !rest.includes('/')) rest = `library/${rest}`;

  let digest: string | undefined;
  let tag: string | undefined;
  const at = rest.indexOf('@');
  if (at >= 0) {
    digest = rest.slice(at + 1);
    rest = rest.slice(0, at);
    if (!DIGEST.test(digest)) throw malformed();
    if (digest.startsWith('sha256:') && digest.length !== 'sha256:'.length + 64) throw new NaruError('invalid', 'invalid checksum digest length');
  }
  const colon = rest.lastIndexOf(':');
  if (colon >= 0) {
    tag = rest.slice(colon + 1);
    rest = rest.slice(0, colon);
  }
  if (rest.toLowerCase() !== rest) throw new NaruError('invalid', `invalid reference format: repository name (${rest}) must be lowercase`);
  if (!PATH.test(rest) || (domain !== 'docker.io' && !DOMAIN.test(domain)) || (tag !== undefined && !TAG.test(tag))) throw malformed();
  if (`${domain}/${rest}`.length > MAX_NAME) throw new NaruError('invalid', `repository name must not be more than ${MAX_NAME} characters`);
  return { domain, path: rest, tag, digest };
}

/** The name as people write it: without `docker.io/library/`. */
export function familiarName(reference: ImageReference): string {
  if (reference.domain !== 'docker.io') return `${reference.domain}/${reference.path}`;
  return reference.path.startsWith('library/') ? reference.path.slice('library/'.length) : reference.path;
}

/** The name in full, without tag and digest. */
export const fullName = (reference: ImageReference): string => `${reference.domain}/${reference.path}`;

/** The familiar name with tag and digest; `latest` when it has neither. */
export function familiarString(reference: ImageReference): string {
  const tag = reference.tag ?? (reference.digest === undefined ? 'latest' : undefined);
  return `${familiarName(reference)}${tag === undefined ? '' : `:${tag}`}${reference.digest === undefined ? '' : `@${reference.digest}`}`;
}

/** What the API calls the tag: the digest goes before. */
export const apiTag = (reference: ImageReference): string => reference.digest ?? reference.tag ?? 'latest';

/** True for `sha256:…` and a full hexadecimal id, which name an image but no repository. */
export const isImageId = (text: string): boolean => text.length >= 64 && /^(sha256:)?[0-9a-f]{64}$/.test(text);
