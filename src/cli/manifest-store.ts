import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configDirectoryOf } from './config-file.ts';

/** One manifest of a list, as Docker's CLI writes it down. */
export interface LocalManifest {
  /** In full: `docker.io/library/busybox:latest`. */
  readonly Ref: string;
  readonly Descriptor: { readonly mediaType: string; readonly digest: string; readonly size: number; readonly platform?: { architecture: string; os: string; 'os.version'?: string; 'os.features'?: string[]; variant?: string } };
  /** Base64. */
  readonly Raw: string;
  readonly SchemaV2Manifest?: object;
  readonly OCIManifest?: object;
}

/** Lists that are being made, in `manifests/<list>/<image>` beside config.json: Docker's CLI and ours go on with each other's. */
export interface ManifestStore {
  /** undefined: there is no such list. */
  list(name: string): LocalManifest[] | undefined;
  save(list: string, manifest: LocalManifest): void;
  /** False when there is none. */
  remove(list: string): boolean;
}

export function openManifestStore(directory: string | undefined, env: NodeJS.ProcessEnv): ManifestStore {
  const root = join(configDirectoryOf(directory, env), 'manifests');
  // Neither separator can be made of dots: names were parsed.
  const at = (...names: string[]): string => join(root, ...names.map((name) => name.replaceAll(':', '-').replaceAll('/', '_')));
  return {
    list(name) {
      if (!existsSync(at(name))) return undefined;
      return readdirSync(at(name)).filter((file) => !file.endsWith('.new')).sort().map((file) => JSON.parse(readFileSync(join(at(name), file), 'utf8')) as LocalManifest);
    },
    save(list, manifest) {
      mkdirSync(at(list), { recursive: true, mode: 0o755 });
      const path = at(list, manifest.Ref);
      writeFileSync(`${path}.new`, JSON.stringify(manifest));
      renameSync(`${path}.new`, path);
    },
    remove(list) {
      if (!existsSync(at(list))) return false;
      rmSync(at(list), { recursive: true });
      return true;
    },
  };
}
