/** What the kernel has of AppArmor is on. */
export const APPARMOR = '/sys/kernel/security/apparmor';

const U32 = 2, NAME = 4, STRING = 5, STRUCT = 7, STRUCT_END = 8;
const ABI = 5;
const UNCONFINED = 3;

/** A policy as `.load` takes it (security/apparmor/policy_unpack.c): one profile of this name that forbids nothing, so that only the name tells who is
 *  in it. */
export function profilePolicy(name: string): Uint8Array {
  const text = (code: number, value: string): Buffer => {
    const bytes = Buffer.from(`${value}\0`);
    return Buffer.concat([Buffer.of(code, bytes.length & 0xff, bytes.length >> 8), bytes]);
  };
  const number = (value: number): Buffer => {
    const bytes = Buffer.alloc(5, U32);
    bytes.writeUInt32LE(value, 1);
    return bytes;
  };
  const none = number(0);
  return Buffer.concat([
    text(NAME, 'version'), number(ABI),
    text(NAME, 'profile'), Buffer.of(STRUCT), text(STRING, name),
    text(NAME, 'flags'), Buffer.of(STRUCT), none, number(UNCONFINED), none, Buffer.of(STRUCT_END),
    none, none, none, none, // capabilities
    Buffer.of(STRUCT_END),
  ]);
}
