import { closeSync } from 'node:fs';
import {
  AF_UNIX, AT_FDCWD, F_ADD_SEALS, F_DUPFD_CLOEXEC, F_GETFL, F_SEAL_ALL, F_SETFL, MFD_ALLOW_SEALING, MFD_CLOEXEC,
  MSG_NOSIGNAL, NR, O_CLOEXEC, SIOCOUTQ, O_NONBLOCK, SOCK_CLOEXEC, SOCK_SEQPACKET, SOCK_STREAM,
} from './numbers.ts';
import { NaruError } from '#spec/errors.ts';
import { ERRNO } from './errno.ts';
import { check, cstring, pointerOf, rawSyscall, syscall } from './syscalls.ts';

/** openat2(2): throws an error naming the path. Returns a descriptor that the caller owns. */
export function openat2(at: number, path: string, how: { flags: number; mode?: number; resolve?: number }): number {
  return check(openat2Raw(at, path, how), `open ${path}`);
}

/** openat2(2), result or -errno. */
export function openat2Raw(at: number, path: string, how: { flags: number; mode?: number; resolve?: number }): number {
  const words = new BigUint64Array([BigInt(how.flags | O_CLOEXEC), BigInt(how.mode ?? 0), BigInt(how.resolve ?? 0)]);
  return syscall(NR.openat2, at, path, words, 24);
}

/** A sealed, read-only memory file holding `bytes`. The caller owns the descriptor. */
export function sealedMemfd(name: string, bytes: Uint8Array): number {
  const fd = check(syscall(NR.memfd_create, name, MFD_CLOEXEC | MFD_ALLOW_SEALING), `memfd_create ${name}`);
  let done = 0;
  while (done < bytes.byteLength) {
    done += check(syscall(NR.write, fd, bytes.subarray(done), bytes.byteLength - done), `write memfd ${name}`);
  }
  check(syscall(NR.fcntl, fd, F_ADD_SEALS, F_SEAL_ALL), `seal memfd ${name}`);
  return fd;
}

export function socketpair(type: 'stream' | 'seqpacket'): [number, number] {
  const pair = new Int32Array(2);
  const kind = type === 'stream' ? SOCK_STREAM : SOCK_SEQPACKET;
  check(syscall(NR.socketpair, AF_UNIX, kind | SOCK_CLOEXEC, 0, pair), 'socketpair');
  return [pair[0]!, pair[1]!];
}

/** Connect to a unix SEQPACKET socket at `path` (through /proc/self/fd when the path is too long for sun_path is the caller's
 *  business: at most 107 bytes). Throws when nobody listens. */
export const connectSeqpacket = (path: string): number => unixSocket(SOCK_SEQPACKET, path, 'connect');

/** The same, a stream. */
export const connectUnix = (path: string): number => unixSocket(SOCK_STREAM, path, 'connect');

/** A SEQPACKET socket that listens at `path` (at most 107 bytes), which only its owner may connect to. */
export function listenSeqpacket(path: string, backlog = 8): number {
  const fd = unixSocket(SOCK_SEQPACKET, path, 'bind');
  check(syscall(NR.listen, fd, backlog), `listen ${path}`);
  return fd;
}

function unixSocket(type: number, path: string, call: 'bind' | 'connect'): number {
  const fd = check(syscall(NR.socket, AF_UNIX, type | SOCK_CLOEXEC, 0), 'socket');
  const name = cstring(path);
  const address = new Uint8Array(2 + name.byteLength);
  address[0] = AF_UNIX;
  address.set(name, 2);
  // Before it has a name: the socket's file takes the mode from here.
  if (call === 'bind') syscall(NR.fchmod, fd, 0o600);
  const result = syscall(NR[call], fd, address, address.byteLength);
  if (result < 0) closeSync(fd);
  check(result, `${call} ${path}`);
  return fd;
}

/** A second descriptor of the same open file (close-on-exec), owned by the caller. */
export function dupDescriptor(fd: number): number {
  return check(rawSyscall(NR.fcntl, fd, F_DUPFD_CLOEXEC, 0, 0, 0, 0), `dup ${fd}`);
}

/** write(2) once: bytes taken, or -errno. */
export const writeOnce = (fd: number, bytes: Uint8Array): number => syscall(NR.write, fd, bytes, bytes.byteLength);

/** Bytes written to a unix socket that its peer has not read yet (for tcp: that were not acknowledged). */
export function unreadByPeer(fd: number): number {
  const count = new Int32Array(1);
  return syscall(NR.ioctl, fd, SIOCOUTQ, count) < 0 ? 0 : count[0]!;
}

