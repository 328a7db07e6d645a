import { closeSync, write } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { errnoName, errnoText } from '../errno.ts';
import { AF_NETLINK, MSG_DONTWAIT, NR, SOCK_CLOEXEC, SOCK_RAW } from '../numbers.ts';
import { check, syscall } from '../syscalls.ts';
import { type NetlinkMessage, parseError, parseMessages } from './message-parser.ts';
import type { MessageWriter } from './message-writer.ts';
import {
  NETLINK_CAP_ACK, NETLINK_EXT_ACK, NLMSG_DONE, NLMSG_ERROR, NLM_F_DUMP_INTR, NLM_F_MULTI, SOL_NETLINK, SOL_SOCKET,
  SO_RCVBUFFORCE, SO_SNDBUFFORCE,
} from './netlink-constants.ts';

/** What a message of the batch does, for the error: `add route to 10.0.0.0/8`. */
export type Describe = (index: number) => string;

const RECEIVE_BYTES = 64 * 1024;
const DEFAULT_SEND_BYTES = 128 * 1024;
const MAX_DUMP_BYTES = 256 * 1024 * 1024;
const DUMP_ATTEMPTS = 5;
const EAGAIN = 11, EINTR = 4, EIO = 5, ENODEV = 19;
const SIOCGIFNAME = 0x8910, SIOCGIFINDEX = 0x8933, IFREQ_BYTES = 40, IFNAMSIZ = 16;

/**
 * A netlink socket in this process's network namespace. The kernel does the work inside sendto(2), so the answers are there when
 * it returns: every call is synchronous and none waits for anything but kernel locks.
 */
export class NetlinkSocket {
  readonly #protocol: number;
  readonly #buffer = new Uint8Array(RECEIVE_BYTES);
  #fd: number;
  #sendBytes = DEFAULT_SEND_BYTES;

  constructor(protocol: number) {
    this.#protocol = protocol;
    this.#fd = check(syscall(NR.socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), `netlink socket ${protocol}`);
    this.#option(SOL_NETLINK, NETLINK_CAP_ACK, 1);
    this.#option(SOL_NETLINK, NETLINK_EXT_ACK, 1);
  }

