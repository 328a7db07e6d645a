/**
 * DNS messages (RFC 1035, EDNS: RFC 6891) as far as a stub's server reads and writes them. Nothing here follows a compression pointer: a question
 * has none, and records are only stepped over. So no bytes can make a loop.
 */
export const TYPE = { a: 1, ns: 2, cname: 5, soa: 6, ptr: 12, mx: 15, txt: 16, aaaa: 28, srv: 33, opt: 41, any: 255 } as const;
export const RCODE = { ok: 0, format: 1, failure: 2, noName: 3, notImplemented: 4, refused: 5, badVersion: 16 } as const;
export const CLASS_IN = 1;
export const HEADER_BYTES = 12;
/** A message over UDP without EDNS. */
export const PLAIN_UDP_BYTES = 512;
/** What we send over UDP at most, whatever a client says: it goes over loopback. */
export const MAX_UDP_BYTES = 4096;
/** A longer question is no question. */
export const MAX_QUERY_BYTES = 4096;
const MAX_NAME_BYTES = 255, MAX_LABEL_BYTES = 63;
/** Records behind a question that are looked through for EDNS. */
const MAX_ADDITIONAL = 16;

/** What is known of a question; offsets are absolute in the buffer that it was read from. One object is used over and over. */
export interface Question {
  id: number;
  flags: number;
  nameAt: number;
  /** Behind the name: type and class follow. */
  nameEnd: number;
  /** Labels, the root not counted. */
  labels: number;
  type: number;
  class: number;
  hasEdns: boolean;
  ednsVersion: number;
  dnssecOk: boolean;
  /** How long an answer over UDP may be. */
  room: number;
}

export const newQuestion = (): Question => ({
  id: 0, flags: 0, nameAt: 0, nameEnd: 0, labels: 0, type: 0, class: 0, hasEdns: false, ednsVersion: 0, dnssecOk: false, room: PLAIN_UDP_BYTES,
});

const u16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;
const put16 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >> 8;
  bytes[at + 1] = value;
};

/** The end of the name at `at`, which must have no compression; 0: it is none. */
function endOfPlainName(bytes: Uint8Array, at: number, end: number): number {
  const limit = Math.min(end, at + MAX_NAME_BYTES);
  while (at < limit) {
    const length = bytes[at]!;
    if (length === 0) return at + 1;
    if (length > MAX_LABEL_BYTES) return 0;
    at += length + 1;
  }
  return 0;
}

/** Steps over a name that may end in a compression pointer; 0: it is none. Pointers lead back, to before the name: a chain of them ends. */
export function endOfName(bytes: Uint8Array, at: number, end: number): number {
  const start = at;
  const limit = Math.min(end, at + MAX_NAME_BYTES);
  while (at < limit) {
    const length = bytes[at]!;
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2 <= end && (((length & 0x3f) << 8) | bytes[at + 1]!) < start ? at + 2 : 0;
    if (length > MAX_LABEL_BYTES) return 0;
    at += length + 1;
  }
  return 0;
}

/**
 * Reads a query. RCODE.ok: `into` is filled; -1: it deserves no answer at all (no header, or an answer itself); else the code that refuses it
 * (`into` has id, flags, and with nameEnd > 0 the question).
 */
export function readQuestion(bytes: Uint8Array, { at, end, into }: { at: number; end: number; into: Question }): number {
  if (end - at < HEADER_BYTES) return -1;
  into.id = u16(bytes, at);
  const flags = into.flags = u16(bytes, at + 2);
  into.nameEnd = 0;
  into.hasEdns = false;
  into.dnssecOk = false;
  into.ednsVersion = 0;
  into.room = PLAIN_UDP_BYTES;
  if ((flags & 0x8000) !== 0) return -1;
  if ((flags & 0x7800) !== 0) return RCODE.notImplemented;
  if (u16(bytes, at + 4) !== 1 || u16(bytes, at + 6) !== 0 || u16(bytes, at + 8) !== 0) return RCODE.format;
  const additional = u16(bytes, at + 10);
  into.nameAt = at + HEADER_BYTES;
  let labels = 0;
  let cursor = into.nameAt;
  const limit = Math.min(end, cursor + MAX_NAME_BYTES);
  for (;;) {
    if (cursor >= limit) return RCODE.format;
    const length = bytes[cursor]!;
    if (length > MAX_LABEL_BYTES) return RCODE.format;
    cursor += length + 1;
    if (length === 0) break;
    labels++;
  }
  if (cursor + 4 > end) return RCODE.format;
  into.labels = labels;
  into.nameEnd = cursor;
  into.type = u16(bytes, cursor);
  into.class = u16(bytes, cursor + 2);
  if (additional === 0) return RCODE.ok;
  if (additional > MAX_ADDITIONAL) return RCODE.format;
  return readEdns(bytes, { at: cursor + 4, end, count: additional, into });
}

