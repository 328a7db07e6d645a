import { chmodSync, chownSync, lstatSync, readFileSync, renameSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import type { FdSocketHandlers } from '#sys/fd-socket.ts';
import { NaruError } from '#spec/errors.ts';
import { type StreamListener, type StreamSocket, type TlsOptions, listenStream } from '#sys/stream-listener.ts';

export interface ListenerSpec {
  /** `unix:///path` or `tcp://host:port` (`[::1]` in brackets; port 0: any). */
  readonly address: string;
  /** For tcp: files in PEM. `verify` demands client certificates that `ca` signed. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly verify: boolean };
  /** tcp without client certificates makes whoever can connect root on this machine: it has to be asked for. */
  readonly insecureTcp?: boolean;
  /** Host names besides addresses and localhost that tcp requests may name. */
  readonly allowedHosts?: readonly string[];
}

export interface OpenListener { readonly address: string; stop(): void }

type Accept = (socket: StreamSocket) => FdSocketHandlers;

export const isTcp = (spec: ListenerSpec): boolean => spec.address.startsWith('tcp://');

/** Errors: conflict (another daemon listens there), forbidden, not-found, with the address named; those of checkListener. */
export async function openListener(spec: ListenerSpec, accept: Accept): Promise<OpenListener> {
  checkListener(spec);
  if (spec.address.startsWith('unix://')) return openUnix(spec.address.slice('unix://'.length), accept);
  const match = TCP_ADDRESS.exec(spec.address)!;
  const host = match[1]!;
  const tls = spec.tls === undefined ? {} : { tls: readTls(spec.tls) };
  const listener = listen(spec.address, () => listenStream({ host: host.replace(/^\[|\]$/g, ''), port: Number(match[2]), ...tls }, accept));
  return { address: `tcp://${host}:${listener.port}`, stop: () => listener.stop() };
}

/** What can be said before anything is made. Throws invalid: unsafe TCP, malformed, a path that is too long. */
export function checkListener({ address, tls, insecureTcp }: ListenerSpec): void {
  if (address.startsWith('unix://')) {
    const path = address.slice('unix://'.length);
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH) throw new NaruError('invalid', `socket path is longer than ${MAX_SOCKET_PATH} bytes: ${path}`);
    return;
  }
  if (!TCP_ADDRESS.test(address)) throw new NaruError('invalid', `cannot listen on ${JSON.stringify(address)}: expected unix:///path or tcp://host:port`);
  if (tls?.verify === true || insecureTcp === true) return;
  throw new NaruError('invalid', `refusing to listen on ${address} without client certificates`, {
    hint: 'whoever can connect would be root on this machine: demand client certificates, or allow it explicitly',
  });
}

const TCP_ADDRESS = /^tcp:\/\/([^/:[\]]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})\/?$/;

function readTls({ ca, cert, key, verify }: NonNullable<ListenerSpec['tls']>): TlsOptions {
  const read = (what: string, path: string | undefined): string => {
    if (path === undefined) throw new NaruError('invalid', `TLS needs a ${what} file`);
    try {
      return readFileSync(path, 'utf8');
    } catch (cause) {
      throw new NaruError('not-found', `cannot read the ${what} file ${path}`, { cause });
    }
  };
  return { cert: read('certificate', cert), key: read('key', key), ...(verify ? { clientAuthority: read('client authority', ca) } : {}) };
}

/** sun_path, without its NUL and the mark of the name under which the socket is bound. */
const MAX_SOCKET_PATH = 106;

/**
 * The socket is bound under a name of its own and renamed when its owner and mode are right: nobody can connect before,
 * and what stopping the listener unlinks is never a successor's socket.
 */
async function openUnix(path: string, accept: Accept): Promise<OpenListener> {
  const address = `unix://${path}`;
  const bound = `${path}~`;
  await removeStale(path);
  await removeStale(bound);
  const mask = process.umask(0o177);
  let listener: StreamListener;
  try {
    listener = listen(address, () => listenStream({ path: bound }, accept));
  } finally {
    process.umask(mask);
  }
  const group = dockerGroup();
  if (group !== undefined && process.getuid?.() === 0) chownSync(bound, 0, group);
  chmodSync(bound, 0o660);
  renameSync(bound, path);
  const inode = inodeOf(path);
  const stop = (): void => {
    listener.stop();
    if (inodeOf(path) === inode) unlinkSync(path); // ours still, not a successor's
  };
  return { address, stop };
}

function listen(address: string, open: () => StreamListener): StreamListener {
  try {
    return open();
  } catch (cause) {
    const code = (cause as { code?: string }).code;
    const kind = code === 'EADDRINUSE' ? 'conflict' : code === 'EACCES' ? 'forbidden' : 'invalid';
    throw new NaruError(kind, `cannot listen on ${address}: ${code ?? (cause as Error).message}`, { cause });
  }
}

/** A socket file that nobody answers on is a dead daemon's. */
async function removeStale(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) throw new NaruError('conflict', `${path} exists and is not a socket`);
  if (await answers(path)) throw new NaruError('conflict', `another daemon listens on ${path}`);
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = connect(path);
  probe.once('connect', () => {
    probe.destroy();
    resolve(true);
  });
  probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'));
  return promise;
}

const inodeOf = (path: string): number | undefined => lstatSync(path, { throwIfNoEntry: false })?.ino;

function dockerGroup(): number | undefined {
  let text: string;
  try {
    text = readFileSync('/etc/group', 'utf8');
  } catch {
    return undefined;
  }
  const match = /^docker:[^:]*:([0-9]+):/m.exec(text);
  return match === null ? undefined : Number(match[1]);
}
