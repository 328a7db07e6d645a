import { readFileSync, statSync } from 'node:fs';
import { closeQuietly, pidfdOpen } from '#sys/descriptors.ts';
import { EPOLLIN } from '#sys/epoll.ts';
import { acceptConnection, namespaceOfSocket, peerProcess, receiveMessage, sendBytes } from '#sys/raw-sockets.ts';
import { type FromResolver, MAX_CONTROL_BYTES, type ToResolver, decodeControl, encodeControl } from './control-messages.ts';
import type { Reactor } from './reactor.ts';
import type { Resolver } from './resolver.ts';

interface Connection {
  readonly fd: number;
  /** Of whoever connected. */
  readonly pid: number;
  /** Containers that were there before it, and were not set by it. */
  readonly unsettled: Set<string>;
}

/** Who tells the resolver what exists: the daemon, for as long as it lives, and each container's plan with one message. */
export class ControlServer {
  /** Another version of the daemon wants this process to end. */
  ended = false;
  readonly #listener: number;
  readonly #reactor: Reactor;
  readonly #resolver: Resolver;
  readonly #buffer = new Uint8Array(MAX_CONTROL_BYTES + 10_000);
  readonly #connections = new Map<number, Connection>();

  /** `listener`: a SEQPACKET socket that listens where only root may connect. */
  constructor(listener: number, { reactor, resolver }: { reactor: Reactor; resolver: Resolver }) {
    this.#listener = listener;
    this.#reactor = reactor;
    this.#resolver = resolver;
    reactor.watch(listener, EPOLLIN, () => this.#accept());
  }

  #accept(): void {
    for (let fd = acceptConnection(this.#listener); fd >= 0; fd = acceptConnection(this.#listener)) {
      const connection: Connection = { fd, pid: peerProcess(fd), unsettled: new Set(this.#resolver.clients.keys()) };
      this.#connections.set(fd, connection);
      this.#reactor.watch(fd, EPOLLIN, () => this.#receive(connection));
      this.#receive(connection);
    }
  }

  #receive(connection: Connection): void {
    while (this.#connections.has(connection.fd)) {
      const received = receiveMessage(connection.fd, this.#buffer);
      if (received === undefined) return;
      if (received.bytes.byteLength === 0) {
        this.#connections.delete(connection.fd);
        this.#reactor.forget(connection.fd);
        closeQuietly(connection.fd);
        return;
      }
      const message = decodeControl<ToResolver>(received.bytes);
      if (message?.kind === 'set') this.#set(connection, message, received.descriptors);
      else {
        for (const each of received.descriptors) closeQuietly(each);
        if (message === undefined) this.ended = true;
        else this.#heed(connection, message);
      }
    }
  }

  #heed(connection: Connection, message: Exclude<ToResolver, { kind: 'set' }>): void {
    if (message.kind === 'remove') {
      if (this.#resolver.clients.get(message.id)?.pid === message.pid) this.#resolver.remove(message.id);
    }
    else if (message.kind === 'settle') {
      for (const id of connection.unsettled) this.#resolver.remove(id);
      connection.unsettled.clear();
    } else if (message.kind === 'statistics') this.#send(connection, { kind: 'statistics', sequence: message.sequence, statistics: this.#resolver.statistics() });
    else this.ended = true;
  }

  #set(connection: Connection, message: Extract<ToResolver, { kind: 'set' }>, descriptors: number[]): void {
    for (const each of this.#connections.values()) each.unsettled.delete(message.id);
    const pid = message.pid ?? connection.pid;
    const [udp, tcp] = descriptors;
    if (udp !== undefined && tcp !== undefined) {
      const pidfd = holdProcess(pid, udp);
      if (pidfd < 0) for (const each of descriptors) closeQuietly(each);
      else this.#resolver.set(message.id, message.configuration, { pid, pidfd, sockets: { udp, tcp } });
      return;
    }
    for (const each of descriptors) closeQuietly(each);
    // What a container's plan has sent came before what the daemon says of it now.
    this.#accept();
    const known = this.#resolver.clients.get(message.id);
    if (known !== undefined && known.pid === pid && known.pidfd >= 0) this.#resolver.set(message.id, message.configuration, { pid });
    else {
      const pidfd = holdAny(pid);
      // It ended meanwhile: nobody else would take its names away again.
      if (pidfd < 0) return;
      this.#resolver.set(message.id, message.configuration, { pid, pidfd });
    }
    if (this.#resolver.clients.get(message.id)?.hasSockets !== true) this.#send(connection, { kind: 'needs-sockets', id: message.id });
  }

  #send(connection: Connection, message: FromResolver): void {
    // A daemon that does not read is told nothing more: it asks again when it wants to know.
    sendBytes(connection.fd, encodeControl(message));
  }
}

/** A pidfd, or -1. */
function holdAny(pid: number): number {
  try {
    return pidfdOpen(pid);
  } catch {
    return -1;
  }
}

/** A pidfd of the process, if it is the one that the socket's network namespace belongs to: a number that was reused is found out. Or -1. */
function holdProcess(pid: number, socket: number): number {
  if (pid <= 0) return -1;
  const namespace = namespaceOfSocket(socket);
  if (namespace < 0) return -1;
  let pidfd = -1;
  try {
    pidfd = pidfdOpen(pid);
    const inode = (path: string): number => statSync(path).ino;
    if (inode(`/proc/self/fd/${namespace}`) === inode(`/proc/${pid}/ns/net`) && readFileSync(`/proc/${pid}/stat`, 'utf8') !== '') return pidfd;
  } catch {
    // It ended in between.
  } finally {
    closeQuietly(namespace);
  }
  closeQuietly(pidfd);
  return -1;
}
