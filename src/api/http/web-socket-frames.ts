import { createHash } from 'node:crypto';

/** RFC 6455, as a server needs it for a stream of bytes: where messages begin and end does not matter, what they say does. */
export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
/** RFC 6455, 7.4.1. */
export const CLOSE_CODE = { normal: 1000, protocol: 1002, tooBig: 1009, fault: 1011 } as const;
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** RFC 6455, 5.5. */
export const MAX_CONTROL_BYTES = 125;

/** `Sec-WebSocket-Accept` for a client's key (RFC 6455, 4.2.2). */
export const acceptKey = (key: string): string => createHash('sha1').update(key + ACCEPT_SUFFIX).digest('base64');

/** One whole, unmasked frame. */
export function encodeFrame(opcode: number, payload: Uint8Array): Buffer {
  const length = payload.byteLength;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = 0x80 | opcode;
  if (length < 126) head[1] = length;
  else if (length < 65_536) {
    head[1] = 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, payload]);
}

export function encodeClose(code: number): Buffer {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return encodeFrame(OPCODE.close, payload);
}

export interface FrameSink {
  /** Payload of data frames, as it comes; valid during the call. */
  data(bytes: Uint8Array): void;
  /** A whole control frame. */
  control(opcode: number, payload: Uint8Array): void;
}

/** Cuts frames out of a client's bytes. No data frame is held: its payload goes on as it comes, so that no length needs a bound. */
export class FrameReader {
  /** The close code, once the client broke the protocol: nothing is read any more. */
  failed: number | undefined;
  readonly #sink: FrameSink;
  #head = Buffer.alloc(0);
  #opcode = -1;
  #left = 0;
  #mask = Buffer.alloc(4);
  #at = 0;
  #control: Buffer[] = [];
  #inMessage = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  push(bytes: Uint8Array): void {
    let rest = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    while (this.failed === undefined) {
      if (this.#opcode < 0) {
        this.#head = Buffer.concat([this.#head, rest]);
        const used = this.#readHead();
        if (used === 0) return;
        rest = this.#head.subarray(used);
        this.#head = Buffer.alloc(0);
      }
      const piece = rest.subarray(0, Math.min(this.#left, rest.byteLength));
      this.#payload(piece);
      rest = rest.subarray(piece.byteLength);
      if (this.#left > 0) return;
      if (this.#opcode >= 8) this.#sink.control(this.#opcode, Buffer.concat(this.#control.splice(0)));
      this.#opcode = -1;
    }
  }

  /** Bytes of the head; 0: not all here yet, or the protocol is broken. */
  #readHead(): number {
    const head = this.#head;
    if (head.byteLength < 2) return 0;
    const [first, second] = [head[0]!, head[1]!];
    const opcode = first & 15;
    const final = (first & 0x80) !== 0;
    const known = opcode <= 2 || (opcode >= 8 && opcode <= 10);
    const fragment = opcode >= 8 ? !final || (second & 127) > MAX_CONTROL_BYTES : (opcode === 0) !== this.#inMessage;
    if ((first & 0x70) !== 0 || (second & 0x80) === 0 || !known || fragment) {
      this.failed = CLOSE_CODE.protocol;
      return 0;
    }
    const extra = (second & 127) === 126 ? 2 : (second & 127) === 127 ? 8 : 0;
    const size = 2 + extra + 4;
    if (head.byteLength < size) return 0;
    const length = extra === 0 ? second & 127 : extra === 2 ? head.readUInt16BE(2) : Number(head.readBigUInt64BE(2));
    if (!Number.isSafeInteger(length)) {
      this.failed = CLOSE_CODE.tooBig;
      return 0;
    }
    head.copy(this.#mask, 0, size - 4, size);
    this.#opcode = opcode;
    this.#left = length;
    this.#at = 0;
    if (opcode < 8) this.#inMessage = !final;
    return size;
  }

  #payload(piece: Buffer): void {
    if (piece.byteLength === 0) return;
    const plain = Buffer.allocUnsafe(piece.byteLength);
    for (let i = 0; i < piece.byteLength; i++) plain[i] = piece[i]! ^ this.#mask[(this.#at + i) & 3]!;
    this.#at = (this.#at + piece.byteLength) & 3;
    this.#left -= piece.byteLength;
    if (this.#opcode >= 8) this.#control.push(plain);
    else this.#sink.data(plain);
  }
}
