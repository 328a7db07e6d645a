/**
 * The shim's log record (native/README.md): u32 payload length, u8 stream, u8 flags, u16 0, u64 realtime ns; payload; u32 length of the
 * whole record. Little-endian. A record is one read of the pipe, not a line.
 */
export const HEADER_BYTES = 16;
export const TRAILER_BYTES = 4;
export const OVERHEAD_BYTES = HEADER_BYTES + TRAILER_BYTES;
/** Longest payload believed; more is damage. */
export const PAYLOAD_LIMIT = 16 * 1024 * 1024;
/** Docker's frame header: u8 stream, 3 x 0, u32 big-endian length. */
export const FRAME_BYTES = 8;

export const STDOUT = 1;
export const STDERR = 2;

export const readU32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;

/** Nanoseconds of the record whose header stands at `at`. */
export const readTime = (bytes: Uint8Array, at: number): bigint => (BigInt(readU32(bytes, at + 12)) << 32n) | BigInt(readU32(bytes, at + 8));

export const isHeader = (bytes: Uint8Array, at: number): boolean =>
  (bytes[at + 4] === STDOUT || bytes[at + 4] === STDERR) && readU32(bytes, at) <= PAYLOAD_LIMIT;

/** A record as the shim writes it, for tests. */
export function encodeRecord(stream: 1 | 2, time: bigint, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(OVERHEAD_BYTES + payload.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, payload.byteLength, true);
  bytes[4] = stream;
  view.setBigUint64(8, time, true);
  bytes.set(payload, HEADER_BYTES);
  view.setUint32(HEADER_BYTES + payload.byteLength, bytes.byteLength, true);
  return bytes;
}
