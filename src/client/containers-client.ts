import type * as A from '#spec/engine-api.ts';
import type { ByteStream } from './byte-stream.ts';
import type { RawStream } from './connection.ts';
import { isOlder, type EngineTransport } from './engine-transport.ts';
import { filterQuery } from './query.ts';

export interface CreateContainerOptions { readonly name?: string; readonly platform?: string }
export interface ListContainersOptions { readonly all?: boolean; readonly limit?: number; readonly size?: boolean; readonly filters?: A.Filters }
export interface AttachOptions { readonly stdin?: boolean; readonly stdout?: boolean; readonly stderr?: boolean; readonly stream?: boolean; readonly logs?: boolean; readonly detachKeys?: string }
export interface StopOptions { readonly signal?: string; readonly timeout?: number }
export interface LogOptions {
  readonly stdout?: boolean; readonly stderr?: boolean; readonly follow?: boolean; readonly timestamps?: boolean; readonly details?: boolean;
  readonly since?: string; readonly until?: string; readonly tail?: string;
}
export interface CommitOptions { readonly repo?: string; readonly tag?: string; readonly comment?: string; readonly author?: string; readonly pause?: boolean; readonly changes?: readonly string[] }
export type WaitCondition = 'not-running' | 'next-exit' | 'removed';

/** `/containers`. */
export class ContainersClient {
  readonly #engine: EngineTransport;
  constructor(engine: EngineTransport) {
    this.#engine = engine;
  }

  create(request: A.ContainerCreateRequest, options: CreateContainerOptions = {}): Promise<A.ContainerCreateResponse> {
    return this.#engine.json('POST', '/containers/create', { query: { name: options.name, platform: options.platform }, json: request });
  }

  list(options: ListContainersOptions = {}): Promise<A.ContainerSummary[]> {
    return this.#engine.json('GET', '/containers/json', { query: { all: options.all, limit: options.limit, size: options.size, filters: filterQuery(options.filters) } });
  }

  inspect(name: string, options: { size?: boolean } = {}): Promise<A.ContainerInspect> {
    return this.#engine.json('GET', `${at(name)}/json`, { query: { size: options.size } });
  }

  inspectText(name: string, options: { size?: boolean } = {}): Promise<string> {
    return this.#engine.text('GET', `${at(name)}/json`, { query: { size: options.size } });
  }

  /** False when it was running already. */
  async start(name: string, options: { detachKeys?: string; checkpoint?: string; checkpointDir?: string } = {}): Promise<boolean> {
    const answer = await this.#engine.call('POST', `${at(name)}/start`, { query: { detachKeys: options.detachKeys, checkpoint: options.checkpoint, 'checkpoint-dir': options.checkpointDir } });
    await answer.body.collect();
    return answer.status !== 304;
  }

  async stop(name: string, options: StopOptions = {}): Promise<void> {
    await this.#engine.done('POST', `${at(name)}/stop`, { query: { signal: options.signal, t: options.timeout } });
  }

  async restart(name: string, options: StopOptions = {}): Promise<void> {
    await this.#engine.done('POST', `${at(name)}/restart`, { query: { signal: options.signal, t: options.timeout } });
  }

  async kill(name: string, signal?: string): Promise<void> {
    await this.#engine.done('POST', `${at(name)}/kill`, { query: { signal } });
  }

  async pause(name: string): Promise<void> {
    await this.#engine.done('POST', `${at(name)}/pause`);
  }

  async unpause(name: string): Promise<void> {
    await this.#engine.done('POST', `${at(name)}/unpause`);
  }

  async rename(name: string, to: string): Promise<void> {
    await this.#engine.done('POST', `${at(name)}/rename`, { query: { name: to } });
  }

  update(name: string, change: A.Resources & { RestartPolicy?: A.RestartPolicy }): Promise<{ Warnings: string[] | null }> {
    return this.#engine.json('POST', `${at(name)}/update`, { json: change });
  }

  async remove(name: string, options: { force?: boolean; volumes?: boolean; link?: boolean } = {}): Promise<void> {
    // A link has two parts: /CONTAINER/ALIAS.
    await this.#engine.done('DELETE', name.split('/').map((part, i) => (i === 0 ? at(part) : encodeURIComponent(part))).join('/'), { query: { force: options.force, v: options.volumes, link: options.link } });
  }

