import { closeQuietly } from '#sys/descriptors.ts';
import { type Counters, newCounters } from './counters.ts';
import type { Found } from './name-directory.ts';
import type { DnsConfiguration } from './port.ts';

/** A container as its resolver knows it: what it may know, and the sockets in its network namespace. */
export class Client {
  readonly id: string;
  configuration: DnsConfiguration;
  /** Its first process. */
  pid = 0;
  /** Its sockets, or -1. */
  udp = -1;
  tcp = -1;
  /** Its network namespace, or -1. */
  namespace = -1;
  /** Readable when its first process has ended; or -1. */
  pidfd = -1;
  readonly counters: Counters = newCounters();
  /** What was found for names asked before, in wire form; of `generation` of the directory. */
  readonly names = new Map<string, Found>();
  generation = -1;
  /** Questions under way upstream. */
  pending = 0;
  /** Which, so that a client that asks again makes no second one. */
  readonly asked = new Set<string>();
  /** Upstream servers that did not answer: asked last until then (milliseconds, monotonic). */
  readonly avoid = new Map<string, number>();
  /** Which server is first, with `rotate`. */
  turn = 0;
  /** Connections over TCP. */
  sessions = 0;
  closed = false;

  constructor(id: string, configuration: DnsConfiguration) {
    this.id = id;
    this.configuration = configuration;
  }

  get hasSockets(): boolean {
    return this.udp >= 0;
  }

  /** Whoever watches the descriptors must have stopped. */
  closeSockets(): void {
    for (const fd of [this.udp, this.tcp, this.namespace, this.pidfd]) closeQuietly(fd);
    this.udp = this.tcp = this.namespace = this.pidfd = -1;
  }
}
