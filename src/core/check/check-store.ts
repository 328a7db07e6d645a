import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync } from 'node:fs';
import type { Digest } from '#spec/ids.ts';
import type { ImageConfig } from '#spec/oci-image.ts';
import { algorithmOf, chainIds, digestOf, hexOf } from '../content/digest.ts';
import { readBlob, type DataRoot } from '../data-root.ts';
import type { Database } from '../db/database.ts';
import { runStagingJob, type SelfCommand } from '../jobs/start-job.ts';

/** One thing that is not as it should be, and who is touched by it. */
export interface StoreProblem {
  /** What was looked at: `config sha256:…`, `layer sha256:…`, `blob sha256:…`, `snapshot <id>`, `database`, `file layers/7`. */
  readonly what: string;
  readonly problem: string;
  readonly images: readonly Digest[];
  readonly documents: readonly Digest[];
  /** A file or directory that no row knows: it can be discarded. */
  readonly orphan?: string;
  /** A blob file that is not what it is named: it must go before it can come again. */
  readonly blob?: string;
}

export type CheckStep = { readonly checked: string } | StoreProblem;

/**
 * Looks at everything in the store: configs, layers (each is written as a tar again, in a process of its own, and must have its
 * digest), documents and their blobs, directories of snapshots, rows, files without a row. Changes nothing.
 */
export async function* checkStore({ db, root, self }: { db: Database; root: DataRoot; self: SelfCommand }, signal: AbortSignal): AsyncGenerator<CheckStep, void, undefined> {
  const problem = (what: string, text: string, about: Partial<StoreProblem> = {}): StoreProblem => ({ what, problem: text, images: [], documents: [], ...about });
  const column = <T>(sql: string, ...values: (string | number)[]): T[] => (db.sql(sql).all(...values) as { v: T }[]).map(({ v }) => v);

  for (const { integrity_check: text } of db.sql('PRAGMA integrity_check(20)').all() as { integrity_check: string }[]) if (text !== 'ok') yield problem('database', text);
  if (db.sql('PRAGMA foreign_key_check').all().length > 0) yield problem('database', 'rows refer to rows that are missing');
  yield { checked: 'database' };

  for (const id of column<Digest>('SELECT id AS v FROM images ORDER BY id')) {
    const text = configProblem(id);
    if (text !== undefined) yield problem(`config ${id}`, text, { images: [id] });
    else yield { checked: `config ${id}` };
  }
  yield* layers();
  for (const { digest, bytes } of db.sql('SELECT digest, bytes FROM documents ORDER BY digest').all() as { digest: Digest; bytes: Uint8Array }[]) {
    if (digestOf(bytes, algorithmOf(digest)) !== digest) yield problem(`document ${digest}`, 'its bytes have another digest', { documents: [digest] });
  }
  for (const digest of column<Digest>('SELECT DISTINCT digest AS v FROM document_blobs ORDER BY digest')) {
    const path = `${root.artifacts}/${algorithmOf(digest)}-${hexOf(digest)}`;
    const actual = existsSync(path) ? await digestOfFile(path, digest, signal) : undefined;
    const documents = column<Digest>('SELECT DISTINCT document AS v FROM document_blobs WHERE digest = ?', digest);
    if (actual === digest) yield { checked: `blob ${digest}` };
    else if (documents.length > 0) yield problem(`blob ${digest}`, actual === undefined ? 'it is missing' : `its bytes have digest ${actual}`, { documents, ...(actual === undefined ? {} : { blob: path }) });
  }
  for (const id of column<string>('SELECT id AS v FROM snapshots')) if (!existsSync(`${root.snapshots}/${id}/upper`) && column('SELECT 1 AS v FROM snapshots WHERE id = ?', id).length > 0) yield problem(`snapshot ${id}`, 'its directory is missing');
  yield* orphans();

  function configProblem(id: Digest): string | undefined {
    let config: ImageConfig;
    try {
      const bytes = readBlob(root, hexOf(id));
      if (digestOf(bytes) !== id) return 'its bytes have another digest';
      config = JSON.parse(bytes.toString('utf8')) as ImageConfig;
    } catch (error) {
      return `it cannot be read: ${String((error as NodeJS.ErrnoException).code ?? 'no JSON')}`;
    }
    const rows = column<string>('SELECT chain_id AS v FROM image_layers WHERE image = ? ORDER BY position', id);
    const chain = chainIds(config.rootfs.diff_ids) as string[];
    return rows.length === chain.length && rows.every((one, i) => one === chain[i]) ? undefined : 'the rows of its layers are not what it lists';
  }

  async function* layers(): AsyncGenerator<CheckStep, void, undefined> {
    const all = db.sql('SELECT DISTINCT dir, diff_id FROM layers ORDER BY dir').all() as { dir: number; diff_id: Digest }[];
    const users = (dir: number): Digest[] => column<Digest>('SELECT DISTINCT i.image AS v FROM image_layers i JOIN layers l USING (chain_id) WHERE l.dir = ? ORDER BY i.image', dir);
    const there = all.filter(({ dir }) => existsSync(`${root.layers}/${dir}`) && existsSync(`${root.recipes}/${dir}/tar`));
    for (const { dir, diff_id } of all) if (!there.some((one) => one.dir === dir) && users(dir).length > 0) yield problem(`layer ${diff_id}`, 'its directory is missing', { images: users(dir) });
    if (there.length === 0) return;
    const incoming = root.newIncoming();
    try {
      const job = runStagingJob(self, { kind: 'verify', incoming, layers: there.map(({ dir, diff_id }) => ({ name: String(dir), layer: `${root.layers}/${dir}`, recipe: `${root.recipes}/${dir}`, diffId: diff_id })) }, { signal });
      for (let step = await job.next(); step.done !== true; step = await job.next()) {
        const dir = Number(step.value.name);
        const { diff_id } = there.find((one) => one.dir === dir)!;
        const images = users(dir);
        // An image may have been removed while its layer was read.
        if (step.value.problem !== undefined && images.length > 0) yield problem(`layer ${diff_id}`, step.value.problem, { images });
        else yield { checked: `layer ${diff_id}` };
      }
    } finally {
      await root.discard(incoming);
    }
  }

  /** Read in one go: what is being published has its row by the time that anybody else can look. */
  function orphans(): StoreProblem[] {
    const named = (directory: string, known: readonly (string | number)[]): StoreProblem[] => {
      const names = new Set(known.map(String));
      return readdirSync(directory).filter((name) => !names.has(name)).map((name) => problem(`file ${directory.slice(root.path.length + 1)}/${name}`, 'nothing knows it', { orphan: `${directory}/${name}` }));
    };
    const dirs = column<number>('SELECT DISTINCT dir AS v FROM layers');
    return [...named(root.layers, dirs), ...named(root.recipes, dirs), ...named(root.blobs, column<Digest>('SELECT id AS v FROM images').map(hexOf)), ...named(root.snapshots, column<string>('SELECT id AS v FROM snapshots'))];
  }
}

async function digestOfFile(path: string, like: Digest, signal: AbortSignal): Promise<string | undefined> {
  const hash = createHash(algorithmOf(like));
  try {
    for await (const chunk of createReadStream(path, { signal, highWaterMark: 1 << 20 }) as AsyncIterable<Uint8Array>) hash.update(chunk);
  } catch (error) {
    if (signal.aborted) throw error;
    return undefined;
  }
  return `${algorithmOf(like)}:${hash.digest('hex')}`;
}
