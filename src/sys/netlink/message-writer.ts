import { NaruError } from '#spec/errors.ts';
import { NLM_F_ACK, NLM_F_REQUEST } from './netlink-constants.ts';

/** A u32 inside a batch whose value is only known later: what it stands for, and where it is. */
export interface Label {
  readonly name: string;
  readonly offset: number;
}

const NESTED = 0x8000;
const MAX_ATTRIBUTE_BYTES = 0xffff;
const encoder = new TextEncoder();

/**
 * Writes netlink messages one behind the other into one growing buffer. Integers are little-endian unless the method says
 * `be` (rtnetlink speaks the host's order, which is little-endian on every machine served; nfnetlink speaks network order).
 * Sequence numbers are 1, 2, 3 … in the order of the messages, so an answer's number less one is the message's index.
 */
export class MessageWriter {
  #bytes = new Uint8Array(512);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  #lastMessage = -1;
  /** Messages written so far. */
  count = 0;
  /** Sequence number of the last message that asks for an acknowledgement; 0: none does. */
  acknowledged = 0;
  readonly labels: Label[] = [];

  /** One message: `body` writes the family's header and the attributes. Flags are NLM_F_REQUEST plus those given. */
  message(type: number, flags: number, body: () => void): void {
    const start = this.#length;
    this.#lastMessage = start;
    this.#reserve(16);
    this.#length += 16;
    this.count += 1;
    if ((flags & NLM_F_ACK) !== 0) this.acknowledged = this.count;
    const sequence = this.count;
    body();
    this.#view.setUint32(start, this.#length - start, true);
    this.#view.setUint16(start + 4, type, true);
    this.#view.setUint16(start + 6, flags | NLM_F_REQUEST, true);
    this.#view.setUint32(start + 8, sequence, true);
    this.#view.setUint32(start + 12, 0, true);
  }

  /** Ask for an acknowledgement of the message written last. */
  acknowledgeLast(): void {
    if (this.#lastMessage < 0) return;
    this.acknowledged = this.count;
    const at = this.#lastMessage + 6;
    this.#view.setUint16(at, this.#view.getUint16(at, true) | NLM_F_ACK, true);
  }

  /** Raw bytes (a header), padded to 4. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.byteLength + 3);
    this.#bytes.set(bytes, this.#length);
    this.#advance(bytes.byteLength);
  }

  attribute(type: number, value: Uint8Array): void {
    this.#header(type, value.byteLength);
    this.raw(value);
  }

  flag(type: number): void {
    this.#header(type, 0);
  }

  /** A string with its NUL, as the kernel's NLA_NUL_STRING wants it. */
  string(type: number, value: string): void {
    this.attribute(type, encoder.encode(`${value}\0`));
  }

  u8(type: number, value: number): void {
    this.#header(type, 1);
    this.#reserve(4);
    this.#bytes[this.#length] = value;
    this.#advance(1);
  }

  u16(type: number, value: number): void {
    this.#header(type, 2);
    this.#reserve(4);
    this.#view.setUint16(this.#length, value, true);
    this.#advance(2);
  }

  u32(type: number, value: number): void {
    this.#header(type, 4);
    this.#reserve(4);
    this.#view.setUint32(this.#length, value, true);
    this.#advance(4);
  }

  be16(type: number, value: number): void {
    this.#header(type, 2);
    this.#reserve(4);
    this.#view.setUint16(this.#length, value, false);
    this.#advance(2);
  }

  be32(type: number, value: number): void {
    this.#header(type, 4);
    this.#reserve(4);
    this.#view.setUint32(this.#length, value, false);
    this.#advance(4);
  }

  /** A u32 attribute to be filled in at run time. */
  labelled(type: number, name: string): void {
    this.u32(type, 0);
    this.labels.push({ name, offset: this.#length - 4 });
  }

  /** Label the u32 that stands `back` bytes before the end of what was written. */
  labelBack(name: string, back: number): void {
    this.labels.push({ name, offset: this.#length - back });
  }

  /** An attribute that holds attributes. */
  nest(type: number, body: () => void): void {
    this.#container(type | NESTED, body);
  }

  /** As `nest`, without the NLA_F_NESTED bit: some of rtnetlink's older attributes predate it. */
  plainNest(type: number, body: () => void): void {
    this.#container(type, body);
  }

  /** The bytes so far (a copy). */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  get byteLength(): number {
    return this.#length;
  }

  #container(type: number, body: () => void): void {
    const start = this.#length;
    this.#reserve(4);
    this.#length += 4;
    body();
    const length = this.#length - start;
    if (length > MAX_ATTRIBUTE_BYTES) {
      throw new NaruError('too-large', `netlink attribute ${type & ~NESTED} of ${length} bytes: at most ${MAX_ATTRIBUTE_BYTES} fit`);
    }
    this.#view.setUint16(start, length, true);
    this.#view.setUint16(start + 2, type, true);
  }

  #header(type: number, length: number): void {
    if (length + 4 > MAX_ATTRIBUTE_BYTES) {
      throw new NaruError('too-large', `netlink attribute ${type} of ${length} bytes: at most ${MAX_ATTRIBUTE_BYTES - 4} fit`);
    }
    this.#reserve(4);
    this.#view.setUint16(this.#length, length + 4, true);
    this.#view.setUint16(this.#length + 2, type, true);
    this.#length += 4;
  }

  #advance(length: number): void {
    this.#length += (length + 3) & ~3; // the padding is zero: the buffer never held anything there
  }

  #reserve(length: number): void {
    const needed = this.#length + length + 8;
    if (needed <= this.#bytes.byteLength) return;
    const bigger = new Uint8Array(Math.max(needed, this.#bytes.byteLength * 2));
    bigger.set(this.#bytes);
    this.#bytes = bigger;
    this.#view = new DataView(bigger.buffer);
  }
}
