import { closeSync, mkdirSync } from 'node:fs';
import { openDirectory } from '#sys/files.ts';
import { check } from '#sys/syscalls.ts';
import { applyLayer, type ApplyOptions } from '../layers/apply-layer.ts';
import type { StagedLayer } from './publish-images.ts';

/** Unpacks a layer's tar into `<incoming>/<name>` and `<incoming>/<name>.recipe`. */
export async function stageLayer(source: AsyncIterable<Uint8Array>, options: { incoming: string; name: string } & Pick<ApplyOptions, 'hash' | 'onProgress'>): Promise<StagedLayer> {
  const directory = `${options.incoming}/${options.name}`;
  const recipe = `${directory}.recipe`;
  mkdirSync(directory, 0o755);
  mkdirSync(recipe, 0o700);
  const target = check(openDirectory(directory), `open ${directory}`);
  try {
    const { incoming, name, ...rest } = options;
    return { ...(await applyLayer(source, { ...rest, target, recipe })), directory, recipe };
  } finally {
    closeSync(target);
  }
}
