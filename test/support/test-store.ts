import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '#core/open-store.ts';
import type { ImageRecord, Store } from '#core/store.ts';
import { streamOf } from './image-archive.ts';

/** A store of its own in a temporary directory. */
export class TestStore {
  readonly scratch: string;
  readonly dataRoot: string;
  store: Store;

  constructor(scratch: string, store: Store) {
    this.scratch = scratch;
    this.dataRoot = join(scratch, 'data');
    this.store = store;
  }

  static async open(): Promise<TestStore> {
    const scratch = mkdtempSync(join(tmpdir(), 'naru-store.'));
    return new TestStore(scratch, await openStore(join(scratch, 'data'), []));
  }

  async reopen(): Promise<void> {
    this.store.close();
    this.store = await openStore(this.dataRoot, []);
  }

  /** Loads an archive; the last image it brought. */
  async load(archive: Uint8Array): Promise<ImageRecord> {
    let image: ImageRecord | undefined;
    for await (const event of this.store.images.load(streamOf(archive), new AbortController().signal)) {
      if (event.kind === 'image') image = this.store.images.get(event.id);
    }
    assert.ok(image !== undefined);
    return image;
  }

  /** The one layer directory of an image. */
  layerOf(image: ImageRecord): string {
    const probe = `probe-${Math.random().toString(36).slice(2)}`;
    const mount = this.store.snapshots.create(probe, { image: image.id }, { durable: false });
    void this.store.snapshots.remove(probe);
    return mount.lowers[0]!;
  }

  /** What lies in the data root besides the database: relative paths of the first two levels. */
  leftovers(): string[] {
    const found: string[] = [];
    for (const directory of ['incoming', 'layers', 'recipes', 'snapshots', 'trash', 'blobs/sha256']) {
      for (const name of readdirSync(join(this.dataRoot, directory))) found.push(`${directory}/${name}`);
    }
    return found;
  }

  /** Removes every image, and demands that nothing is left of them. */
  async empty(): Promise<void> {
    // What a failed test left must not fail those after it.
    for (const { id } of this.store.db.sql('SELECT id FROM snapshots').all() as { id: string }[]) await this.store.snapshots.remove(id);
    for (const image of this.store.images.list()) this.store.images.delete(image.id);
    for (let i = 0; i < 500 && this.leftovers().length > 0; i++) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(this.leftovers(), []);
  }

  destroy(): void {
    this.store.close();
    rmSync(this.scratch, { recursive: true, force: true });
  }
}
