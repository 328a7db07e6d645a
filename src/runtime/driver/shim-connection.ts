import type { AttachEnd, AttachRequest } from '#core/tasks/port.ts';
import { NaruError } from '#spec/errors.ts';
import { closeQuietly, sendWithDescriptors, setNonblocking } from '#sys/descriptors.ts';
import { errnoText } from '#sys/errno.ts';
import { adoptSocket, type FdSocket } from '#sys/fd-socket.ts';
import { isReadable } from '#sys/standard-streams.ts';
import { ATTACH_FLAGS, decodeMessage, encodeMessage, MAX_DETACH_KEYS, type ShimMessage, TO_SHIM } from './messages.ts';

const ATTACH_ENDS: readonly AttachEnd[] = ['client', 'detached', 'error', 'exited'];
/** How long a shim may take to answer an attach. */
const ATTACH_DEADLINE_MS = 10_000;

interface PendingAttach {
  readonly ended: PromiseWithResolvers<AttachEnd>;
  readonly accepted: PromiseWithResolvers<void>;
}

/** Our end of a shim's socket: numbers the requests, tells answers from news. */
export class ShimConnection {
  readonly #fd: number;
  #socket: FdSocket | undefined;
  #seq = 1;
  #closed = false;
  #adopting = false;
  readonly #attaches = new Map<number, PendingAttach>();
  readonly #onMessage: (message: ShimMessage) => void;
  readonly #onClose: () => void;

  /** Takes ownership of `fd`. `onClose` is called once, when the peer has gone, after the last message. */
  constructor(fd: number, on: { message(message: ShimMessage): void; close(): void }) {
    this.#fd = fd;
    setNonblocking(fd); // attaches that nobody reads yet must not stop us
    this.#onMessage = (m) => on.message(m);
    this.#onClose = () => on.close();
  }

  /** Begin to receive. */
  async listen(): Promise<void> {
    this.#adopting = true;
    const socket = await adoptSocket(this.#fd, {
      data: (bytes) => this.#receive(bytes),
      end: () => this.close(),
      close: () => this.#gone(),
    });
    if (this.#closed) socket.close();
    else this.#socket = socket;
  }

  /** Something lies in the socket. */
  unheard(): boolean {
    return !this.#closed && isReadable(this.#fd);
  }

  /** Returns false when the peer has gone. */
  send(type: number, words: readonly number[] = [], descriptors: readonly number[] = []): boolean {
    if (this.#closed) return false;
    return sendWithDescriptors(this.#fd, encodeMessage(type, this.#seq++, words), descriptors) >= 0;
  }

  /** Hands the client over to the shim and closes our copy. `wait`: until the shim has answered (not before a start, where the
   *  request lies in the socket and is served before the program's first byte). */
  async attach(request: AttachRequest, wait: boolean): Promise<{ readonly ended: Promise<AttachEnd> }> {
    const flags = (request.stdin ? ATTACH_FLAGS.stdin : 0) | (request.stdout ? ATTACH_FLAGS.stdout : 0) | (request.stderr ? ATTACH_FLAGS.stderr : 0)
      | (request.framed ? ATTACH_FLAGS.framed : 0) | (request.closeStdin ? ATTACH_FLAGS.closeStdin : 0) | (wait ? 0 : ATTACH_FLAGS.unanswered);
    const keys = request.detachKeys.subarray(0, MAX_DETACH_KEYS);
    const seq = this.#seq++;
    let sent = -32;
    try {
      if (!this.#closed) sent = sendWithDescriptors(this.#fd, encodeMessage(TO_SHIM.attach, seq, [flags, keys.byteLength], keys), [request.fd]);
    } finally {
      closeQuietly(request.fd);
    }
    if (sent < 0) throw new NaruError('unavailable', `cannot attach: ${errnoText(-sent)}`, { errno: -sent });
    const pending: PendingAttach = { ended: Promise.withResolvers(), accepted: Promise.withResolvers() };
    pending.accepted.promise.catch(() => {});
    this.#attaches.set(seq, pending);
    if (wait) {
      const timer = setTimeout(() => pending.accepted.reject(new NaruError('unavailable', `the shim did not take the client within ${ATTACH_DEADLINE_MS} ms`)), ATTACH_DEADLINE_MS);
      await pending.accepted.promise.finally(() => clearTimeout(timer));
    }
    return { ended: pending.ended.promise };
  }

  close(): void {
    if (this.#closed) return;
    if (this.#socket === undefined) {
      this.#closed = true;
      if (!this.#adopting) closeQuietly(this.#fd);
      this.#settleAttaches('error');
    } else {
      this.#socket.close();
    }
  }

  #receive(bytes: Uint8Array): void {
    const message = decodeMessage(bytes);
    if (message === undefined) return;
    if (message.type === 'attached') {
      this.#attaches.get(message.seq)?.accepted.resolve();
    } else if (message.type === 'attachEnd') {
      const pending = this.#attaches.get(message.seq);
      this.#attaches.delete(message.seq);
      pending?.accepted.resolve();
      pending?.ended.resolve(ATTACH_ENDS[message.reason] ?? 'error');
    } else {
      this.#onMessage(message);
    }
  }

  #gone(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#settleAttaches('exited');
    this.#onClose();
  }

  #settleAttaches(end: AttachEnd): void {
    for (const { accepted, ended } of this.#attaches.values()) {
      accepted.resolve();
      ended.resolve(end);
    }
    this.#attaches.clear();
  }
}
