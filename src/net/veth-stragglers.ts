import type { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { deleteLink } from './bridge.ts';
import { findLink } from './host-network.ts';

/** A host's end that is still there so long after its container was released is deleted. */
const PATIENCE_MS = 1500;
const PAUSE_MS = 50;

/**
 * Host ends of veth pairs whose containers are gone. A pair goes with the container's network namespace, by itself and at the
 * kernel's leisure; only one that something keeps alive (a process that escaped, a descriptor) is deleted here, later.
 */
export class VethStragglers {
  readonly #socket: NetlinkSocket;
  readonly #inUse: (name: string) => boolean;
  readonly #log: (message: string) => void;
  readonly #queue: { name: string; at: number }[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(socket: NetlinkSocket, inUse: (name: string) => boolean, log: (message: string) => void) {
    this.#socket = socket;
    this.#inUse = inUse;
    this.#log = log;
  }

  add(name: string): void {
    this.#queue.push({ name, at: performance.now() + PATIENCE_MS });
    this.#schedule(PATIENCE_MS);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#queue.length = 0;
  }

  #schedule(delay: number): void {
    this.#timer ??= setTimeout(() => this.#look(), delay).unref();
  }

  #look(): void {
    this.#timer = undefined;
    const now = performance.now();
    while (this.#queue.length > 0 && this.#queue[0]!.at <= now) {
      const { name } = this.#queue.shift()!;
      try {
        // Nearly always it is gone, which one question tells; who uses it is asked of all containers.
        if (findLink(this.#socket, name) !== undefined && !this.#inUse(name)) deleteLink(this.#socket, name);
      } catch (error) {
        this.#log(`interface ${name} of a container that is gone: ${(error as Error).message}`);
      }
    }
    const next = this.#queue[0];
    if (next !== undefined) this.#schedule(Math.max(PAUSE_MS, next.at - now));
  }
}
