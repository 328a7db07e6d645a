import { NaruError } from '#spec/errors.ts';
import { type DBusValue, decodeAt, decodeValues, encodeValues, type Variant } from './dbus-value.ts';

const CALL = 1, REPLY = 2, ERROR = 3, SIGNAL = 4;
const TYPES = { [CALL]: 'call', [REPLY]: 'reply', [ERROR]: 'error', [SIGNAL]: 'signal' } as const;
/** Header fields by code: https://dbus.freedesktop.org/doc/dbus-specification.html#message-protocol-header-fields */
const FIELD = { path: 1, interface: 2, member: 3, errorName: 4, replySerial: 5, destination: 6, sender: 7, signature: 8 } as const;
const FIXED_BYTES = 16;
/** systemd's longest answers are some KiB. */
const MAX_MESSAGE = 4 << 20;

export interface MethodCall {
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly destination?: string;
  readonly signature?: string;
  readonly body?: readonly DBusValue[];
}

export interface Message {
  readonly type: 'call' | 'reply' | 'error' | 'signal';
  readonly replySerial: number | undefined;
  readonly member: string | undefined;
  readonly errorName: string | undefined;
  readonly body: readonly DBusValue[];
}

export function encodeCall(call: MethodCall, serial: number): Buffer {
  const { signature = '', body = [] } = call;
  const bytes = encodeValues(signature, body);
  const field = (code: number, type: string, value: string | undefined): DBusValue[] => (value === undefined || value === '' ? [] : [[code, { signature: type, value }]]);
  const header = encodeValues('yyyyuua(yv)', ['l'.charCodeAt(0), CALL, 0, 1, bytes.length, serial, [
    ...field(FIELD.path, 'o', call.path), ...field(FIELD.interface, 's', call.interface), ...field(FIELD.member, 's', call.member),
    ...field(FIELD.destination, 's', call.destination), ...field(FIELD.signature, 'g', signature),
  ]]);
  return Buffer.concat([header, Buffer.alloc((8 - (header.length % 8)) % 8), bytes]);
}

/** The first message in `bytes` and its length; undefined: not all of it has come. Throws `corrupt`. */
export function decodeMessage(bytes: Buffer): { message: Message; length: number } | undefined {
  if (bytes.length < FIXED_BYTES) return undefined;
  if (bytes[0] !== 'l'.charCodeAt(0)) throw new NaruError('corrupt', 'D-Bus: a message that is not little-endian');
  const fields = bytes.readUInt32LE(12);
  const bodyAt = (FIXED_BYTES + fields + 7) & ~7;
  const length = bodyAt + bytes.readUInt32LE(4);
  if (fields > MAX_MESSAGE || length > MAX_MESSAGE) throw new NaruError('corrupt', `D-Bus: a message of ${length} bytes`);
  if (bytes.length < length) return undefined;
  const [pairs] = decodeAt('a(yv)', bytes.subarray(0, bodyAt), 12).values as [readonly (readonly [number, Variant])[]];
  const get = (code: number): DBusValue | undefined => pairs.find(([key]) => key === code)?.[1].value;
  const signature = (get(FIELD.signature) ?? '') as string;
  return {
    length,
    message: {
      type: TYPES[bytes[1] as keyof typeof TYPES] ?? 'call',
      replySerial: get(FIELD.replySerial) as number | undefined, member: get(FIELD.member) as string | undefined, errorName: get(FIELD.errorName) as string | undefined,
      body: decodeValues(signature, Buffer.from(bytes.subarray(bodyAt, length))),
    },
  };
}
