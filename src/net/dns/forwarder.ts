import { readFileSync } from 'node:fs';
import { randomFillSync } from 'node:crypto';
import { closeQuietly } from '#sys/descriptors.ts';
import { EPOLLIN, EPOLLOUT } from '#sys/epoll.ts';
import { AF_INET, AF_INET6, SOCK_DGRAM, SOCK_STREAM } from '#sys/numbers.ts';
import { type NamespaceVisitor, connectSocket, openSocket, receiveBytes, sendBytes, socketAddress, socketError } from '#sys/raw-sockets.ts';
import { ipBytes, tryParseIp } from '../ip.ts';
import type { AnswerCache } from './answer-cache.ts';
import type { Client } from './client.ts';
import { countLatency } from './counters.ts';
import { HEADER_BYTES, RCODE, addressesOf, codeOf, lifetimeOf, matches } from './message.ts';
import type { DnsUpstream } from './port.ts';
import type { Reactor } from './reactor.ts';
import { LOOPBACK_RESOLVER } from './resolver-address.ts';
import { guardedPrefixes, leadsNear } from './rebinding.ts';

/** Questions under way for one container, so that none can take the places of all; and for all. */
export const MAX_PENDING_PER_CLIENT = 256, MAX_PENDING = 2048;
/** How long one server is waited for before the next is asked too; resolv.conf's `timeout:n` says otherwise. */
const TIMEOUT_MS = 2000;
const MAX_TIMEOUT_MS = 30_000;
const ATTEMPTS = 2, MAX_ATTEMPTS = 5;
/** A server that did not answer is asked last for so long. */
const AVOID_MS = 10_000;
const MAX_SERVERS = 8;
const DNS_PORT = 53;
const EINPROGRESS = 115, EAGAIN = 11, EINTR = 4;

/** A question that somebody waits for. */
export interface Ask {
  readonly client: Client;
  /** The whole message, as it came; ours. */
  readonly query: Uint8Array;
  /** Offset behind its name. */
  readonly nameEnd: number;
  readonly tcp: boolean;
  /** Who asks what: the same again is no second question. */
  readonly key: string;
  /** What the answer is remembered by. */
  readonly cacheKey: string;
  /** A whole message with the id and the spelling of the question; or only the code of a failure. */
  readonly done: (answer: Uint8Array | number) => void;
}

interface Pending {
  readonly ask: Ask;
  readonly servers: readonly DnsUpstream[];
  readonly attempts: Attempt[];
  readonly began: number;
  /** Those that are still to be asked, in order. */
  readonly queue: DnsUpstream[];
  /** Moment at which the next one is asked. */
  deadline: number;
  /** Given when nothing better comes. */
  refusal: Uint8Array | undefined;
  settled: boolean;
}

interface Attempt {
  readonly fd: number;
  readonly server: DnsUpstream;
  readonly tcp: boolean;
  /** With an id and a spelling of its own. */
  readonly query: Uint8Array;
  readonly received: Uint8Array[];
  open: boolean;
}

/**
 * Asks the upstream servers. Every attempt has a socket of its own: a port of the kernel's choice, connected, so that only that server's packets reach it; an id and
 * an upper and lower case of our own choice. An answer counts when all of that comes back. Servers are asked in the container's network namespace,
 * or in the host's, as the configuration says.
 */
export class Forwarder {
  readonly #reactor: Reactor;
  readonly #visitor: NamespaceVisitor;
  readonly #cache: AnswerCache;
  readonly #pending = new Set<Pending>();
  readonly #buffer = new Uint8Array(65536);
  readonly #random = new Uint8Array(4096);
  #randomAt = this.#random.byteLength;
  /** No deadline is before this moment. */
  #wakeAt = Infinity;

