import { readFileSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { closeQuietly } from '#sys/descriptors.ts';
import { errnoText } from '#sys/errno.ts';
import { NR, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_STREAM } from '#sys/numbers.ts';
import { pointerOf, rawSyscall, syscall } from '#sys/syscalls.ts';
import { ipBytes, tryParseIp } from './ip.ts';
import { portHolder } from './port-holder.ts';
import type { Protocol } from './published-ports.ts';

/** A host port that is wanted: any of first..last (0: any free one of the ephemeral range). */
export interface PortWish {
  readonly protocol: Protocol;
  readonly hostIp: string;
  readonly first: number;
  readonly last: number;
  /** The container's, for the error: `172.17.0.2` and 80. */
  readonly target: { readonly address: string; readonly port: number };
  /** Who wants it, for the error of the next one. */
  readonly owner: string;
}

/** A host port that is held: no other program can bind it while this is so. */
export interface PortHold {
  readonly protocol: Protocol;
  readonly hostIp: string;
  readonly port: number;
  readonly owner: string;
  /** -1: the kernel does not know the protocol; then only we know. */
  readonly descriptor: number;
}

const AF_INET = 2, AF_INET6 = 10, IPPROTO_SCTP = 132, IPPROTO_IPV6 = 41, IPV6_V6ONLY = 26, SOL_SOCKET = 1, SO_REUSEADDR = 2, SHUT_RD = 0;
const EMFILE = 24, ENFILE = 23, EPROTONOSUPPORT = 93, ESOCKTNOSUPPORT = 94, EADDRINUSE = 98;
const PROTOCOL_KEY: Readonly<Record<Protocol, number>> = { tcp: 0, udp: 1, sctp: 2 };
const isAny = (hostIp: string): boolean => hostIp === '0.0.0.0' || hostIp === '::';
const sameFamily = (a: string, b: string): boolean => a.includes(':') === b.includes(':');

/**
 * The ports that this daemon has published. Each is held by a socket that is bound and does nothing else (no process, no
 * listening: traffic is rewritten by nftables before a socket is looked for), so that other programs get EADDRINUSE, and so do
 * we when they were first.
 */
export class PortReservations {
  /** By protocol and port. Mostly one holds a number: a list is for several addresses. A thousand ports are taken one by one while a
   *  container waits for its start, so nothing is made here that is not kept. */
  readonly #held = new Map<number, PortHold | PortHold[]>();
  #nextEphemeral = 0;
  /** Of the address asked last: a thousand ports have the same. */
  #name = new SocketName('0.0.0.0');

  /** Throws conflict, in Docker's words, when no port of the wish is free. */
  take(wish: PortWish): PortHold {
    if (wish.first === 0) return this.#takeEphemeral(wish);
    let failure: NaruError | undefined;
    for (let port = wish.first; port <= Math.max(wish.first, wish.last); port++) {
      const result = this.#try(wish, port);
      if (!(result instanceof NaruError)) return result;
      failure = result;
    }
    throw failure;
  }

  give(hold: PortHold): void {
    const key = keyOf(hold.protocol, hold.port);
    const held = this.#held.get(key);
    if (held === hold) this.#held.delete(key);
    else if (Array.isArray(held) && held.includes(hold)) this.#held.set(key, held.filter((each) => each !== hold));
    else return;
    closeQuietly(hold.descriptor);
  }

  closeAll(): void {
    for (const held of this.#held.values()) for (const { descriptor } of asList(held)) closeQuietly(descriptor);
    this.#held.clear();
  }

  #takeEphemeral(wish: PortWish): PortHold {
    const [low, high] = ephemeralRange();
    const size = high - low + 1;
    for (let tried = 0; tried < size; tried++) {
      const port = low + ((Math.max(this.#nextEphemeral - low, 0) + tried) % size);
      const result = this.#try(wish, port);
      if (result instanceof NaruError) {
        if (result.errno === EADDRINUSE) continue;
        throw result;
      }
      this.#nextEphemeral = port + 1 > high ? low : port + 1;
      return result;
    }
    throw new NaruError('conflict', `all ports are allocated: none of ${low}-${high} is free for ${wish.hostIp} (${wish.protocol})`);
  }

  #try(wish: PortWish, port: number): PortHold | NaruError {
    const { protocol, hostIp, owner } = wish;
    const key = keyOf(protocol, port);
    const held = this.#held.get(key);
    const holder = held === undefined ? undefined : asList(held).find((hold) => sameFamily(hold.hostIp, hostIp) && (hold.hostIp === hostIp || isAny(hold.hostIp) || isAny(hostIp)));
    if (holder !== undefined) {
      return new NaruError('conflict', `Bind for ${hostIp}:${port} failed: port is already allocated`, {
        errno: EADDRINUSE, hint: holder.owner === '' ? 'another container of this daemon publishes it: `naru ps` shows which' : `container ${holder.owner} publishes it`,
      });
    }
    if (this.#name.hostIp !== hostIp) this.#name = new SocketName(hostIp);
    const descriptor = bindPort(protocol, this.#name, port);
    if (descriptor < -1) {
      const { address, port: containerPort } = wish.target;
      const what = `failed to bind host port for ${hostIp}:${port}:${address.includes(':') ? `[${address}]` : address}:${containerPort}/${protocol}`;
      return new NaruError('conflict', `${what}: ${errnoText(-descriptor)}`, { errno: -descriptor, hint: bindHint(-descriptor, wish.protocol, port) });
    }
    const hold: PortHold = { protocol, hostIp, port, owner, descriptor };
    this.#held.set(key, held === undefined ? hold : [...asList(held), hold]);
    return hold;
  }
}

const keyOf = (protocol: Protocol, port: number): number => PROTOCOL_KEY[protocol] * 65536 + port;
const asList = (held: PortHold | PortHold[]): readonly PortHold[] => (Array.isArray(held) ? held : [held]);

/** sockaddr_in, sockaddr_in6 of one address, for every port: the latter has a flow label before its address. */
class SocketName {
  readonly hostIp: string;
  readonly family: number;
  readonly bytes: Uint8Array;
  readonly pointer: number;

  constructor(hostIp: string) {
    const address = ipBytes(tryParseIp(hostIp)!);
    this.hostIp = hostIp;
    this.family = address.byteLength === 16 ? AF_INET6 : AF_INET;
    this.bytes = new Uint8Array(this.family === AF_INET ? 16 : 28);
    this.bytes[0] = this.family;
    this.bytes.set(address, this.family === AF_INET ? 4 : 8);
    this.pointer = pointerOf(this.bytes);
  }
}

/** A bound descriptor; -1: no such protocol here; otherwise -errno. */
function bindPort(protocol: Protocol, name: SocketName, port: number): number {
  const fd = rawSyscall(NR.socket, name.family, (protocol === 'udp' ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, protocol === 'sctp' ? IPPROTO_SCTP : 0, 0, 0, 0);
  if (fd === -EPROTONOSUPPORT || fd === -ESOCKTNOSUPPORT) return -1;
  if (fd < 0) return fd;
  name.bytes[2] = port >> 8;
  name.bytes[3] = port & 255;
  if (name.family === AF_INET6) syscall(NR.setsockopt, fd, IPPROTO_IPV6, IPV6_V6ONLY, new Int32Array([1]), 4);
  const bind = (): number => rawSyscall(NR.bind, fd, name.pointer, name.bytes.byteLength, 0, 0, 0);
  let result = bind();
  if (result === -EADDRINUSE && protocol === 'tcp') {
    // Connections that the port's last owner closed linger for a minute: they are in nobody's way. With SO_REUSEADDR they are overlooked,
    // and so is whoever else binds like that; listening tells, and keeps the port when it ends.
    syscall(NR.setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, new Int32Array([1]), 4);
    result = bind();
    if (result === 0) result = syscall(NR.listen, fd, 0);
    if (result === 0) syscall(NR.shutdown, fd, SHUT_RD);
    syscall(NR.setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, new Int32Array([0]), 4);
  }
  if (result === 0) return fd;
  closeQuietly(fd);
  return result;
}

function bindHint(errno: number, protocol: Protocol, port: number): string {
  if (errno === EADDRINUSE) {
    const holder = portHolder(protocol, port);
    return holder === undefined ? `another program uses it: \`ss -lnp sport = :${port}\` shows which` : `${holder} uses it`;
  }
  if (errno === EMFILE || errno === ENFILE) return 'the daemon holds a descriptor for each published port: raise its limit of open files';
  return 'the address must be one of this host\'s';
}

function ephemeralRange(): [number, number] {
  try {
    const [low, high] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/).map(Number);
    if (low !== undefined && high !== undefined && low > 0 && high >= low) return [low, high];
  } catch {
    // no procfs: the kernel's default
  }
  return [32768, 60999];
}
