import { readFileSync } from 'node:fs';
import { DatagramBatch } from '#sys/datagram-batch.ts';
import { EPOLLIN } from '#sys/epoll.ts';
import { type NamespaceVisitor, namespaceOfSocket, sendBytesTo } from '#sys/raw-sockets.ts';
import { AnswerCache } from './answer-cache.ts';
import { DROP, FORWARD, type QueryPlace, answerQuery, question } from './answer-query.ts';
import { Client } from './client.ts';
import { addCounters, newCounters } from './counters.ts';
import { Forwarder } from './forwarder.ts';
import { HEADER_BYTES, MAX_QUERY_BYTES, MAX_UDP_BYTES } from './message.ts';
import { NameDirectory } from './name-directory.ts';
import type { DnsConfiguration, DnsStatistics } from './port.ts';
import type { Reactor } from './reactor.ts';
import { TcpSessions } from './tcp-session.ts';

/** Datagrams of one container that are served before the others' turn comes. */
const BATCH = 32;
const MAX_TCP_BYTES = 65_535;

export interface ClientSockets { readonly udp: number; readonly tcp: number }

/** All containers, what they may know, and their sockets. */
export class Resolver {
  readonly clients = new Map<string, Client>();
  readonly #directory = new NameDirectory();
  readonly #cache = new AnswerCache();
  readonly #reactor: Reactor;
  readonly #forwarder: Forwarder;
  readonly #sessions: TcpSessions;
  readonly #batch = new DatagramBatch({ count: BATCH, inputBytes: MAX_QUERY_BYTES, outputBytes: MAX_UDP_BYTES });
  readonly #place: QueryPlace;
  readonly #streamAnswer = new Uint8Array(MAX_TCP_BYTES);
  readonly #began = performance.now();
  /** Of containers that are gone. */
  readonly #past = newCounters();

  constructor(reactor: Reactor, visitor: NamespaceVisitor) {
    this.#reactor = reactor;
    this.#forwarder = new Forwarder({ reactor, visitor, cache: this.#cache });
    this.#sessions = new TcpSessions(reactor, (client, query, reply) => this.#streamQuery(client, query, reply));
    this.#place = { bytes: Buffer.from(this.#batch.input.buffer), at: 0, end: 0, into: this.#batch.output, intoAt: 0, stream: false };
  }

  /** Takes ownership of the descriptors, which replace those that it had. `pidfd`: of its first process, with whose end it is removed. */
  set(id: string, configuration: DnsConfiguration, { pid, pidfd, sockets }: { pid: number; pidfd?: number; sockets?: ClientSockets }): Client {
    let client = this.clients.get(id);
    // A new run: the sockets of the old one lead nowhere.
    if (client !== undefined && client.pid !== pid) this.#letGo(client);
    if (client === undefined) this.clients.set(id, (client = new Client(id, configuration)));
    client.configuration = configuration;
    client.pid = pid;
    this.#directory.set(id, configuration);
    this.#cache.forget(client);
    if (pidfd !== undefined) this.#adopt(client, pidfd, sockets);
    return client;
  }

