import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DigestAlgorithm } from '#registry/protocol/digest.ts';
import { registryError } from '#registry/protocol/error-codes.ts';
import type { RepositoryName } from '#registry/protocol/repository-name.ts';
import type { Metadata } from '../metadata/open-metadata.ts';
import { asStorageError } from '../storage/as-storage-error.ts';
import { UploadSession } from './upload-session.ts';

/** Open uploads are bounded, so that nobody can fill the disk's inodes with empty ones. */
const MAX_OPEN_UPLOADS = 10_000;
const ID = /^[0-9a-f-]{36}$/;

/** All open uploads. Rows and partial files outlive a restart; the digests' states are made again from the files then. */
export class UploadBook {
  readonly #metadata: Metadata;
  readonly #directory: string;
  readonly #sessions = new Map<string, Promise<UploadSession>>();

  constructor(metadata: Metadata, directory: string) {
    this.#metadata = metadata;
    this.#directory = directory;
  }

  async start(repository: RepositoryName, algorithm: DigestAlgorithm): Promise<UploadSession> {
    const { n } = this.#metadata.one<{ n: number }>('SELECT count(*) AS n FROM uploads') as { n: number };
    if (n >= MAX_OPEN_UPLOADS) throw registryError('TOOMANYREQUESTS', `${n} uploads are open`, { hint: 'finish or cancel some', headers: { 'Retry-After': '60' } });
    const id = randomUUID();
    const path = join(this.#directory, id);
    try {
      await (await open(path, 'wx', 0o600)).close();
      this.#metadata.transaction(() => this.#metadata.run('INSERT INTO uploads VALUES (?, ?, ?, ?)', id, repository, algorithm, Date.now()), { durable: false });
    } catch (error) {
      await rm(path, { force: true });
      throw asStorageError(error, 'an upload could not begin');
    }
    const session = new UploadSession(id, repository, { path, algorithm });
    this.#sessions.set(id, Promise.resolve(session));
    return session;
  }

  /** An upload of this repository. Throws BLOB_UPLOAD_UNKNOWN, also for those of other repositories. */
  async find(repository: RepositoryName, id: string): Promise<UploadSession> {
    const row = ID.test(id) ? this.#metadata.one<{ repository: RepositoryName; algorithm: DigestAlgorithm }>('SELECT repository, algorithm FROM uploads WHERE id = ?', id) : undefined;
    if (row === undefined || row.repository !== repository) throw registryError('BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry');
    let opening = this.#sessions.get(id);
    if (opening === undefined) {
      const session = new UploadSession(id, repository, { path: join(this.#directory, id), algorithm: row.algorithm });
      opening = session.recover().then(() => session);
      this.#sessions.set(id, opening);
      opening.catch(() => this.#sessions.delete(id));
    }
    return opening.catch((error: unknown) => { throw registryError('BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry', { cause: error }); });
  }

  /** The upload was written to: it will not be swept for a while. */
  touch(session: UploadSession): void {
    this.#metadata.transaction(() => this.#metadata.run('UPDATE uploads SET updated = ? WHERE id = ?', Date.now(), session.id), { durable: false });
  }

  async end(session: UploadSession): Promise<void> {
    this.#sessions.delete(session.id);
    this.#metadata.transaction(() => this.#metadata.run('DELETE FROM uploads WHERE id = ?', session.id), { durable: false });
    await session.discard();
  }

  /** Ends uploads that nobody has written to since `before`, and removes partial files without an upload. Returns how many. */
  async sweep(before: number): Promise<number> {
    let swept = 0;
    for (const { id, repository } of this.#metadata.all<{ id: string; repository: RepositoryName }>('SELECT id, repository FROM uploads WHERE updated < ?', before)) {
      const session = await this.find(repository, id).catch(() => undefined);
      if (session?.busy === true) continue;
      if (session !== undefined) await this.end(session);
      else this.#metadata.run('DELETE FROM uploads WHERE id = ?', id);
      swept++;
    }
    for (const name of readdirSync(this.#directory)) {
      if (this.#metadata.one('SELECT 1 FROM uploads WHERE id = ?', name) !== undefined) continue;
      const path = join(this.#directory, name);
      const found = await stat(path).catch(() => undefined);
      if (found === undefined || found.mtimeMs >= before) continue;
      await rm(path, { force: true, recursive: true });
      swept++;
    }
    return swept;
  }
}
