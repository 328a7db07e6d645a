import { spawn } from 'node:child_process';
import { openSync, rmSync } from 'node:fs';
import { closeQuietly, listenSeqpacket, sendWithDescriptors } from '#sys/descriptors.ts';
import { type FdSocket, adoptSocket } from '#sys/fd-socket.ts';
import { connectNow } from '#sys/raw-sockets.ts';
import type { NetworkStep } from '#spec/network-steps.ts';
import { type FromResolver, MAX_CONTROL_BYTES, type ToResolver, decodeControl, encodeControl } from './control-messages.ts';
import { makeSockets } from './make-sockets.ts';
import type { DnsConfiguration, DnsService, DnsStatistics } from './port.ts';
import { resolverSteps } from './resolver-steps.ts';

export interface DnsServiceOptions {
  /** A directory that a reboot empties: the socket and the resolver's own complaints lie there. */
  readonly stateDir: string;
  /** How this executable is called. */
  readonly self: readonly string[];
  readonly log?: (text: string) => void;
}

/** Connections that wait to be accepted: containers that start at once. */
const BACKLOG = 512;
const STATISTICS_MS = 2000;
/** Before it is started again when it died young. */
const FIRST_DELAY_MS = 50, LONGEST_DELAY_MS = 5000, GROWN_UP_MS = 10_000;
const RETRY_SEND_MS = 20;
const MAX_QUEUE = 10_000;
const EAGAIN = 11;

interface Link { readonly fd: number; readonly since: number; socket: FdSocket | undefined; readonly queue: { bytes: Uint8Array; descriptors: readonly number[] }[] }
interface Known { readonly configuration: DnsConfiguration; readonly pid: number }

/** The daemon's end. Nothing is started before the first container needs it. */
export const createDnsService = (options: DnsServiceOptions): DnsService => new ResolverLink(options);

class ResolverLink implements DnsService {
  readonly #options: DnsServiceOptions;
  readonly #path: string;
  readonly #known = new Map<string, Known>();
  readonly #questions = new Map<number, (statistics: DnsStatistics | undefined) => void>();
  #link: Link | undefined;
  #delay = FIRST_DELAY_MS;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #flush: ReturnType<typeof setTimeout> | undefined;
  #sequence = 0;
  #closed = false;

  constructor(options: DnsServiceOptions) {
    this.#options = options;
    this.#path = `${options.stateDir}/dns.sock`;
  }