  constructor({ reactor, visitor, cache }: { reactor: Reactor; visitor: NamespaceVisitor; cache: AnswerCache }) {
    this.#reactor = reactor;
    this.#visitor = visitor;
    this.#cache = cache;
    reactor.onTick((now) => this.#tick(now));
  }

  forward(ask: Ask): void {
    const { client } = ask;
    if (client.asked.has(ask.key)) return;
    if (client.pending >= MAX_PENDING_PER_CLIENT || this.#pending.size >= MAX_PENDING) {
      client.counters.refused++;
      ask.done(RCODE.failure);
      return;
    }
    const servers = serversOf(client, performance.now());
    const pending: Pending = { ask, servers, attempts: [], began: performance.now(), queue: [...servers], deadline: Infinity, refusal: undefined, settled: false };
    client.counters.forwarded++;
    client.pending++;
    client.asked.add(ask.key);
    this.#pending.add(pending);
    // Servers that did not answer are asked again, those that could not be asked are not.
    this.#next(pending);
  }

  /** What a container asked is of no interest any more. */
  forget(client: Client): void {
    for (const pending of this.#pending) if (pending.ask.client === client) this.#close(pending);
  }

  #tick(now: number): number {
    if (now < this.#wakeAt) return this.#wakeAt;
    for (const pending of this.#pending) if (pending.deadline <= now) this.#timedOut(pending, now);
    this.#wakeAt = Infinity;
    for (const pending of this.#pending) this.#wakeAt = Math.min(this.#wakeAt, pending.deadline);
    return this.#wakeAt;
  }

  #timedOut(pending: Pending, now: number): void {
    const { client } = pending.ask;
    const last = pending.attempts.at(-1);
    if (last !== undefined) {
      client.counters.timeouts++;
      client.avoid.set(last.server.address, now + AVOID_MS);
      const asked = pending.attempts.filter((each) => each.server === last.server).length;
      if (asked < attemptsOf(client)) pending.queue.push(last.server);
    }
    this.#next(pending);
  }

  /** Asks the next server that can be asked. */
  #next(pending: Pending): void {
    for (let server = pending.queue.shift(); server !== undefined; server = pending.queue.shift()) {
      if (!this.#attempt(pending, server, pending.ask.tcp)) continue;
      pending.deadline = performance.now() + timeoutOf(pending.ask.client);
      this.#wakeAt = Math.min(this.#wakeAt, pending.deadline);
      return;
    }
    this.#fail(pending);
  }

  /** false: it cannot be asked at all. */
  #attempt(pending: Pending, server: DnsUpstream, tcp: boolean): boolean {
    const { client, query: original, nameEnd } = pending.ask;
    const place = addressOf(server);
    if (place === undefined || (server.via === 'container' && client.namespace < 0)) return false;
    const open = (): number => openSocket(place.family, tcp ? SOCK_STREAM : SOCK_DGRAM);
    const fd = server.via === 'container' ? this.#visitor.within(client.namespace, open) : open();
    if (fd < 0) return false;
    const query = original.slice();
    this.#disguise(query, nameEnd);
    const attempt: Attempt = { fd, server, tcp, query, received: [], open: true };
    const connected = connectSocket(fd, place.bytes);
    if (connected < 0 && connected !== -EINPROGRESS) {
      closeQuietly(fd);
      return false;
    }
    if (!tcp && sendBytes(fd, query) < 0) {
      closeQuietly(fd);
      return false;
    }
    pending.attempts.push(attempt);
    this.#reactor.watch(fd, tcp ? EPOLLOUT : EPOLLIN, () => (tcp ? this.#stream(pending, attempt) : this.#datagrams(pending, attempt)));
    return true;
  }

  /** A random id, and a random case of each letter: what a stranger must guess besides the port. */
  #disguise(query: Uint8Array, nameEnd: number): void {
    if (this.#randomAt + 40 > this.#random.byteLength) {
      randomFillSync(this.#random);
      this.#randomAt = 0;
    }
    query[0] = this.#random[this.#randomAt++]!;
    query[1] = this.#random[this.#randomAt++]!;
    let bits = 0, left = 0;
    for (let label = HEADER_BYTES; query[label]! > 0; label += query[label]! + 1) {
      for (let i = label + 1; i <= label + query[label]! && i < nameEnd; i++) {
        if (left === 0) [bits, left] = [this.#random[this.#randomAt++ % this.#random.byteLength]!, 8];
        const letter = query[i]! | 32;
        if (letter >= 0x61 && letter <= 0x7a) query[i] = (bits & 1) === 1 ? letter : letter & ~32;
        bits >>= 1;
        left--;
      }
    }
  }

  #datagrams(pending: Pending, attempt: Attempt): void {
    while (attempt.open) {
      const length = receiveBytes(attempt.fd, this.#buffer);
      if (length === -EAGAIN || length === -EINTR) return;
      // Nobody listens there, or there is no way: no need to wait
      if (length < 0) return this.#lost(pending, attempt);
      this.#judge(pending, attempt, this.#buffer.subarray(0, length));
    }
  }

  #stream(pending: Pending, attempt: Attempt): void {
    if (attempt.received.length === 0) {
      const prefix = Uint8Array.of(attempt.query.byteLength >> 8, attempt.query.byteLength & 255);
      if (socketError(attempt.fd) !== 0 || sendBytes(attempt.fd, Buffer.concat([prefix, attempt.query])) < attempt.query.byteLength + 2) return this.#lost(pending, attempt);
      attempt.received.push(new Uint8Array(0));
      this.#reactor.change(attempt.fd, EPOLLIN);
      return;
    }
    const length = receiveBytes(attempt.fd, this.#buffer);
    if (length === -EAGAIN || length === -EINTR) return;
    if (length <= 0) return this.#lost(pending, attempt);
    const all = Buffer.concat([attempt.received[0]!, this.#buffer.subarray(0, length)]);
    attempt.received[0] = all;
    if (all.byteLength < 2) return;
    const whole = 2 + all.readUInt16BE(0);
    if (all.byteLength < whole) return;
    this.#judge(pending, attempt, all.subarray(2, whole));
    if (attempt.open) this.#lost(pending, attempt);
  }

  /** Is this an answer to what was asked, and is it a good one? */
  #judge(pending: Pending, attempt: Attempt, message: Uint8Array): void {
    const { ask } = pending;
    const { counters } = ask.client;
    const like = matches(attempt.query, message, ask.nameEnd);
    const lifetime = like === 'yes' ? lifetimeOf(message, ask.nameEnd, this.#cache.longest) : undefined;
    if (like === 'no' || (like === 'yes' && lifetime === undefined && !isCut(message))) {
      counters.mismatched++;
      return;
    }
    if (like === 'case') {
      // A server that does not keep the case, or somebody who guesses: a connection tells them apart.
      counters.mismatched++;
      this.#shut(attempt);
      if (attempt.tcp || !this.#attempt(pending, attempt.server, true)) this.#next(pending);
      return;
    }
    const guarded = guardedPrefixes(ask.client.configuration);
    if (guarded !== undefined && lifetime !== undefined && leadsNear(addressesOf(message, ask.nameEnd), guarded)) {
      counters.mismatched++;
      this.#fail(pending);
      return;
    }
    const answer = message.slice();
    answer.set(ask.query.subarray(0, 2), 0);
    answer.set(ask.query.subarray(HEADER_BYTES, ask.nameEnd), HEADER_BYTES);
    const code = codeOf(answer);
    ask.client.avoid.delete(attempt.server.address);
    if (code === RCODE.failure || code === RCODE.refused || code === RCODE.notImplemented) {
      // The next one may know better.
      pending.refusal = answer;
      this.#lost(pending, attempt);
      return;
    }
    countLatency(counters, performance.now() - pending.began);
    if ((code === RCODE.ok || code === RCODE.noName) && !isCut(answer) && lifetime !== undefined) this.#cache.put(ask.client, ask.cacheKey, { message: answer, nameEnd: ask.nameEnd, seconds: lifetime });
    this.#finish(pending, answer);
  }

  /** This attempt comes to nothing. The others may still. */
  #lost(pending: Pending, attempt: Attempt): void {
    this.#shut(attempt);
    if (pending.queue.length > 0 || pending.attempts.every((each) => !each.open)) this.#next(pending);
  }

  #fail(pending: Pending): void {
    pending.ask.client.counters.failed++;
    this.#finish(pending, pending.refusal ?? RCODE.failure);
  }

  #finish(pending: Pending, answer: Uint8Array | number): void {
    this.#close(pending);
    pending.ask.done(answer);
  }

  #close(pending: Pending): void {
    if (pending.settled) return;
    pending.settled = true;
    this.#pending.delete(pending);
    pending.ask.client.pending--;
    pending.ask.client.asked.delete(pending.ask.key);
    for (const attempt of pending.attempts) this.#shut(attempt);
  }

  #shut(attempt: Attempt): void {
    if (!attempt.open) return;
    attempt.open = false;
    this.#reactor.forget(attempt.fd);
    closeQuietly(attempt.fd);
  }
}

const isCut = (message: Uint8Array): boolean => (message[2]! & 2) !== 0;

/** Those that can be asked, in the order in which they are. A container of internal networks alone has none by way of the host. */
function serversOf(client: Client, now: number): DnsUpstream[] {
  const { upstreams, internal, options } = client.configuration;
  // In the container 127.0.0.11 is ourselves; in the host's namespace it may be another engine's.
  const servers = upstreams.filter((each) => (each.via === 'host' ? internal !== true : each.address !== LOOPBACK_RESOLVER)).slice(0, MAX_SERVERS);
  const turn = (options ?? []).includes('rotate') && servers.length > 0 ? client.turn++ % servers.length : 0;
  const isAvoided = (server: DnsUpstream): number => Number((client.avoid.get(server.address) ?? 0) > now);
  return [...servers.slice(turn), ...servers.slice(0, turn)].toSorted((a, b) => isAvoided(a) - isAvoided(b));
}

function numberOption(client: Client, name: string): number | undefined {
  const word = (client.configuration.options ?? []).findLast((each) => each.startsWith(`${name}:`));
  const value = Number(word?.slice(name.length + 1));
  return word !== undefined && Number.isInteger(value) && value > 0 ? value : undefined;
}

const timeoutOf = (client: Client): number => Math.min(MAX_TIMEOUT_MS, (numberOption(client, 'timeout') ?? TIMEOUT_MS / 1000) * 1000);
const attemptsOf = (client: Client): number => Math.min(MAX_ATTEMPTS, numberOption(client, 'attempts') ?? ATTEMPTS);

function addressOf({ address, port }: DnsUpstream): { bytes: Uint8Array; family: number } | undefined {
  const [text = '', zone] = address.split('%');
  const ip = tryParseIp(text);
  if (ip === undefined) return undefined;
  return { bytes: socketAddress(ipBytes(ip), port ?? DNS_PORT, zone === undefined ? 0 : interfaceIndex(zone)), family: ip.family === 4 ? AF_INET : AF_INET6 };
}

/** 0 when there is none of this name. */
function interfaceIndex(zone: string): number {
  if (/^\d+$/.test(zone)) return Number(zone);
  try {
    return zone.includes('/') ? 0 : Number(readFileSync(`/sys/class/net/${zone}/ifindex`, 'utf8'));
  } catch {
    return 0;
  }
}
