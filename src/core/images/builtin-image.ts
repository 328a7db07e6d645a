import type { ImageConfig } from '#spec/oci-image.ts';
import { tarOf, type TarHeaderFields } from '../archive/tar-writer.ts';
import { digestOf } from '../content/digest.ts';
import type { StagedLayer } from './publish-images.ts';
import { stageLayer } from './stage-layer.ts';

export interface BuiltinFile { readonly path: string; readonly mode: number; readonly data: Uint8Array }

const EPOCH = '1970-01-01T00:00:00Z';

/** An image made of files in memory. The same files and config give the same id. */
export function builtinImage(files: readonly BuiltinFile[], config: ImageConfig['config']): { config: Uint8Array; stage(incoming: string): Promise<StagedLayer> } {
  const tar = tarOf(membersOf(files));
  const document: ImageConfig = {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64', os: 'linux', created: EPOCH, ...(config === undefined ? {} : { config }),
    rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
    history: [{ created: EPOCH, created_by: 'naru builtin' }],
  };
  async function* once(): AsyncGenerator<Uint8Array, void, undefined> {
    yield tar;
  }
  return {
    config: Buffer.from(JSON.stringify(document)),
    stage: (incoming) => stageLayer(once(), { incoming, name: '0' }),
  };
}

type Member = TarHeaderFields & { data?: Uint8Array };

/** Files with all their parent directories, sorted. */
function membersOf(files: readonly BuiltinFile[]): Member[] {
  const members = new Map<string, Member>();
  for (const { path, mode, data } of files) {
    const parts = path.split('/').filter((part) => part !== '');
    for (let i = 1; i < parts.length; i++) {
      const name = parts.slice(0, i).join('/');
      members.set(name, { name, type: 'directory', mode: 0o755 });
    }
    const name = parts.join('/');
    members.set(name, { name, type: 'file', mode, data });
  }
  return [...members.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