  /** Resolves when the daemon has registered the wait; `done` with the exit. */
  async wait(name: string, condition: WaitCondition | '' = '', signal?: AbortSignal): Promise<{ done: Promise<A.WaitResponse> }> {
    const answer = await this.#engine.call('POST', `${at(name)}/wait`, { query: { condition: condition === '' ? undefined : condition }, ...(signal === undefined ? {} : { signal }) });
    const done = answer.body.text().then((text) => JSON.parse(text) as A.WaitResponse);
    done.catch(() => {}); // whoever awaits it hears of it; nobody may
    return { done };
  }

  async resize(name: string, rows: number, columns: number): Promise<void> {
    await this.#engine.done('POST', `${at(name)}/resize`, { query: { h: rows, w: columns } });
  }

  /** The raw connection. Without a tty it carries frames (`demultiplex`). */
  async attach(name: string, options: AttachOptions): Promise<RawStream> {
    const { stdin, stdout, stderr, stream, logs, detachKeys } = options;
    return (await this.#engine.hijack(`${at(name)}/attach`, { query: { stdin, stdout, stderr, stream, logs, detachKeys: detachKeys === '' ? undefined : detachKeys } })).stream;
  }

  /** `framed`: for `demultiplex`; undefined when an old daemon does not say: it is when the container has no tty. */
  async logs(name: string, options: LogOptions): Promise<{ framed: boolean | undefined; body: ByteStream }> {
    const { stdout, stderr, follow, timestamps, details, since, until, tail } = options;
    const answer = await this.#engine.call('GET', `${at(name)}/logs`, { query: { stdout, stderr, follow, timestamps, details, since, until, tail } });
    const type = answer.headers.get('content-type');
    const said = !isOlder(this.#engine.version, '1.42') && type !== undefined;
    return { framed: said ? type === 'application/vnd.docker.multiplexed-stream' : undefined, body: answer.body };
  }

  top(name: string, psArgs: string): Promise<A.TopResponse> {
    return this.#engine.json('GET', `${at(name)}/top`, { query: { ps_args: psArgs === '' ? undefined : psArgs } });
  }

  async changes(name: string): Promise<A.FilesystemChange[]> {
    return (await this.#engine.json<A.FilesystemChange[] | null>('GET', `${at(name)}/changes`)) ?? [];
  }

  stats(name: string, options: { stream: boolean; oneShot?: boolean }, signal?: AbortSignal): AsyncGenerator<A.StatsSample, void> {
    return this.#engine.stream('GET', `${at(name)}/stats`, { query: { stream: options.stream ? '1' : '0', 'one-shot': options.oneShot }, ...(signal === undefined ? {} : { signal }) });
  }

  async export(name: string): Promise<ByteStream> {
    return (await this.#engine.call('GET', `${at(name)}/export`)).body;
  }

  async statPath(name: string, path: string): Promise<A.PathStat> {
    const answer = await this.#engine.call('HEAD', `${at(name)}/archive`, { query: { path } });
    return parseStat(answer.headers);
  }

  async getArchive(name: string, path: string): Promise<{ stat: A.PathStat; archive: ByteStream }> {
    const answer = await this.#engine.call('GET', `${at(name)}/archive`, { query: { path } });
    return { stat: parseStat(answer.headers), archive: answer.body };
  }

  async putArchive(name: string, path: string, archive: AsyncIterable<Uint8Array>, options: { noOverwriteDirNonDir?: boolean; copyUidGid?: boolean } = {}): Promise<void> {
    await this.#engine.done('PUT', `${at(name)}/archive`, {
      query: { path, noOverwriteDirNonDir: options.noOverwriteDirNonDir === true ? 'true' : undefined, copyUIDGID: options.copyUidGid === true ? 'true' : undefined },
      raw: archive, contentType: 'application/x-tar',
    });
  }

  prune(filters?: A.Filters): Promise<A.PruneReport> {
    return this.#engine.json('POST', '/containers/prune', { query: { filters: filterQuery(filters) } });
  }

  commit(name: string, options: CommitOptions, config?: A.ContainerConfig): Promise<{ Id: string }> {
    return this.#engine.json('POST', '/commit', {
      query: { container: name, repo: options.repo, tag: options.tag, comment: options.comment, author: options.author, changes: options.changes, pause: options.pause === false ? '0' : undefined },
      ...(config === undefined ? {} : { json: config }),
    });
  }
}

const at = (name: string): string => `/containers/${encodeURIComponent(name)}`;

function parseStat(headers: ReadonlyMap<string, string>): A.PathStat {
  const text = headers.get('x-docker-container-path-stat');
  if (text === undefined) throw new Error('the daemon sent no path stat');
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes)) as A.PathStat;
}
