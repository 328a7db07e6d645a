import type * as A from '#spec/engine-api.ts';
import type { DnsReport } from '#spec/naru-api.ts';
import type { EngineTransport } from './engine-transport.ts';
import { filterQuery } from './query.ts';

export interface NetworkCreateRequest {
  readonly Name: string; readonly Driver?: string; readonly Scope?: string; readonly EnableIPv4?: boolean; readonly EnableIPv6?: boolean;
  readonly IPAM?: { Driver: string; Options: A.StringMap; Config: { Subnet?: string; IPRange?: string; Gateway?: string; AuxiliaryAddresses?: A.StringMap }[] };
  readonly Internal?: boolean; readonly Attachable?: boolean; readonly Ingress?: boolean; readonly ConfigOnly?: boolean;
  readonly ConfigFrom?: { Network: string } | null; readonly Options?: A.StringMap; readonly Labels?: A.StringMap;
}

/** `/networks`. */
export class NetworksClient {
  readonly #engine: EngineTransport;
  constructor(engine: EngineTransport) {
    this.#engine = engine;
  }

  create(request: NetworkCreateRequest): Promise<{ Id: string; Warning: string }> {
    return this.#engine.json('POST', '/networks/create', { json: request });
  }

  list(filters?: A.Filters): Promise<A.NetworkInspect[]> {
    return this.#engine.json('GET', '/networks', { query: { filters: filterQuery(filters) } });
  }

  inspect(name: string, options: { verbose?: boolean } = {}): Promise<A.NetworkInspect> {
    return this.#engine.json('GET', at(name), { query: { verbose: options.verbose === true ? 'true' : undefined } });
  }

  inspectText(name: string, options: { verbose?: boolean } = {}): Promise<string> {
    return this.#engine.text('GET', at(name), { query: { verbose: options.verbose === true ? 'true' : undefined } });
  }

  async connect(name: string, container: string, endpoint: A.EndpointSettings): Promise<void> {
    await this.#engine.done('POST', `${at(name)}/connect`, { json: { Container: container, EndpointConfig: endpoint } });
  }

  async disconnect(name: string, container: string, options: { force?: boolean } = {}): Promise<void> {
    await this.#engine.done('POST', `${at(name)}/disconnect`, { json: { Container: container, Force: options.force === true } });
  }

  async remove(name: string): Promise<void> {
    await this.#engine.done('DELETE', at(name));
  }

  /** Of naru alone. */
  dns(): Promise<DnsReport> {
    return this.#engine.json('GET', '/naru/network/dns');
  }

  prune(filters?: A.Filters): Promise<A.PruneReport> {
    return this.#engine.json('POST', '/networks/prune', { query: { filters: filterQuery(filters) } });
  }
}

const at = (name: string): string => `/networks/${encodeURIComponent(name)}`;
