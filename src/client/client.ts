import { ContainersClient } from './containers-client.ts';
import { dialer } from './dial.ts';
import type { TlsOptions } from './dial-node.ts';
import { EngineTransport } from './engine-transport.ts';
import { ExecClient } from './exec-client.ts';
import { parseHostAddress } from './host-address.ts';
import { ImagesClient } from './images-client.ts';
import { NetworksClient } from './networks-client.ts';
import { SystemClient } from './system-client.ts';
import { Transport } from './transport.ts';
import { VolumesClient } from './volumes-client.ts';

export interface ClientOptions {
  /** Docker's `-H` syntax: `unix:///run/naru/naru.sock`, `tcp://host:2376`, `ssh://user@host`. */
  readonly host: string;
  readonly tls?: TlsOptions;
  /** Pins the API version; left out, it is negotiated when a daemon finds the newest too new. */
  readonly apiVersion?: string;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Called once when nothing answers there; resolve true after having started a daemon. */
  readonly onUnreachable?: () => Promise<boolean>;
}

/** The Engine API, typed. Close it to let the process end. */
export interface Client {
  readonly host: string;
  readonly containers: ContainersClient;
  readonly exec: ExecClient;
  readonly images: ImagesClient;
  readonly volumes: VolumesClient;
  readonly networks: NetworksClient;
  readonly system: SystemClient;
  /** The API version in use so far. */
  readonly apiVersion: string;
  /** For requests that have no method here. */
  readonly engine: EngineTransport;
  /** Opens a connection ahead of need. */
  warm(): Promise<void>;
  close(): void;
}

/** A client of the daemon at `options.host`. Nothing is opened before the first call. */
export function createClient(options: ClientOptions): Client {
  const address = parseHostAddress(options.host, options.tls !== undefined);
  const transport = new Transport({
    dial: dialer(address, options.tls),
    hostName: options.host,
    ...(options.headers === undefined ? {} : { headers: options.headers }),
    ...(options.onUnreachable === undefined ? {} : { onUnreachable: options.onUnreachable }),
  });
  const engine = new EngineTransport(transport, options.apiVersion);
  return {
    host: options.host,
    containers: new ContainersClient(engine),
    exec: new ExecClient(engine),
    images: new ImagesClient(engine),
    volumes: new VolumesClient(engine),
    networks: new NetworksClient(engine),
    system: new SystemClient(engine),
    get apiVersion() { return engine.version; },
    engine,
    warm: () => transport.warm(),
    close: () => transport.close(),
  };
}
