import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { HostAddress } from './host-address.ts';
import { SILENT_LISTENER, type Wire } from './wire.ts';

/** TLS material, PEM. `verify` false accepts any server certificate (Docker's `--tls`). */
export interface TlsOptions { readonly ca?: Uint8Array; readonly cert?: Uint8Array; readonly key?: Uint8Array; readonly verify: boolean }

/** A wire over node:net or node:tls. */
export async function dialNode(address: Exclude<HostAddress, { kind: 'ssh' }>, tls: TlsOptions | undefined): Promise<Wire> {
  if (tls !== undefined && address.kind === 'tcp') return wireOverDuplex(await connectTls(address, tls));
  const socket = address.kind === 'unix' ? connect({ path: address.path, allowHalfOpen: true }) : connect({ host: address.host, port: address.port, allowHalfOpen: true, noDelay: true, keepAlive: true });
  await opened(socket, 'connect');
  return wireOverDuplex(socket);
}

async function connectTls(address: { host: string; port: number }, tls: TlsOptions): Promise<Duplex> {
  const { connect: connectSecure } = await import('node:tls');
  const pem = (bytes: Uint8Array | undefined): Buffer | undefined => (bytes === undefined ? undefined : Buffer.from(bytes));
  const socket = connectSecure({
    host: address.host, port: address.port, servername: /^[\d.:]+$/.test(address.host) ? undefined : address.host,
    ca: pem(tls.ca), cert: pem(tls.cert), key: pem(tls.key), rejectUnauthorized: tls.verify, allowHalfOpen: true, ALPNProtocols: ['http/1.1'],
  } as Parameters<typeof connectSecure>[0]);
  await opened(socket, 'secureConnect');
  return socket;
}

function opened(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once(event, () => {
      socket.off('error', reject);
      resolve();
    });
  });
}

/** Makes a wire of any Node duplex stream. */
export function wireOverDuplex(stream: Duplex): Wire {
  let last = false;
  const wire: Wire = {
    listener: SILENT_LISTENER,
    write: (bytes) => stream.write(bytes),
    end: () => void stream.end(),
    destroy() {
      last = true;
      stream.destroy();
    },
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
  };
  const finish = (error?: Error): void => {
    if (last) return;
    last = true;
    if (error === undefined) wire.listener.end();
    else wire.listener.error(error);
  };
  stream.on('data', (chunk: Uint8Array) => wire.listener.data(chunk));
  stream.on('drain', () => wire.listener.drain());
  stream.on('end', () => finish());
  stream.on('error', (error) => finish(error));
  stream.on('close', () => finish());
  return wire;
}
