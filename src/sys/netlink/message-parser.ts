import { NaruError } from '#spec/errors.ts';
import { NLMSGERR_ATTR_MSG, NLM_F_ACK_TLVS, NLM_F_CAPPED } from './netlink-constants.ts';

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** What follows the 16 bytes of the header. A view of the datagram. */
  readonly payload: Uint8Array;
}

export interface NetlinkError {
  /** A positive errno; 0 is an acknowledgement. */
  readonly errno: number;
  /** The kernel's own words (extended acknowledgement), when it has any. */
  readonly text: string | undefined;
}

const HEADER = 16;
const TYPE_MASK = 0x3fff; // without NLA_F_NESTED and NLA_F_NET_BYTEORDER

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The messages of one datagram. Throws corrupt when a length lies. */
export function parseMessages(datagram: Uint8Array): NetlinkMessage[] {
  const view = viewOf(datagram);
  const messages: NetlinkMessage[] = [];
  let at = 0;
  while (at + HEADER <= datagram.byteLength) {
    const length = view.getUint32(at, true);
    if (length < HEADER || length > datagram.byteLength - at) {
      throw new NaruError('corrupt', `netlink message at byte ${at}: length ${length} of ${datagram.byteLength - at} bytes`);
    }
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      payload: datagram.subarray(at + HEADER, at + length),
    });
    at += (length + 3) & ~3;
  }
  if (at < datagram.byteLength) throw new NaruError('corrupt', `netlink datagram: ${datagram.byteLength - at} bytes after the last message`);
  return messages;
}

export type Attributes = ReadonlyMap<number, Uint8Array>;

/** Attributes as [type, value] in order, repeated ones included. Throws corrupt when a length lies. */
export function listAttributes(bytes: Uint8Array, start = 0): [number, Uint8Array][] {
  const view = viewOf(bytes);
  const found: [number, Uint8Array][] = [];
  let at = start;
  while (at + 4 <= bytes.byteLength) {
    const length = view.getUint16(at, true);
    if (length < 4 || length > bytes.byteLength - at) {
      throw new NaruError('corrupt', `netlink attribute at byte ${at}: length ${length} of ${bytes.byteLength - at} bytes`);
    }
    found.push([view.getUint16(at + 2, true) & TYPE_MASK, bytes.subarray(at + 4, at + length)]);
    at += (length + 3) & ~3;
  }
  return found;
}

/** Attributes by type; of repeated ones the last. Values are views. */
export const parseAttributes = (bytes: Uint8Array, start = 0): Attributes => new Map(listAttributes(bytes, start));

export function attributeString(value: Uint8Array | undefined): string {
  if (value === undefined) return '';
  const end = value.indexOf(0);
  return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
}

/** A little-endian u32; undefined when missing or too short. */
export function attributeU32(value: Uint8Array | undefined): number | undefined {
  return value === undefined || value.byteLength < 4 ? undefined : viewOf(value).getUint32(0, true);
}

/** The payload of an NLMSG_ERROR, or of an NLMSG_DONE (which starts alike). */
export function parseError(message: NetlinkMessage): NetlinkError {
  const { payload } = message;
  if (payload.byteLength < 4) throw new NaruError('corrupt', `netlink error message of ${payload.byteLength} bytes`);
  const errno = -viewOf(payload).getInt32(0, true);
  if ((message.flags & NLM_F_ACK_TLVS) === 0 || payload.byteLength < 4 + HEADER) return { errno, text: undefined };
  const echoed = (message.flags & NLM_F_CAPPED) !== 0 ? HEADER : Math.max(HEADER, viewOf(payload).getUint32(4, true));
  const text = attributeString(parseAttributes(payload, 4 + ((echoed + 3) & ~3)).get(NLMSGERR_ATTR_MSG));
  return { errno, text: text === '' ? undefined : text };
}
