import { NaruError } from '#spec/errors.ts';
import { MessageWriter } from '#sys/netlink/message-writer.ts';
import { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { writeDeleteLink, writeGetLink } from '#sys/netlink/route-messages.ts';
import { NETLINK_ROUTE } from '#sys/numbers.ts';

const ENODEV = 19;
const LOOK_MS = 1;
const LOOPBACK = 1;

/**
 * Deletes interfaces of the host. The kernel takes one off its lists within a millisecond (a veth pair) or twenty (a bridge), and
 * then waits, for as long again and for nothing that concerns us, before it says so: a thread of the pool hears that.
 */
export class LinkRemovals {
  readonly #pending = new Map<string, Promise<void>>();
  readonly #log: (message: string) => void;
  /** Those that the kernel has not answered yet. */
  #working = 0;

  constructor(log: (message: string) => void) {
    this.#log = log;
  }

  /** Resolves when there is no interface of this name any more, whoever deleted it. Throws what the kernel said before that. */
  remove(name: string): Promise<void> {
    const known = this.#pending.get(name);
    if (known !== undefined) return known;
    const removal = this.#remove(name).finally(() => this.#pending.delete(name));
    this.#pending.set(name, removal);
    return removal;
  }

  /** Resolves when what is being deleted under this name is gone; undefined: nothing is. */
  settled(name: string): Promise<void> | undefined {
    return this.#pending.get(name)?.catch(() => {});
  }

  /**
   * Resolves when the kernel takes requests again; undefined: it does. While it takes a bridge off (rcu_barrier, with the lock of all links
   * held: 20 ms and more), every request about links waits: here a thread of the pool does, and not all whom this process serves.
   */
  kernelIsFree(): Promise<void> | undefined {
    if (this.#working === 0) return undefined;
    const socket = new NetlinkSocket(NETLINK_ROUTE);
    const w = new MessageWriter();
    writeGetLink(w, { index: LOOPBACK });
    return socket.requestElsewhere(w, 'look up the loopback interface').finally(() => socket.close());
  }

  async #remove(name: string): Promise<void> {
    const socket = new NetlinkSocket(NETLINK_ROUTE);
    const index = socket.interfaceIndex(name);
    if (index === undefined) return socket.close();
    const w = new MessageWriter();
    writeDeleteLink(w, { index });
    let over = false;
    this.#working++;
    const failed = socket.requestElsewhere(w, `delete interface ${name}`).then(() => undefined, (error: unknown) => error).finally(() => {
      over = true;
      this.#working--;
    });
    for (const start = performance.now(); !over && socket.seesInterface(index);) {
      // Mostly that is a matter of microseconds; a bridge, and whatever waits for the kernel's lock, takes its time
      const soon = performance.now() - start < LOOK_MS;
      await Promise.race([failed, new Promise((resolve) => (soon ? setImmediate(resolve) : setTimeout(resolve, LOOK_MS)))]);
    }
    const later = failed.then((error) => {
      socket.close();
      return error === undefined || (error instanceof NaruError && error.errno === ENODEV) ? undefined : (error as Error);
    });
    if (!over) {
      void later.then((error) => error !== undefined && this.#log(error.message));
      return;
    }
    const error = await later;
    if (error !== undefined) throw error;
  }
}
