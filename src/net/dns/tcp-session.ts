import { closeQuietly } from '#sys/descriptors.ts';
import { EPOLLIN, EPOLLOUT } from '#sys/epoll.ts';
import { acceptConnection, receiveBytes, sendBytes } from '#sys/raw-sockets.ts';
import type { Client } from './client.ts';
import { MAX_QUERY_BYTES } from './message.ts';
import type { Reactor } from './reactor.ts';

/** Connections of one container at a time; more are closed at once. */
export const MAX_SESSIONS = 64;
/** Of all containers. */
const MAX_ALL_SESSIONS = 2048;
/** A connection on which nothing happens and nothing is awaited. */
const IDLE_MS = 10_000;
/** Questions of one connection under way; then it is read no further. */
const MAX_UNANSWERED = 32;
/** Answers that the client does not read. */
const MAX_UNREAD = 1 << 18;
/** How often idle ones are looked for. */
const CHECK_MS = 1000;
const EAGAIN = 11, EINTR = 4;

/** What is asked over a connection: `reply` is called once, now or later. */
export type StreamQuery = (query: Buffer, reply: (answer: Uint8Array) => void) => void;

/** DNS over TCP (RFC 7766): questions one behind the other, answers in the order in which they are there. */
export class TcpSessions {
  readonly #reactor: Reactor;
  readonly #sessions = new Set<Session>();
  #checkAt = 0;
  readonly #ask: (client: Client, query: Buffer, reply: (answer: Uint8Array) => void) => void;

  constructor(reactor: Reactor, ask: (client: Client, query: Buffer, reply: (answer: Uint8Array) => void) => void) {
    this.#reactor = reactor;
    this.#ask = ask;
    reactor.onTick((now) => this.#tick(now));
  }

  /** Takes what waits at the container's listening socket. */
  accept(client: Client): void {
    for (;;) {
      const fd = acceptConnection(client.tcp);
      if (fd < 0) return;
      if (client.sessions >= MAX_SESSIONS || this.#sessions.size >= MAX_ALL_SESSIONS) {
        client.counters.refused++;
        closeQuietly(fd);
        continue;
      }
      client.sessions++;
      const session = new Session({ fd, client, reactor: this.#reactor, ask: (query, reply) => this.#ask(client, query, reply), ended: () => this.#sessions.delete(session) && client.sessions-- });
      this.#sessions.add(session);
    }
  }

  forget(client: Client): void {
    for (const session of [...this.#sessions]) if (session.client === client) session.close();
  }

  #tick(now: number): number {
    if (this.#sessions.size === 0) return Infinity;
    if (now >= this.#checkAt) {
      this.#checkAt = now + CHECK_MS;
      for (const session of [...this.#sessions]) if (session.idleSince + IDLE_MS <= now) session.close();
    }
    return this.#checkAt;
  }
}

class Session {
  readonly client: Client;
  idleSince = performance.now();
  readonly #fd: number;
  readonly #reactor: Reactor;
  readonly #ask: StreamQuery;
  readonly #ended: () => void;
  #input: Buffer = Buffer.alloc(0);
  #output: Buffer = Buffer.alloc(0);
  #unanswered = 0;
  #closed = false;
  #ending = false;
  #events = EPOLLIN;

  constructor({ fd, client, reactor, ask, ended }: { fd: number; client: Client; reactor: Reactor; ask: StreamQuery; ended: () => void }) {
    this.#fd = fd;
    this.client = client;
    this.#reactor = reactor;
    this.#ask = ask;
    this.#ended = ended;
    reactor.watch(fd, EPOLLIN, (events) => this.#ready(events));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reactor.forget(this.#fd);
    closeQuietly(this.#fd);
    this.#ended();
  }

  #ready(events: number): void {
    if ((events & EPOLLOUT) !== 0) this.#flush();
    if (!this.#closed && (events & ~EPOLLOUT) !== 0 && !this.#ending) this.#read();
    if (!this.#closed) this.#watch();
  }

  #read(): void {
    const chunk = Buffer.alloc(MAX_QUERY_BYTES);
    const length = receiveBytes(this.#fd, chunk);
    if (length === -EAGAIN || length === -EINTR) return;
    if (length < 0) return this.close();
    if (length === 0) {
      this.#ending = true;
      if (this.#unanswered === 0 && this.#output.byteLength === 0) this.close();
      return;
    }
    this.idleSince = performance.now();
    this.#input = Buffer.concat([this.#input, chunk.subarray(0, length)]);
    this.#take();
  }

  #take(): void {
    while (!this.#closed && this.#unanswered < MAX_UNANSWERED && this.#input.byteLength >= 2) {
      const length = this.#input.readUInt16BE(0);
      if (length > MAX_QUERY_BYTES) return this.close();
      if (this.#input.byteLength < 2 + length) return;
      const query = this.#input.subarray(2, 2 + length);
      this.#input = Buffer.from(this.#input.subarray(2 + length));
      this.#unanswered++;
      this.#ask(query, (answer) => this.#reply(answer));
    }
  }

  /** Empty: what was asked deserves no answer. */
  #reply(answer: Uint8Array): void {
    this.#unanswered--;
    if (this.#closed) return;
    if (answer.byteLength === 0 || this.#output.byteLength + answer.byteLength > MAX_UNREAD) return this.close();
    this.idleSince = performance.now();
    this.#output = Buffer.concat([this.#output, Buffer.of(answer.byteLength >> 8, answer.byteLength & 255), answer]);
    this.#flush();
    if (!this.#closed) this.#watch();
  }

  #flush(): void {
    while (this.#output.byteLength > 0) {
      const sent = sendBytes(this.#fd, this.#output);
      if (sent === -EAGAIN || sent === -EINTR) return;
      if (sent < 0) return this.close();
      this.#output = this.#output.subarray(sent);
    }
    if (this.#ending && this.#unanswered === 0) return this.close();
    this.#take();
  }

  #watch(): void {
    const events = (this.#ending || this.#unanswered >= MAX_UNANSWERED ? 0 : EPOLLIN) | (this.#output.byteLength > 0 ? EPOLLOUT : 0);
    if (events === this.#events) return;
    this.#events = events;
    this.#reactor.change(this.#fd, events);
  }
}
