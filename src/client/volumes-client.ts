import type * as A from '#spec/engine-api.ts';
import type { EngineTransport } from './engine-transport.ts';
import { filterQuery } from './query.ts';

/** `/volumes`. */
export class VolumesClient {
  readonly #engine: EngineTransport;
  constructor(engine: EngineTransport) {
    this.#engine = engine;
  }

  create(request: A.VolumeCreateRequest): Promise<A.Volume> {
    return this.#engine.json('POST', '/volumes/create', { json: request });
  }

  list(filters?: A.Filters): Promise<{ Volumes: A.Volume[] | null; Warnings: string[] | null }> {
    return this.#engine.json('GET', '/volumes', { query: { filters: filterQuery(filters) } });
  }

  inspect(name: string): Promise<A.Volume> {
    return this.#engine.json('GET', at(name));
  }

  inspectText(name: string): Promise<string> {
    return this.#engine.text('GET', at(name));
  }

  async remove(name: string, options: { force?: boolean } = {}): Promise<void> {
    await this.#engine.done('DELETE', at(name), { query: { force: options.force } });
  }

  prune(filters?: A.Filters): Promise<A.PruneReport> {
    return this.#engine.json('POST', '/volumes/prune', { query: { filters: filterQuery(filters) } });
  }
}

const at = (name: string): string => `/volumes/${encodeURIComponent(name)}`;