  /** As `request` (without data), from a thread of the pool: for what the kernel takes long over. No other request of this socket meanwhile. */
  async requestElsewhere(batch: MessageWriter, what: string): Promise<void> {
    batch.acknowledgeLast();
    const bytes = batch.finish();
    await new Promise<void>((resolve, reject) => {
      write(this.#fd, bytes, (error) => (error === null ? resolve() : reject(netlinkFailure(-(error.errno ?? -EIO), undefined, what))));
    });
    this.#answers(batch.acknowledged, () => what);
  }

  /** The number of the interface of that name in this namespace; undefined: there is none. Takes none of the kernel's network locks,
   *  but a kernel with modules looks for one that could make an interface that is missing, which takes milliseconds. */
  interfaceIndex(name: string): number | undefined {
    const request = new Uint8Array(IFREQ_BYTES);
    request.set(new TextEncoder().encode(name).subarray(0, IFNAMSIZ - 1));
    if (syscall(NR.ioctl, this.#fd, SIOCGIFINDEX, request) === -ENODEV) return undefined;
    return new DataView(request.buffer).getInt32(IFNAMSIZ, true);
  }

  /** Whether this namespace has an interface of that number. Takes none of the kernel's network locks, and looks for nothing that is missing. */
  seesInterface(index: number): boolean {
    const request = new Uint8Array(IFREQ_BYTES);
    new DataView(request.buffer).setInt32(IFNAMSIZ, index, true);
    return syscall(NR.ioctl, this.#fd, SIOCGIFNAME, request) !== -ENODEV;
  }

  /** Send the batch and read until the last message that asks for an acknowledgement has it (the very last one, when none
   *  asks). The first refusal throws a NaruError with the kernel's errno, its words, and what `describe` says of that message. Returns the
   *  data messages that came along. */
  request(batch: MessageWriter, describe: Describe): NetlinkMessage[] {
    if (batch.count === 0) return [];
    if (batch.acknowledged === 0) batch.acknowledgeLast();
    return this.exchange(batch.finish(), batch.acknowledged, describe);
  }

  /** As `request`, of messages that are bytes already; `acknowledged` is the sequence number of the last answer. */
  exchange(bytes: Uint8Array, acknowledged: number, describe: Describe): NetlinkMessage[] {
    this.#send(bytes, describe);
    return this.#answers(acknowledged, describe);
  }

  #answers(acknowledged: number, describe: Describe): NetlinkMessage[] {
    const data: NetlinkMessage[] = [];
    for (;;) {
      for (const message of this.#receive(describe(acknowledged - 1))) {
        if (message.type !== NLMSG_ERROR) {
          data.push({ ...message, payload: message.payload.slice() }); // the buffer is read into again
          continue;
        }
        const { errno, text } = parseError(message);
        if (errno !== 0) {
          this.#drain();
          throw netlinkFailure(errno, text, describe(message.sequence - 1));
        }
        if (message.sequence === acknowledged) return data;
      }
    }
  }

  /** All messages of a dump. A dump that was interrupted by a change is made again. */
  dump(batch: MessageWriter, what: string): NetlinkMessage[] {
    for (let attempt = 1; ; attempt++) {
      this.#send(batch.finish(), () => what);
      const { messages, interrupted } = this.#readDump(what);
      if (!interrupted || attempt === DUMP_ATTEMPTS) return messages;
    }
  }

  close(): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
  }

  #readDump(what: string): { messages: NetlinkMessage[]; interrupted: boolean } {
    const messages: NetlinkMessage[] = [];
    let total = 0;
    let interrupted = false;
    for (;;) {
      for (const message of this.#receive(what)) {
        if ((message.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
        if (message.type === NLMSG_ERROR || message.type === NLMSG_DONE) {
          const { errno, text } = message.payload.byteLength < 4 ? { errno: 0, text: undefined } : parseError(message);
          if (errno > 0) throw netlinkFailure(errno, text, what);
          return { messages, interrupted };
        }
        messages.push({ ...message, payload: message.payload.slice() });
        total += message.payload.byteLength;
        if (total > MAX_DUMP_BYTES) throw new NaruError('too-large', `${what}: the kernel's answer exceeds ${MAX_DUMP_BYTES} bytes`);
        if ((message.flags & NLM_F_MULTI) === 0) return { messages, interrupted };
      }
    }
  }

  #send(bytes: Uint8Array, describe: Describe): void {
    if (this.#fd < 0) throw new NaruError('internal', `${describe(0)}: the netlink socket is closed`);
    if (bytes.byteLength > this.#sendBytes - 4096) {
      this.#sendBytes = bytes.byteLength * 2;
      this.#option(SOL_SOCKET, SO_SNDBUFFORCE, this.#sendBytes);
      this.#option(SOL_SOCKET, SO_RCVBUFFORCE, this.#sendBytes);
    }
    const sent = syscall(NR.sendto, this.#fd, bytes, bytes.byteLength, 0, null, 0);
    if (sent < 0) throw netlinkFailure(-sent, undefined, describe(0));
  }

  #receive(what: string): NetlinkMessage[] {
    for (;;) {
      const length = syscall(NR.recvfrom, this.#fd, this.#buffer, RECEIVE_BYTES, MSG_DONTWAIT, null, null);
      if (length === -EINTR) continue;
      if (length === -EAGAIN) throw new NaruError('internal', `${what}: the kernel gave no answer (netlink protocol ${this.#protocol})`);
      return parseMessages(this.#buffer.subarray(0, check(length, `${what}: read the kernel's answer`)));
    }
  }

  /** Leave nothing behind that a later request could take for its own answer. */
  #drain(): void {
    while (syscall(NR.recvfrom, this.#fd, this.#buffer, RECEIVE_BYTES, MSG_DONTWAIT, null, null) > 0);
  }

  #option(level: number, name: number, value: number): void {
    // Not having one of these only costs words in an error, or shows at once as a failed send
    syscall(NR.setsockopt, this.#fd, level, name, new Int32Array([value]), 4);
  }
}

function netlinkFailure(errno: number, text: string | undefined, what: string): NaruError {
  const said = text === undefined ? '' : ` (${text})`;
  const kind = errno === 2 || errno === 19 ? 'not-found' : errno === 17 ? 'conflict' : errno === 1 ? 'forbidden' : 'internal';
  const hint = errno === 1 ? 'naru needs CAP_NET_ADMIN in the host\'s network namespace' : `errno ${errnoName(errno)}`;
  return new NaruError(kind, `${what}: ${errnoText(errno)}${said}`, { errno, hint });
}
