import { openSync } from 'node:fs';
import { closeQuietly } from './descriptors.ts';
import { AF_INET, AF_INET6, AF_UNIX, CLONE_NEWNET, MSG_DONTWAIT, MSG_NOSIGNAL, NR, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_SEQPACKET } from './numbers.ts';
import { check, cstring, pointerOf, rawSyscall, syscall } from './syscalls.ts';

/** Sockets by their descriptors, for a process that has an event loop of its own. Nothing here waits. */
const SOL_SOCKET = 1, SCM_RIGHTS = 1, SO_ERROR = 4, SO_PEERCRED = 17, MSG_CMSG_CLOEXEC = 0x40000000, MSG_CTRUNC = 8;
const SIOCGSKNS = 0x894c;
const MAX_DESCRIPTORS = 4;

/** A non-blocking socket of the calling thread's network namespace, or -errno. */
export const openSocket = (family: number, type: number): number => syscall(NR.socket, family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

/** sockaddr_in or sockaddr_in6 of bytes in network order. */
export function socketAddress(address: Uint8Array, port: number, scope = 0): Uint8Array {
  const v4 = address.byteLength === 4;
  const bytes = new Uint8Array(v4 ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, v4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, port, false);
  bytes.set(address, v4 ? 4 : 8);
  if (!v4) view.setUint32(24, scope, true);
  return bytes;
}

export const connectSocket = (fd: number, address: Uint8Array): number => syscall(NR.connect, fd, address, address.byteLength);

/** A SEQPACKET connection (non-blocking) to a unix socket, or -errno; never waits for room in its queue. */
export function connectNow(path: string): number {
  const fd = syscall(NR.socket, AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fd;
  const name = cstring(path);
  const address = new Uint8Array(2 + name.byteLength);
  address[0] = AF_UNIX;
  address.set(name, 2);
  const result = syscall(NR.connect, fd, address, address.byteLength);
  if (result >= 0) return fd;
  closeQuietly(fd);
  return result;
}

/** A bound socket (non-blocking) of the calling thread's network namespace; with a backlog it listens. Throws. */
export function boundSocket({ family, type, address, backlog }: { family: number; type: number; address: Uint8Array; backlog: number }): number {
  const fd = check(openSocket(family, type), 'socket');
  try {
    check(syscall(NR.bind, fd, address, address.byteLength), 'bind');
    if (backlog > 0) check(syscall(NR.listen, fd, backlog), 'listen');
    return fd;
  } catch (error) {
    closeQuietly(fd);
    throw error;
  }
}

/** The descriptor of a new connection (non-blocking), or -errno. */
export const acceptConnection = (fd: number): number => syscall(NR.accept4, fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);

/** Bytes read, or -errno; 0 at the end of a stream. */
export const receiveBytes = (fd: number, into: Uint8Array): number => syscall(NR.recvfrom, fd, into, into.byteLength, MSG_DONTWAIT, null, null);

/** Bytes taken, or -errno. */
export const sendBytes = (fd: number, bytes: Uint8Array): number => syscall(NR.sendto, fd, bytes, bytes.byteLength, MSG_DONTWAIT | MSG_NOSIGNAL, null, 0);

/** One datagram to a sockaddr. Bytes taken, or -errno. */
export const sendBytesTo = (fd: number, bytes: Uint8Array, address: Uint8Array): number =>
  syscall(NR.sendto, fd, bytes, bytes.byteLength, MSG_DONTWAIT | MSG_NOSIGNAL, address, address.byteLength);

/** What became of a connect(2) that was under way: 0, or an errno. */
export function socketError(fd: number): number {
  const value = new Int32Array(1);
  const result = syscall(NR.getsockopt, fd, SOL_SOCKET, SO_ERROR, value, new Int32Array([4]));
  return result < 0 ? -result : value[0]!;
}

/** The process that connected a unix socket, by its number in our own pid namespace; 0: it is in none that we can see. */
export function peerProcess(fd: number): number {
  const credentials = new Int32Array(3);
  return syscall(NR.getsockopt, fd, SOL_SOCKET, SO_PEERCRED, credentials, new Int32Array([12])) < 0 ? 0 : credentials[0]!;
}

/** Local port of an IPv4 socket. */
export function localPort(fd: number): number {
  const address = new Uint8Array(16);
  check(syscall(NR.getsockname, fd, address, new Int32Array([16])), 'getsockname');
  return new DataView(address.buffer).getUint16(2, false);
}

/** A descriptor of the network namespace that a socket lives in, or -errno. */
export const namespaceOfSocket = (fd: number): number => syscall(NR.ioctl, fd, SIOCGSKNS, 0);

/** One message with the descriptors that came along (the caller owns them); undefined: nothing there yet; `bytes` empty: the peer has gone. */
export function receiveMessage(fd: number, buffer: Uint8Array): { bytes: Uint8Array; descriptors: number[] } | undefined {
  const control = new Uint8Array(16 + 4 * MAX_DESCRIPTORS + 8);
  const vector = new BigUint64Array([BigInt(pointerOf(buffer)), BigInt(buffer.byteLength)]);
  const header = new BigUint64Array([0n, 0n, BigInt(pointerOf(new Uint8Array(vector.buffer))), 1n, BigInt(pointerOf(control)), BigInt(control.byteLength), 0n]);
  const result = syscall(NR.recvmsg, fd, header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (result === -11 || result === -4) return undefined;
  const descriptors: number[] = [];
  const view = new DataView(control.buffer);
  const length = Number(header[5]) >= 16 ? Number(view.getBigUint64(0, true)) : 0;
  if (result >= 0 && length >= 20 && view.getInt32(8, true) === SOL_SOCKET && view.getInt32(12, true) === SCM_RIGHTS) {
    for (let at = 16; at + 4 <= length; at += 4) descriptors.push(view.getInt32(at, true));
  }
  if (result < 0 || (Number(header[6] ?? 0n) & MSG_CTRUNC) !== 0) {
    for (const each of descriptors) closeQuietly(each);
    return { bytes: new Uint8Array(0), descriptors: [] };
  }
  // The buffers must outlive the call: touching them here keeps them reachable.
  return { bytes: buffer.slice(0, result + 0 * vector.byteLength), descriptors };
}

/** Enters other network namespaces for a moment, and comes back. For a thread that does nothing else meanwhile. */
export class NamespaceVisitor {
  readonly #home = openSync('/proc/thread-self/ns/net', 'r');

  within<T>(namespaceFd: number, work: () => T): T {
    check(rawSyscall(NR.setns, namespaceFd, CLONE_NEWNET, 0, 0, 0, 0), 'enter a container\'s network namespace');
    try {
      return work();
    } finally {
      check(rawSyscall(NR.setns, this.#home, CLONE_NEWNET, 0, 0, 0, 0), 'come back from a container\'s network namespace');
    }
  }
}
