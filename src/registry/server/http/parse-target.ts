import type { Digest } from '#spec/ids.ts';
import { parseDigest } from '#registry/protocol/digest.ts';
import { registryError } from '#registry/protocol/error-codes.ts';
import { parseManifestReference, parseRepositoryName, type ManifestReference, type RepositoryName } from '#registry/protocol/repository-name.ts';

/** What a path means. */
export type Target =
  | { kind: 'base' | 'catalog' | 'page' | 'metrics' | 'health' | 'nothing' }
  | { kind: 'uploads' | 'tags'; name: RepositoryName }
  | { kind: 'upload'; name: RepositoryName; id: string }
  | { kind: 'blob' | 'referrers'; name: RepositoryName; digest: Digest }
  | { kind: 'manifest'; name: RepositoryName; reference: ManifestReference };

const FIXED: Record<string, Target> = {
  '/v2/': { kind: 'base' }, '/v2': { kind: 'base' }, '/v2/_catalog': { kind: 'catalog' },
  '/': { kind: 'page' }, '/metrics': { kind: 'metrics' }, '/healthz': { kind: 'health' },
};
const MAX_PATH_LENGTH = 2_048;

/**
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints read from the end, since names hold slashes.
 * Each component is decoded once, after the split: an encoded slash or dot never becomes part of the path. Throws the codes of
 * the part that is malformed.
 */
export function parseTarget(path: string): Target {
  const fixed = FIXED[path];
  if (fixed !== undefined) return fixed;
  if (!path.startsWith('/v2/') || path.length > MAX_PATH_LENGTH) return { kind: 'nothing' };
  const parts = path.slice('/v2/'.length).split('/').map(decodeComponent);
  const nameBefore = (count: number): RepositoryName => {
    const components = parts.slice(0, -count);
    if (components.some((component) => component.includes('/'))) throw registryError('NAME_INVALID', 'invalid repository name: a slash is encoded in it');
    return parseRepositoryName(components.join('/'));
  };
  const [noun, last] = [parts.at(-2), parts.at(-1) as string];
  if (parts.length >= 4 && parts.at(-3) === 'blobs' && noun === 'uploads') {
    return last === '' ? { kind: 'uploads', name: nameBefore(3) } : { kind: 'upload', name: nameBefore(3), id: last };
  }
  if (parts.length < 3) return { kind: 'nothing' };
  // Some clients leave out the last slash.
  if (noun === 'blobs' && last === 'uploads') return { kind: 'uploads', name: nameBefore(2) };
  if (noun === 'blobs') return { kind: 'blob', name: nameBefore(2), digest: parseDigest(last) };
  if (noun === 'manifests') return { kind: 'manifest', name: nameBefore(2), reference: parseManifestReference(last) };
  if (noun === 'referrers') return { kind: 'referrers', name: nameBefore(2), digest: parseDigest(last) };
  if (noun === 'tags' && last === 'list') return { kind: 'tags', name: nameBefore(2) };
  return { kind: 'nothing' };
}

function decodeComponent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw registryError('NAME_INVALID', 'the path is not validly encoded');
  }
}
