import { NR, MSG_DONTWAIT, MSG_NOSIGNAL } from './numbers.ts';
import { pointerOf, rawSyscall } from './syscalls.ts';

/** struct mmsghdr: msghdr of 56 bytes, the length, padding. */
const HEADER_BYTES = 64, IOVEC_BYTES = 16, NAME_BYTES = 16;
const NAME_LENGTH_AT = 8, FLAGS_AT = 48, LENGTH_AT = 56;
const MSG_TRUNC = 0x20;

/**
 * Datagrams of an IPv4 socket by the batch: recvmmsg(2) and sendmmsg(2) over memory that is laid out once. Each received datagram has a place for
 * one reply, which goes to where it came from.
 */
export class DatagramBatch {
  /** Datagram i begins at i * `inputBytes`. */
  readonly input: Uint8Array;
  /** The reply to datagram i is written at i * `outputBytes`. */
  readonly output: Uint8Array;
  readonly inputBytes: number;
  readonly outputBytes: number;
  readonly #count: number;
  readonly #names: Uint8Array;
  readonly #receive: DataView;
  readonly #send: DataView;
  readonly #sendVectors: DataView;
  readonly #receivePointer: number;
  readonly #sendPointer: number;
  readonly #namesPointer: number;
  readonly #outputPointer: number;
  /** What the pointers lead to must live as long as this. */
  readonly #kept: unknown[];
  #queued = 0;

  constructor({ count, inputBytes, outputBytes }: { count: number; inputBytes: number; outputBytes: number }) {
    this.#count = count;
    this.inputBytes = inputBytes;
    this.outputBytes = outputBytes;
    this.input = new Uint8Array(count * inputBytes);
    this.output = new Uint8Array(count * outputBytes);
    this.#names = new Uint8Array(count * NAME_BYTES);
    this.#receive = new DataView(new ArrayBuffer(count * HEADER_BYTES));
    this.#send = new DataView(new ArrayBuffer(count * HEADER_BYTES));
    this.#sendVectors = new DataView(new ArrayBuffer(count * IOVEC_BYTES));
    const receiveVectors = new DataView(new ArrayBuffer(count * IOVEC_BYTES));
    const bytesOf = (view: DataView): Uint8Array => new Uint8Array(view.buffer);
    const input = pointerOf(this.input), vectors = pointerOf(bytesOf(receiveVectors)), sendVectors = pointerOf(bytesOf(this.#sendVectors));
    this.#namesPointer = pointerOf(this.#names);
    this.#outputPointer = pointerOf(this.output);
    this.#receivePointer = pointerOf(bytesOf(this.#receive));
    this.#sendPointer = pointerOf(bytesOf(this.#send));
    this.#kept = [receiveVectors];
    for (let i = 0; i < count; i++) {
      receiveVectors.setBigUint64(i * IOVEC_BYTES, BigInt(input + i * inputBytes), true);
      receiveVectors.setBigUint64(i * IOVEC_BYTES + 8, BigInt(inputBytes), true);
      for (const [headers, vector] of [[this.#receive, vectors], [this.#send, sendVectors]] as const) {
        const at = i * HEADER_BYTES;
        headers.setBigUint64(at, BigInt(this.#namesPointer + i * NAME_BYTES), true);
        headers.setUint32(at + NAME_LENGTH_AT, NAME_BYTES, true);
        headers.setBigUint64(at + 16, BigInt(vector + i * IOVEC_BYTES), true);
        headers.setBigUint64(at + 24, 1n, true);
      }
    }
  }

  /** How many datagrams were read, or -errno; never waits. What was queued and not sent is forgotten. */
  receive(fd: number): number {
    this.#queued = 0;
    return rawSyscall(NR.recvmmsg, fd, this.#receivePointer, this.#count, MSG_DONTWAIT, 0, 0);
  }

  length(i: number): number {
    return this.#receive.getUint32(i * HEADER_BYTES + LENGTH_AT, true);
  }

  /** It was longer than `inputBytes`. */
  isCut(i: number): boolean {
    return (this.#receive.getUint32(i * HEADER_BYTES + FLAGS_AT, true) & MSG_TRUNC) !== 0;
  }

  /** A copy of the sockaddr_in that datagram i came from. */
  sender(i: number): Uint8Array {
    return this.#names.slice(i * NAME_BYTES, (i + 1) * NAME_BYTES);
  }

  /** The reply to datagram i, which stands in `output`, is to be sent. */
  queueReply(i: number, length: number): void {
    const at = this.#queued++;
    setPointer(this.#send, at * HEADER_BYTES, this.#namesPointer + i * NAME_BYTES);
    setPointer(this.#sendVectors, at * IOVEC_BYTES, this.#outputPointer + i * this.outputBytes);
    this.#sendVectors.setUint32(at * IOVEC_BYTES + 8, length, true);
  }

  /** Sends what was queued; what the kernel has no room for is lost, as datagrams are. */
  flush(fd: number): void {
    for (let done = 0; done < this.#queued; ) {
      const sent = rawSyscall(NR.sendmmsg, fd, this.#sendPointer + done * HEADER_BYTES, this.#queued - done, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
      // The first of them failed: nobody listens there any more, or there is no room. The others may fare better.
      done += sent > 0 ? sent : 1;
    }
    this.#queued = 0;
    void this.#kept;
  }
}

/** Without a BigInt for each. */
function setPointer(view: DataView, at: number, pointer: number): void {
  view.setUint32(at, pointer >>> 0, true);
  view.setUint32(at + 4, Math.floor(pointer / 2 ** 32), true);
}