/** What a message's header, its one piece and its descriptors are written into: sending is over when the call returns. */
const envelope = new Uint8Array(new ArrayBuffer(56 + 16 + 16 + 4 * 32));
const envelopeView = new DataView(envelope.buffer);
const MOST_DESCRIPTORS = 32;
const IOV = 56, CONTROL = 72, RIGHTS = CONTROL + 16;
/** A pointer, or a size: below 2^53. */
function setWord(at: number, value: number): void {
  envelopeView.setUint32(at, value % 0x1_0000_0000, true);
  envelopeView.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}

/** One message with at most 32 descriptors (SCM_RIGHTS). Returns the result or -errno (EAGAIN included). */
export function sendWithDescriptors(fd: number, message: Uint8Array, descriptors: readonly number[]): number {
  const count = descriptors.length;
  if (count > MOST_DESCRIPTORS) return -ERRNO.EINVAL!;
  const start = pointerOf(envelope);
  setWord(16, start + IOV);
  setWord(24, 1);
  setWord(32, count === 0 ? 0 : start + CONTROL);
  setWord(40, count === 0 ? 0 : 16 + count * 4);
  setWord(IOV, pointerOf(message));
  setWord(IOV + 8, message.byteLength);
  setWord(CONTROL, 16 + count * 4);
  envelopeView.setInt32(CONTROL + 8, 1, true); // SOL_SOCKET
  envelopeView.setInt32(CONTROL + 12, 1, true); // SCM_RIGHTS
  for (let i = 0; i < count; i++) envelopeView.setInt32(RIGHTS + 4 * i, descriptors[i]!, true);
  const result = rawSyscall(NR.sendmsg, fd, start, MSG_NOSIGNAL, 0, 0, 0);
  // The buffer must outlive the call: touching it here keeps it reachable.
  return result + 0 * message.byteLength;
}

const ENOSYS = 38;

export function pidfdOpen(pid: number): number {
  return check(syscall(NR.pidfd_open, pid, 0), `pidfd_open ${pid}`);
}

/** The same; -1 when the process has gone already, or whatever else stands in the way: an error, with its text and stack, costs more. */
export const pidfdOfLiving = (pid: number): number => Math.max(-1, rawSyscall(NR.pidfd_open, pid, 0, 0, 0, 0, 0));

/** Send a signal through a pidfd; false when the process is gone (ESRCH). */
export function pidfdSignal(pidfd: number, signal: number): boolean {
  const result = syscall(NR.pidfd_send_signal, pidfd, signal, null, 0);
  if (result === -3) return false;
  check(result, `signal ${signal}`);
  return true;
}

/** Signals the process that has the number, if `isMeant` says so once its pidfd is held: a number that was given to another process
 *  meanwhile is never signalled. False when it is gone, or another. Throws where there are no pidfds. */
export function signalIf(pid: number, signal: number, isMeant: () => boolean): boolean {
  const pidfd = syscall(NR.pidfd_open, pid, 0);
  if (pidfd === -ENOSYS) throw new NaruError('unsupported', `cannot signal process ${pid}: the kernel, or a filter of system calls around naru, has no pidfd_open (Linux 5.3)`);
  if (pidfd < 0) return false;
  try {
    return isMeant() && pidfdSignal(pidfd, signal);
  } finally {
    closeQuietly(pidfd);
  }
}

/** For descriptors of which we own the only reference (the flag belongs to the open file). */
export function setNonblocking(fd: number): void {
  const flags = check(rawSyscall(NR.fcntl, fd, F_GETFL, 0, 0, 0, 0), 'fcntl F_GETFL');
  check(rawSyscall(NR.fcntl, fd, F_SETFL, flags | O_NONBLOCK, 0, 0, 0), 'fcntl F_SETFL');
}

export function setBlocking(fd: number): void {
  const flags = check(rawSyscall(NR.fcntl, fd, F_GETFL, 0, 0, 0, 0), 'fcntl F_GETFL');
  check(syscall(NR.fcntl, fd, F_SETFL, flags & ~O_NONBLOCK), 'fcntl F_SETFL');
}

export const closeQuietly = (fd: number): void => {
  if (fd >= 0) {
    try {
      closeSync(fd);
    } catch {
      // EBADF only: it was closed already
    }
  }
};

export const AT_CWD = AT_FDCWD;

/** Fewer than so many more cost less one by one. */
const WORTH_ROOM = 48;
let room = 0;

/**
 * Room in the process's table for so many more descriptors at once. The kernel doubles the table whenever it is full, and each time
 * all threads of the process wait some 10 ms for a grace period.
 */
export function makeRoomForDescriptors(count: number): void {
  if (count < WORTH_ROOM) return;
  const fd = syscall(NR.eventfd2, 0, O_CLOEXEC);
  if (fd < 0) return;
  const wanted = fd + count;
  if (wanted > room) {
    const high = syscall(NR.fcntl, fd, F_DUPFD_CLOEXEC, wanted);
    if (high >= 0) room = high; // above the process's limit: the one that is too many tells
    closeQuietly(high);
  }
  closeQuietly(fd);
}
