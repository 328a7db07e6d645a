import { NaruError } from '#spec/errors.ts';

/** A field of a message: its number, and a number or boolean (varint), a text, or a message. */
export type ProtoField = readonly [number: number, value: number | boolean | string | readonly ProtoField[]];

const VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5;
const MAX_VARINT_BYTES = 10;

/** https://protobuf.dev/programming-guides/encoding/ */
export function encodeProto(fields: readonly ProtoField[]): Buffer {
  return Buffer.concat(fields.flatMap(([number, value]) => {
    if (typeof value === 'number' || typeof value === 'boolean') return [varint((number << 3) | VARINT), varint(Number(value))];
    const bytes = typeof value === 'string' ? Buffer.from(value) : encodeProto(value);
    return [varint((number << 3) | BYTES), varint(bytes.length), bytes];
  }));
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = BigInt.asUintN(64, BigInt(value)); ; rest >>= 7n) {
    if (rest < 0x80n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 0x7fn) | 0x80);
  }
}

/** The last value of each field: a number, or bytes. Throws `corrupt`. */
export function decodeProto(bytes: Buffer): Map<number, number | Buffer> {
  const fields = new Map<number, number | Buffer>();
  let at = 0;
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new NaruError('corrupt', 'criu: a message ends too early');
    at += length;
    return bytes.subarray(at - length, at);
  };
  const number = (): number => {
    let value = 0n;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = take(1)[0]!;
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
    throw new NaruError('corrupt', 'criu: a number without an end');
  };
  while (at < bytes.length) {
    const key = number();
    const wire = key & 7;
    if (wire === VARINT) fields.set(key >>> 3, number());
    else if (wire === BYTES) fields.set(key >>> 3, take(number()));
    else if (wire === FIXED64 || wire === FIXED32) take(wire === FIXED64 ? 8 : 4);
    else throw new NaruError('corrupt', `criu: wire type ${wire}`);
  }
  return fields;
}
