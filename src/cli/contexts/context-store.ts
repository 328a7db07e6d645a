import { NaruError } from '#spec/errors.ts';
import { fs, nodePath } from '../on-demand.ts';

/**
 * Docker's contexts, below the configuration's directory: `contexts/meta/<sha256 of the name>/meta.json`, and TLS material in
 * `contexts/tls/<sha256 of the name>/docker/{ca,cert,key}.pem`.
 */
export interface StoredContext {
  Name: string;
  Metadata: { Description?: string; [field: string]: unknown };
  Endpoints: { docker?: { Host?: string; SkipTLSVerify?: boolean } };
}

/** The context that is always there, made of the environment. */
export const DEFAULT_CONTEXT = 'default';

export const TLS_FILES = ['ca.pem', 'cert.pem', 'key.pem'] as const;
export type TlsFile = (typeof TLS_FILES)[number];
export type TlsMaterial = ReadonlyMap<TlsFile, Uint8Array>;

/** Where a context is kept. */
export function contextPaths(directory: string, name: string): { readonly meta: string; readonly tls: string } {
  // Loaded by whoever has a context: every command would pay for it.
  const id = process.getBuiltinModule('node:crypto').createHash('sha256').update(name).digest('hex');
  return { meta: nodePath().join(directory, 'contexts/meta', id), tls: nodePath().join(directory, 'contexts/tls', id) };
}

/** Throws not-found in Docker's words. */
export function readContext(directory: string, name: string): StoredContext {
  const path = nodePath().join(contextPaths(directory, name).meta, 'meta.json');
  let text: string;
  try {
    text = fs().readFileSync(path, 'utf8');
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new NaruError(missing ? 'not-found' : 'internal', `context ${JSON.stringify(name)}: ${missing ? `context not found: open ${path}: no such file or directory` : (cause as Error).message}`, { cause });
  }
  return parseContext(text, path);
}

/** `where`: for the error. Unknown fields stay. */
export function parseContext(text: string, where: string): StoredContext {
  try {
    const read = JSON.parse(text) as Partial<StoredContext> | null;
    if (typeof read !== 'object' || read === null || typeof read.Name !== 'string') throw new Error('it has no name');
    return { ...read, Name: read.Name, Metadata: { ...read.Metadata }, Endpoints: { ...read.Endpoints } };
  } catch (cause) {
    throw new NaruError('corrupt', `parsing ${where}: ${(cause as Error).message}`, { cause });
  }
}

export function listContexts(directory: string): StoredContext[] {
  let ids: string[];
  const root = nodePath().join(directory, 'contexts/meta');
  try {
    ids = fs().readdirSync(root).filter((id) => /^[0-9a-f]{64}$/.test(id));
  } catch {
    return [];
  }
  return ids.map((id) => parseContext(fs().readFileSync(nodePath().join(root, id, 'meta.json'), 'utf8'), nodePath().join(root, id, 'meta.json')));
}

export function readTls(directory: string, name: string): TlsMaterial {
  const { tls } = contextPaths(directory, name);
  const material = new Map<TlsFile, Uint8Array>();
  for (const file of TLS_FILES) {
    try {
      material.set(file, fs().readFileSync(nodePath().join(tls, 'docker', file)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return material;
}

/** Makes or replaces a context. `tls` undefined: what is there stays. */
export function writeContext(directory: string, context: StoredContext, tls?: TlsMaterial): void {
  const paths = contextPaths(directory, context.Name);
  fs().mkdirSync(paths.meta, { recursive: true, mode: 0o755 });
  if (tls !== undefined) {
    fs().rmSync(paths.tls, { recursive: true, force: true });
    if (tls.size > 0) fs().mkdirSync(nodePath().join(paths.tls, 'docker'), { recursive: true, mode: 0o700 });
    for (const [file, data] of tls) fs().writeFileSync(nodePath().join(paths.tls, 'docker', file), data, { mode: 0o600 });
  }
  fs().writeFileSync(nodePath().join(paths.meta, 'meta.json.new'), JSON.stringify(context), { mode: 0o644 });
  fs().renameSync(nodePath().join(paths.meta, 'meta.json.new'), nodePath().join(paths.meta, 'meta.json'));
}

export function removeContext(directory: string, name: string): void {
  const { meta, tls } = contextPaths(directory, name);
  for (const path of [meta, tls]) fs().rmSync(path, { recursive: true, force: true });
}
