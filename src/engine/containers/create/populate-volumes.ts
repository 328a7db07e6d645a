import { closeSync, readdirSync } from 'node:fs';
import { isKind } from '#spec/errors.ts';
import type { EngineContext } from '../../engine-context.ts';
import { volumeDirectory } from '../../volumes/volume-source.ts';
import type { Container, MountRecord } from '../container.ts';

/** The volumes that are empty and whose place in the image may hold something. */
export function volumesToPopulate({ volumes }: EngineContext, container: Container): { mount: MountRecord; directory: string }[] {
  const found: { mount: MountRecord; directory: string }[] = [];
  for (const mount of container.doc.mounts) {
    if (mount.type !== 'volume' || mount.noCopy === true || mount.subpath !== undefined) continue;
    const record = volumes.get(mount.name!);
    if (record === undefined || record.options['device'] !== undefined) continue;
    const directory = volumeDirectory(volumes, record);
    if (directory !== undefined && readdirSync(directory).length === 0) found.push({ mount, directory });
  }
  return found;
}

/** Copies what the image has at a volume's place into the empty volume: through descriptors, so that no link of the image leads out. */
export async function populateVolumes(engine: EngineContext, container: Container, volumes: readonly { mount: MountRecord; directory: string }[]): Promise<void> {
  if (volumes.length === 0) return;
  const root = engine.store.snapshots.open(container.id, { readOnly: true });
  try {
    for (const { mount, directory } of volumes) {
      let found;
      try {
        found = engine.trees.stat(root, mount.destination);
      } catch (error) {
        if (isKind(error, 'not-found')) continue;
        throw error;
      }
      if (found.isDirectory || found.linkTarget !== '') await engine.trees.copyInto(root, found.linkTarget || mount.destination, directory);
    }
  } finally {
    closeSync(root);
  }
}
