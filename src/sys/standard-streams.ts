import { dlopen, FFIType, ptr, read } from 'bun:ffi';

const { i32, ptr: pointer, u64, i64_fast } = FFIType;
/**
 * The few calls that a command line cannot do without, through libc: node:fs and node:tty do the same, and take 1.4 and 3 ms of every
 * command to load, this 0.5.
 */
const libc = dlopen('libc.so.6', {
  open: { args: [pointer, i32, i32], returns: i32 },
  close: { args: [i32], returns: i32 },
  read: { args: [i32, pointer, u64], returns: i64_fast },
  write: { args: [i32, pointer, u64], returns: i64_fast },
  poll: { args: [pointer, u64, i32], returns: i32 },
  isatty: { args: [i32], returns: i32 },
  ioctl: { args: [i32, u64, pointer], returns: i32 },
  __errno_location: { args: [], returns: pointer },
}).symbols;

const O_CLOEXEC = 0o2000000;
const TIOCGWINSZ = 0x5413;
const POLLIN = 1, POLLOUT = 4;
const EINTR = 4, EIO = 5;
const CHUNK = 16 << 10;

function errno(): number {
  const location = libc.__errno_location();
  return location === null ? EIO : read.i32(location);
}

/** write(2): how many bytes were taken, or -errno. `bytes` is not empty. */
export function writeSome(fd: number, bytes: Uint8Array): number {
  for (;;) {
    const count = Number(libc.write(fd, ptr(bytes), bytes.length));
    if (count >= 0) return count;
    const error = errno();
    if (error !== EINTR) return -error;
  }
}

/** A write of a page would not wait. */
export const isWritable = (fd: number): boolean => isReady(fd, POLLOUT);

/** A read would not wait. */
export const isReadable = (fd: number): boolean => isReady(fd, POLLIN);

function isReady(fd: number, event: number): boolean {
  const wanted = new Int32Array([fd, event]); // struct pollfd: fd, then two shorts
  return libc.poll(ptr(wanted), 1, 0) === 1 && ((wanted[1]! >> 16) & event) !== 0;
}

export const isTerminal = (fd: number): boolean => libc.isatty(fd) === 1;

/** The size of the terminal at `fd` in characters, or undefined. */
export function windowSize(fd: number): { rows: number; columns: number } | undefined {
  const size = new Uint16Array(4); // struct winsize: rows, columns, and pixels
  return libc.ioctl(fd, TIOCGWINSZ, ptr(size)) < 0 ? undefined : { rows: size[0]!, columns: size[1]! };
}

/** A file's text, or undefined when it cannot be read. */
export function readText(path: string): string | undefined {
  const fd = libc.open(ptr(new TextEncoder().encode(`${path}\0`)), O_CLOEXEC, 0);
  if (fd < 0) return undefined;
  try {
    const decoder = new TextDecoder();
    const chunk = new Uint8Array(CHUNK);
    for (let text = ''; ;) {
      const count = Number(libc.read(fd, ptr(chunk), chunk.length));
      if (count === 0) return text + decoder.decode();
      if (count > 0) text += decoder.decode(chunk.subarray(0, count), { stream: true });
      else if (errno() !== EINTR) return undefined;
    }
  } finally {
    libc.close(fd);
  }
}