function readEdns(bytes: Uint8Array, { at, end, count, into }: { at: number; end: number; count: number; into: Question }): number {
  for (let cursor = at; count > 0; count--) {
    const fixed = endOfPlainName(bytes, cursor, end);
    if (fixed === 0 || fixed + 10 > end) return RCODE.format;
    const next = fixed + 10 + u16(bytes, fixed + 8);
    if (next > end) return RCODE.format;
    if (u16(bytes, fixed) === TYPE.opt) {
      // RFC 6891, 6.1.1: of the root, and only one
      if (into.hasEdns || fixed !== cursor + 1) return RCODE.format;
      into.hasEdns = true;
      into.room = Math.min(MAX_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, u16(bytes, fixed + 2)));
      into.ednsVersion = bytes[fixed + 5]!;
      into.dnssecOk = (bytes[fixed + 6]! & 0x80) !== 0;
    }
    cursor = next;
  }
  return into.ednsVersion === 0 ? RCODE.ok : RCODE.badVersion;
}

/** The name as text in lower case, labels joined by dots, without the one at the end. Octets that are no letters of host names stay apart by escapes. */
export function nameText(bytes: Uint8Array, at: number): string {
  const labels: string[] = [];
  for (let length = bytes[at]!; length > 0; length = bytes[at]!) {
    let label = '';
    for (let i = at + 1; i <= at + length; i++) {
      const octet = bytes[i]!;
      if (octet >= 0x41 && octet <= 0x5a) label += String.fromCharCode(octet + 32);
      else label += octet > 0x20 && octet < 0x7f && octet !== 0x2e && octet !== 0x5c ? String.fromCharCode(octet) : `\\${String(octet).padStart(3, '0')}`;
    }
    labels.push(label);
    at += length + 1;
  }
  return labels.join('.');
}

/** The bytes of a name without compression; undefined when it cannot be one. */
export function nameBytes(text: string): Uint8Array | undefined {
  const labels = text.replace(/\.$/, '').split('.').filter((label) => label !== '').map((label) => Buffer.from(label, 'latin1'));
  if (labels.some((label) => label.byteLength > MAX_LABEL_BYTES)) return undefined;
  const bytes = Buffer.concat([...labels.flatMap((label) => [Buffer.of(label.byteLength), label]), Buffer.of(0)]);
  return bytes.byteLength > MAX_NAME_BYTES ? undefined : bytes;
}

const OPT_BYTES = 11;
const FLAG_TRUNCATED = 0x0200;

/** Writes an answer to a question: header and question are repeated, then the records of `add` that fit. */
export class AnswerWriter {
  bytes: Uint8Array = new Uint8Array(0);
  #start = 0;
  #at = 0;
  #end = 0;
  #question: Question | undefined;
  #answers = 0;
  #cut = false;
  #code: number = RCODE.ok;

  /** Begins at `at`; the whole takes at most `room` bytes. */
  begin(from: Uint8Array, question: Question, { into, at, room }: { into: Uint8Array; at: number; room: number }): void {
    this.bytes = into;
    this.#start = at;
    this.#question = question;
    this.#answers = 0;
    this.#cut = false;
    this.#code = RCODE.ok;
    this.#end = at + room - (question.hasEdns ? OPT_BYTES : 0);
    put16(into, at, question.id);
    let cursor = at + HEADER_BYTES;
    if (question.nameEnd > 0) for (let i = question.nameAt; i < question.nameEnd + 4; i++) into[cursor++] = from[i]!;
    this.#at = cursor;
  }

  code(code: number): void {
    this.#code = code;
  }

  /** A record of the name that was asked for. */
  add(type: number, seconds: number, { data, at, length }: { data: Uint8Array; at: number; length: number }): void {
    const cursor = this.#at;
    if (cursor + 12 + length > this.#end) {
      this.#cut = true;
      return;
    }
    const { bytes } = this;
    bytes[cursor] = 0xc0;
    bytes[cursor + 1] = HEADER_BYTES;
    put16(bytes, cursor + 2, type);
    put16(bytes, cursor + 4, CLASS_IN);
    put16(bytes, cursor + 6, seconds >>> 16);
    put16(bytes, cursor + 8, seconds & 0xffff);
    put16(bytes, cursor + 10, length);
    for (let i = 0; i < length; i++) bytes[cursor + 12 + i] = data[at + i]!;
    this.#at = cursor + 12 + length;
    this.#answers++;
  }

