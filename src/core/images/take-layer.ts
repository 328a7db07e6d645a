import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import { checkBlob, type ArchiveContents } from './archive-contents.ts';
import type { StagedLayer } from './publish-images.ts';

/** Checks a layer of the archive and keeps it for publishing. */
export function takeLayer(context: { contents: ArchiveContents; layers: Map<Digest, StagedLayer> }, wanted: { path: string; diffId: Digest; position: number; descriptor?: { digest: unknown; size?: unknown } }): void {
  const blob = context.contents.layer(wanted.path);
  if (wanted.descriptor !== undefined) checkBlob(wanted.descriptor, blob);
  const named = /^blobs\/(sha256|sha512)\/([0-9a-f]+)$/.exec(wanted.path);
  if (named !== null) checkBlob({ digest: `${named[1]}:${named[2]}` }, blob);
  if (blob.result.diffId !== wanted.diffId) {
    throw new NaruError('corrupt', `invalid diffID for layer ${wanted.position}: expected "${wanted.diffId}", got "${blob.result.diffId}"`);
  }
  if (!context.layers.has(wanted.diffId)) context.layers.set(wanted.diffId, blob.result);
}