  /** Idempotent. */
  remove(id: string): void {
    const client = this.clients.get(id);
    if (client === undefined) return;
    this.clients.delete(id);
    this.#directory.remove(id);
    this.#cache.forget(client);
    this.#letGo(client);
    client.closed = true;
    addCounters(this.#past, client.counters);
  }

  statistics(): DnsStatistics {
    const total = newCounters();
    addCounters(total, this.#past);
    for (const { counters } of this.clients.values()) addCounters(total, counters);
    return {
      pid: process.pid, uptimeSeconds: Math.round((performance.now() - this.#began) / 1000), containers: this.clients.size, memory: proportionalSize(),
      total, perContainer: Object.fromEntries([...this.clients.values()].map(({ id, counters }) => [id, counters])),
    };
  }

  #adopt(client: Client, pidfd: number, sockets: ClientSockets | undefined): void {
    this.#letGo(client);
    client.pidfd = pidfd;
    // Its sockets would keep the network namespace, and with it the addresses, of a container that is no more.
    this.#reactor.watch(pidfd, EPOLLIN, () => this.remove(client.id));
    if (sockets === undefined) return;
    const { udp, tcp } = sockets;
    Object.assign(client, { udp, tcp, namespace: namespaceOfSocket(udp) });
    this.#reactor.watch(udp, EPOLLIN, () => this.#datagrams(client));
    this.#reactor.watch(tcp, EPOLLIN, () => this.#sessions.accept(client));
  }

  #letGo(client: Client): void {
    this.#forwarder.forget(client);
    this.#sessions.forget(client);
    for (const fd of [client.udp, client.tcp, client.pidfd]) if (fd >= 0) this.#reactor.forget(fd);
    client.closeSockets();
  }

  #datagrams(client: Client): void {
    const batch = this.#batch, place = this.#place, { udp } = client;
    const count = batch.receive(udp);
    for (let i = 0; i < count; i++) {
      place.at = i * batch.inputBytes;
      place.end = place.at + batch.length(i);
      place.intoAt = i * batch.outputBytes;
      const length = batch.isCut(i) ? DROP : answerQuery(client, this.#directory, place);
      if (length > 0) batch.queueReply(i, length);
      else if (length === FORWARD) this.#forwardDatagram(client, batch.sender(i));
    }
    if (count > 0) batch.flush(udp);
  }

  #forwardDatagram(client: Client, from: Uint8Array): void {
    const { bytes, at, end } = this.#place;
    const { room } = question;
    const reply = (answer: Uint8Array): void => {
      if (client.udp >= 0) sendBytesTo(client.udp, answer.byteLength <= room ? answer : cut(answer), from);
    };
    this.#forward(client, { query: new Uint8Array(bytes.subarray(at, end)), tcp: false, from: `${from[2]}.${from[3]}`, reply });
  }

  #streamQuery(client: Client, query: Buffer, reply: (answer: Uint8Array) => void): void {
    client.counters.tcp++;
    const place: QueryPlace = { bytes: query, at: 0, end: query.byteLength, into: this.#streamAnswer, intoAt: 0, stream: true };
    const length = answerQuery(client, this.#directory, place);
    if (length === FORWARD) this.#forward(client, { query: new Uint8Array(query), tcp: true, from: `tcp${client.turn++}`, reply });
    else reply(this.#streamAnswer.slice(0, length));
  }

  /** The question is what `answerQuery` has read last. */
  #forward(client: Client, { query, tcp, from, reply }: { query: Uint8Array; tcp: boolean; from: string; reply: (answer: Uint8Array) => void }): void {
    const start = question.nameAt - HEADER_BYTES;
    const nameEnd = question.nameEnd - start;
    const name = Buffer.from(query).toString('latin1', HEADER_BYTES, nameEnd).toLowerCase();
    // Recursion desired, checking disabled, EDNS and DNSSEC change what is answered.
    const cacheKey = `${question.type} ${question.class} ${question.flags & 0x110} ${question.hasEdns} ${question.dnssecOk} ${name}`;
    const cached = this.#cache.get(client, cacheKey);
    if (cached !== undefined) {
      client.counters.cached++;
      cached.set(query.subarray(0, 2));
      cached.set(query.subarray(HEADER_BYTES, nameEnd), HEADER_BYTES);
      reply(cached);
      return;
    }
    this.#forwarder.forward({
      client, query, nameEnd, tcp, cacheKey, key: `${from} ${question.id} ${cacheKey}`,
      done: (answer) => reply(typeof answer === 'number' ? failure(query, nameEnd, answer) : answer),
    });
  }
}

/** An answer to `query` that has a code and nothing else. */
function failure(query: Uint8Array, nameEnd: number, code: number): Uint8Array {
  const answer = query.slice(0, nameEnd + 4);
  answer[2] = 0x80 | (query[2]! & 0x79);
  answer[3] = 0x80 | (query[3]! & 0x10) | code;
  answer.fill(0, 6, 12);
  return answer;
}

/** What is too long for a datagram is asked for again over TCP. */
function cut(answer: Uint8Array): Uint8Array {
  let end = HEADER_BYTES;
  while (answer[end]! > 0) end += answer[end]! + 1;
  const short = answer.slice(0, end + 5);
  short[2]! |= 2;
  short.fill(0, 6, 12);
  return short;
}

function proportionalSize(): number {
  try {
    return Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
