import type * as A from '#spec/engine-api.ts';
import type { RawStream } from './connection.ts';
import type { EngineTransport } from './engine-transport.ts';

/** `/exec`. */
export class ExecClient {
  readonly #engine: EngineTransport;
  constructor(engine: EngineTransport) {
    this.#engine = engine;
  }

  create(container: string, config: A.ExecConfig): Promise<{ Id: string }> {
    return this.#engine.json('POST', `/containers/${encodeURIComponent(container)}/exec`, { json: config });
  }

  async startDetached(id: string, options: A.ExecStart = {}): Promise<void> {
    await this.#engine.done('POST', `/exec/${id}/start`, { json: { ...options, Detach: true } });
  }

  async startAttached(id: string, options: A.ExecStart = {}): Promise<RawStream> {
    return (await this.#engine.hijack(`/exec/${id}/start`, { json: { Detach: false, ...options } })).stream;
  }

  async resize(id: string, rows: number, columns: number): Promise<void> {
    await this.#engine.done('POST', `/exec/${id}/resize`, { query: { h: rows, w: columns } });
  }

  inspect(id: string): Promise<A.ExecInspect> {
    return this.#engine.json('GET', `/exec/${id}/json`);
  }
}