  /** Its length. */
  finish(): number {
    const { bytes } = this;
    const question = this.#question!;
    const start = this.#start;
    if (question.hasEdns) {
      const at = this.#at;
      bytes.fill(0, at, at + OPT_BYTES);
      put16(bytes, at + 1, TYPE.opt);
      put16(bytes, at + 3, MAX_QUERY_BYTES);
      bytes[at + 5] = this.#code >> 4;
      if (question.dnssecOk) bytes[at + 7] = 0x80;
      this.#at = at + OPT_BYTES;
    }
    // An answer, recursion available; opcode, recursion desired and checking disabled as they came
    put16(bytes, start + 2, 0x8080 | (question.flags & 0x7910) | (this.#cut ? FLAG_TRUNCATED : 0) | (this.#code & 15));
    put16(bytes, start + 4, question.nameEnd > 0 ? 1 : 0);
    put16(bytes, start + 6, this.#answers);
    put16(bytes, start + 8, 0);
    put16(bytes, start + 10, question.hasEdns ? 1 : 0);
    return this.#at - start;
  }
}

export const isTruncated = (message: Uint8Array): boolean => (message[2]! & 2) !== 0;
export const codeOf = (message: Uint8Array): number => message[3]! & 15;

/**
 * Whether `answer` is one to `query` (a whole message of one question that we sent): id, that it is an answer to this opcode, and the question
 * octet by octet, letter case included. `case`: all but the case of letters is right.
 */
export function matches(query: Uint8Array, answer: Uint8Array, nameEnd: number): 'yes' | 'case' | 'no' {
  if (answer.byteLength < nameEnd + 4 || answer[0] !== query[0] || answer[1] !== query[1]) return 'no';
  if ((answer[2]! & 0xf8) !== 0x80 || u16(answer, 4) !== 1) return 'no';
  let exact = true;
  for (let i = HEADER_BYTES; i < nameEnd + 4; i++) {
    if (query[i] === answer[i]) continue;
    const inName = i < nameEnd && ((query[i]! | 32) >= 0x61 && (query[i]! | 32) <= 0x7a) && (query[i]! ^ answer[i]!) === 32;
    if (!inName) return 'no';
    exact = false;
  }
  return exact ? 'yes' : 'case';
}

/** Types whose data have a name, and how far within. */
const NAME_IN_DATA: ReadonlyMap<number, number> = new Map([[TYPE.ns, 0], [TYPE.cname, 0], [TYPE.soa, 0], [TYPE.ptr, 0], [TYPE.mx, 2], [TYPE.srv, 6]]);

/** The addresses in the answers of a message that `lifetimeOf` found whole, 4 or 16 bytes each. */
export function addressesOf(message: Uint8Array, nameEnd: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = nameEnd + 4, left = u16(message, 6); left > 0; left--) {
    const fixed = endOfName(message, at, message.byteLength);
    const length = u16(message, fixed + 8), type = u16(message, fixed);
    at = fixed + 10 + length;
    if ((type === TYPE.a && length === 4) || (type === TYPE.aaaa && length === 16)) found.push(message.subarray(at - length, at));
  }
  return found;
}

/** Seconds for which an answer may be kept (the least of its records; of a negative one, what its SOA allows), at most `most`; 0: not at all.
 *  Checks on the way that all records are whole, and that no name runs in a circle. undefined: the message is broken. */
export function lifetimeOf(message: Uint8Array, nameEnd: number, most: number): number | undefined {
  const end = message.byteLength;
  const counts = [u16(message, 6), u16(message, 8), u16(message, 10)] as const;
  let at = nameEnd + 4;
  let seconds = most;
  let hasSoa = false;
  for (let section = 0; section < 3; section++) {
    for (let i = counts[section]!; i > 0; i--) {
      const fixed = endOfName(message, at, end);
      if (fixed === 0 || fixed + 10 > end) return undefined;
      const next = fixed + 10 + u16(message, fixed + 8);
      if (next > end) return undefined;
      const type = u16(message, fixed);
      const inner = NAME_IN_DATA.get(type);
      if (inner !== undefined && endOfName(message, fixed + 10 + inner, next) === 0) return undefined;
      if (type !== TYPE.opt && section < 2) {
        seconds = Math.min(seconds, u16(message, fixed + 4) * 65536 + u16(message, fixed + 6));
        if (section === 1 && type === TYPE.soa && next - fixed - 10 >= 22) {
          hasSoa = true;
          seconds = Math.min(seconds, u16(message, next - 4) * 65536 + u16(message, next - 2));
        }
      }
      at = next;
    }
  }
  return counts[0] === 0 && !hasSoa ? 0 : seconds;
}
