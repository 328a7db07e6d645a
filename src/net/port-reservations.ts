import { readFileSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { closeQuietly } from '#sys/descriptors.ts';
import { errnoText } from '#sys/errno.ts';
import { NR, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_STREAM } from '#sys/numbers.ts';
import { syscall } from '#sys/syscalls.ts';
import { ipBytes, tryParseIp } from './ip.ts';

export type Protocol = 'tcp' | 'udp' | 'sctp';

/** A host port that is wanted: any of first..last (0: any free one of the ephemeral range). */
export interface PortWish {
  readonly protocol: Protocol;
  readonly hostIp: string;
  readonly first: number;
  readonly last: number;
  /** `172.17.0.2:80`, for the error. */
  readonly target: string;
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
const isAny = (hostIp: string): boolean => hostIp === '0.0.0.0' || hostIp === '::';
const sameFamily = (a: string, b: string): boolean => a.includes(':') === b.includes(':');

/**
 * The ports that this daemon has published. Each is held by a socket that is bound and does nothing else (no process, no
 * listening: traffic is rewritten by nftables before a socket is looked for), so that other programs get EADDRINUSE, and so do
 * we when they were first.
 */
export class PortReservations {
  readonly #held = new Map<string, PortHold[]>();
  #nextEphemeral = 0;
  #address: { text: string; bytes: Uint8Array } = { text: '', bytes: new Uint8Array() };

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
    const key = `${hold.protocol}:${hold.port}`;
    const holds = this.#held.get(key);
    if (holds === undefined || !holds.includes(hold)) return;
    closeQuietly(hold.descriptor);
    const rest = holds.filter((each) => each !== hold);
    if (rest.length === 0) this.#held.delete(key);
    else this.#held.set(key, rest);
  }

  closeAll(): void {
    for (const holds of this.#held.values()) for (const hold of holds) closeQuietly(hold.descriptor);
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

  /** Of the address asked last: a thousand ports have the same. */
  #bytes(hostIp: string): Uint8Array {
    if (this.#address.text !== hostIp) this.#address = { text: hostIp, bytes: ipBytes(tryParseIp(hostIp)!) };
    return this.#address.bytes;
  }

  #try(wish: PortWish, port: number): PortHold | NaruError {
    const key = `${wish.protocol}:${port}`;
    const holds = this.#held.get(key) ?? [];
    const holder = holds.find((hold) => sameFamily(hold.hostIp, wish.hostIp) && (hold.hostIp === wish.hostIp || isAny(hold.hostIp) || isAny(wish.hostIp)));
    if (holder !== undefined) {
      return new NaruError('conflict', `Bind for ${wish.hostIp}:${port} failed: port is already allocated`, {
        errno: EADDRINUSE, hint: holder.owner === '' ? 'another container of this daemon publishes it: `naru ps` shows which' : `container ${holder.owner} publishes it`,
      });
    }
    const descriptor = bindPort(wish.protocol, this.#bytes(wish.hostIp), port);
    if (descriptor < -1) {
      const what = `failed to bind host port for ${wish.hostIp}:${port}:${wish.target}/${wish.protocol}`;
      return new NaruError('conflict', `${what}: ${errnoText(-descriptor)}`, { errno: -descriptor, hint: bindHint(-descriptor, port) });
    }
    const hold: PortHold = { protocol: wish.protocol, hostIp: wish.hostIp, port, owner: wish.owner, descriptor };
    this.#held.set(key, [...holds, hold]);
    return hold;
  }
}

/** A bound descriptor; -1: no such protocol here; otherwise -errno. */
function bindPort(protocol: Protocol, address: Uint8Array, port: number): number {
  const [type, number] = protocol === 'udp' ? [SOCK_DGRAM, 0] : [SOCK_STREAM, protocol === 'sctp' ? IPPROTO_SCTP : 0];
  const family = address.byteLength === 16 ? AF_INET6 : AF_INET;
  const fd = syscall(NR.socket, family, type | SOCK_CLOEXEC, number);
  if (fd === -EPROTONOSUPPORT || fd === -ESOCKTNOSUPPORT) return -1;
  if (fd < 0) return fd;
  // sockaddr_in, sockaddr_in6: the latter has a flow label before its address
  const name = new Uint8Array(family === AF_INET ? 16 : 28);
  name.set([family, 0, port >> 8, port & 255]);
  name.set(address, family === AF_INET ? 4 : 8);
  if (family === AF_INET6) syscall(NR.setsockopt, fd, IPPROTO_IPV6, IPV6_V6ONLY, new Int32Array([1]), 4);
  let result = syscall(NR.bind, fd, name, name.byteLength);
  if (result === -EADDRINUSE && protocol === 'tcp') {
    // Connections that the port's last owner closed linger for a minute: they are in nobody's way. With SO_REUSEADDR they are overlooked,
    // and so is whoever else binds like that; listening tells, and keeps the port when it ends.
    syscall(NR.setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, new Int32Array([1]), 4);
    result = syscall(NR.bind, fd, name, name.byteLength);
    if (result === 0) result = syscall(NR.listen, fd, 0);
    if (result === 0) syscall(NR.shutdown, fd, SHUT_RD);
    syscall(NR.setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, new Int32Array([0]), 4);
  }
  if (result === 0) return fd;
  closeQuietly(fd);
  return result;
}

function bindHint(errno: number, port: number): string {
  if (errno === EADDRINUSE) return `another program uses it: \`ss -lnp sport = :${port}\` shows which`;
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
