import { FFIType, dlopen, ptr, read } from 'bun:ffi';
import { NaruError } from '#spec/errors.ts';
import { errnoName, errnoText } from './errno.ts';

/**
 * Raw system calls through libc's syscall(2). A call returns its result, or -errno; `check` turns that into an error
 * that names the call and the object. Every buffer that is passed lives until the call returns (all calls here are
 * synchronous and quick: nothing that can block belongs in this file).
 */
const libc = dlopen('libc.so.6', {
  syscall: { args: ['i64', 'i64', 'i64', 'i64', 'i64', 'i64', 'i64'], returns: FFIType.i64_fast },
  __errno_location: { args: [], returns: 'ptr' },
});

export type SyscallArg = number | bigint | Uint8Array | Uint32Array | Int32Array | BigUint64Array | string | null;

const encoder = new TextEncoder();
/** A NUL-terminated copy of the text. Throws EINVAL-like when it contains a NUL. */
export function cstring(text: string): Uint8Array {
  if (text.includes('\0')) throw new NaruError('invalid', `string contains a NUL byte: ${JSON.stringify(text)}`);
  return encoder.encode(`${text}\0`);
}

const lower = (arg: SyscallArg, keep: unknown[]): number | bigint => {
  if (typeof arg === 'number' || typeof arg === 'bigint') return arg;
  if (arg === null) return 0;
  const bytes = typeof arg === 'string' ? cstring(arg) : arg;
  if (bytes.byteLength === 0) return 0;
  keep.push(bytes);
  return ptr(bytes);
};

/** The call's result, or -errno. */
export function syscall(nr: number, ...args: SyscallArg[]): number {
  const keep: unknown[] = [];
  const a = [0, 0, 0, 0, 0, 0] as (number | bigint)[];
  for (let i = 0; i < args.length; i++) a[i] = lower(args[i] as SyscallArg, keep);
  const result = Number(libc.symbols.syscall(nr, a[0]!, a[1]!, a[2]!, a[3]!, a[4]!, a[5]!));
  if (result !== -1) return result;
  const location = libc.symbols.__errno_location();
  return location === null ? -5 : -read.i32(location);
}

/** The same for a hot path: six numbers, pointers by `pointerOf`, nothing is made. */
export function rawSyscall(nr: number, a: number, b: number, c: number, d: number, e: number, f: number): number {
  const result = Number(libc.symbols.syscall(nr, a, b, c, d, e, f));
  if (result !== -1) return result;
  const location = libc.symbols.__errno_location();
  return location === null ? -5 : -read.i32(location);
}

/** Where the bytes lie, for as long as somebody holds on to them: they do not move. */
export const pointerOf = (bytes: Uint8Array): number => Number(ptr(bytes));

/** Throws for a negative result: `what` is "openat2 /some/path". */
export function check(result: number, what: string): number {
  if (result >= 0) return result;
  throw sysError(-result, what);
}

export function sysError(errno: number, what: string): NaruError {
  const kind = errno === 2 ? 'not-found' : errno === 28 || errno === 122 ? 'no-space' : errno === 17 ? 'conflict' : 'internal';
  return new NaruError(kind, `${what}: ${errnoText(errno)}`, { errno, hint: `errno ${errnoName(errno)}` });
}