  makeReady(): void {
    // While a restart is put off, containers start without; they get their sockets when it is there.
    if (this.#link === undefined && this.#retry === undefined) this.#open();
  }

  steps(containerId: string, configuration: DnsConfiguration): NetworkStep[] {
    return resolverSteps(this.#path, encodeControl({ kind: 'set', id: containerId, configuration }));
  }

  setContainer(containerId: string, { pid, ...configuration }: DnsConfiguration & { readonly pid: number }): void {
    this.#known.set(containerId, { configuration, pid });
    if (this.#link === undefined) this.makeReady();
    else this.#send({ kind: 'set', id: containerId, configuration, pid });
  }

  has(containerId: string): boolean {
    return this.#known.has(containerId);
  }

  removeContainer(containerId: string): void {
    const known = this.#known.get(containerId);
    if (known === undefined) return;
    this.#known.delete(containerId);
    if (this.#link !== undefined) this.#send({ kind: 'remove', id: containerId, pid: known.pid });
  }

  settle(): void {
    if (this.#link !== undefined) this.#send({ kind: 'settle' });
  }

  statistics(): Promise<DnsStatistics | undefined> {
    if (this.#link === undefined) return Promise.resolve(undefined);
    const sequence = ++this.#sequence;
    return new Promise((resolve) => {
      const done = (statistics: DnsStatistics | undefined): void => {
        clearTimeout(timer);
        this.#questions.delete(sequence);
        resolve(statistics);
      };
      const timer = setTimeout(() => done(undefined), STATISTICS_MS);
      this.#questions.set(sequence, done);
      this.#send({ kind: 'statistics', sequence });
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#flush);
    this.#link?.socket?.close();
  }

  /** To the resolver that runs, or to a new one; then it is told everything. */
  #open(): void {
    if (this.#closed) return;
    let fd = connectNow(this.#path);
    try {
      if (fd < 0) {
        this.#start();
        fd = connectNow(this.#path);
      }
      if (fd < 0) throw new Error(`nobody listens at ${this.#path}`);
    } catch (error) {
      this.#options.log?.(`the resolver of containers cannot be started: ${(error as Error).message}`);
      this.#later();
      return;
    }
    const link: Link = { fd, since: performance.now(), socket: undefined, queue: [] };
    this.#link = link;
    for (const [id, { configuration, pid }] of this.#known) this.#send({ kind: 'set', id, configuration, pid });
    void adoptSocket(fd, {
      data: (bytes) => this.#receive(bytes),
      end: () => link.socket?.close(),
      close: () => this.#lost(link),
    }).then((socket) => {
      link.socket = socket;
      if (this.#closed) socket.close();
    }, () => this.#lost(link));
  }

  /** Its listening socket is made here: it takes what comes before the program is ready. */
  #start(): void {
    rmSync(this.#path, { force: true });
    const listener = listenSeqpacket(this.#path, BACKLOG);
    const complaints = openSync(`${this.#options.stateDir}/dns.log`, 'w', 0o600);
    try {
      const [program, ...args] = this.#options.self;
      const child = spawn(program!, [...args, 'internal', 'dns'], {
        stdio: ['ignore', 'ignore', complaints, listener], detached: true, cwd: '/', env: { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin' },
      });
      child.on('error', (error) => this.#options.log?.(`the resolver of containers cannot be started: ${error.message}`));
      child.unref();
    } finally {
      closeQuietly(listener);
      closeQuietly(complaints);
    }
  }

  #lost(link: Link): void {
    if (this.#link !== link) return;
    this.#link = undefined;
    for (const { descriptors } of link.queue) for (const each of descriptors) closeQuietly(each);
    for (const done of [...this.#questions.values()]) done(undefined);
    if (this.#closed || this.#known.size === 0) return;
    if (performance.now() - link.since > GROWN_UP_MS) this.#delay = FIRST_DELAY_MS;
    this.#options.log?.('the resolver of containers ended: it is started again, and containers get new sockets');
    this.#later();
  }

  #later(): void {
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      if (this.#link === undefined && this.#known.size > 0) this.#open();
    }, this.#delay);
    this.#retry.unref();
    this.#delay = Math.min(this.#delay * 2, LONGEST_DELAY_MS);
  }

  #receive(bytes: Uint8Array): void {
    const message = decodeControl<FromResolver>(bytes);
    if (message === undefined) return;
    if (message.kind === 'statistics') this.#questions.get(message.sequence)?.(message.statistics);
    else this.#repair(message.id);
  }

  #repair(id: string): void {
    const known = this.#known.get(id);
    if (known === undefined) return;
    try {
      this.#send({ kind: 'set', id, ...known }, makeSockets(known.pid, id));
    } catch (error) {
      // It ended meanwhile, as a rule; then nobody needs to know.
      if (this.#known.get(id) === known) this.#options.log?.(`give container ${id.slice(0, 12)} its resolver: ${(error as Error).message}`);
    }
  }

  /** Takes ownership of the descriptors. */
  #send(message: ToResolver, descriptors: readonly number[] = []): void {
    const link = this.#link!;
    const bytes = encodeControl(message);
    if (bytes.byteLength > MAX_CONTROL_BYTES) {
      this.#options.log?.(`a container has more names than its resolver can be told (${bytes.byteLength} bytes, at most ${MAX_CONTROL_BYTES})`);
      for (const each of descriptors) closeQuietly(each);
      return;
    }
    link.queue.push({ bytes, descriptors });
    this.#flushQueue(link);
    // It hangs: its end and a new one are worth more than what it does not read.
    if (link.queue.length > MAX_QUEUE) link.socket?.close();
  }

  #flushQueue(link: Link): void {
    for (let next = link.queue[0]; next !== undefined; next = link.queue[0]) {
      const sent = sendWithDescriptors(link.fd, next.bytes, next.descriptors);
      if (sent === -EAGAIN) {
        this.#flush ??= setTimeout(() => {
          this.#flush = undefined;
          if (this.#link === link) this.#flushQueue(link);
        }, RETRY_SEND_MS).unref();
        return;
      }
      link.queue.shift();
      for (const each of next.descriptors) closeQuietly(each);
    }
  }
}
