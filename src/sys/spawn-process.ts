import { dlopen, FFIType } from 'bun:ffi';
import { closeQuietly } from './descriptors.ts';
import { F_DUPFD_CLOEXEC, NR } from './numbers.ts';
import { check, cstring, pointerOf, syscall, sysError } from './syscalls.ts';

const FIRST = 3;
/** More than any libc's posix_spawn_file_actions_t (glibc: 80 bytes) and posix_spawnattr_t (glibc: 336) take. */
const ACTIONS_BYTES = 256, ATTRIBUTES_BYTES = 1024;
const POSIX_SPAWN_SETSID = 0x80;

/**
 * posix_spawn(3): `program` with `argv` in a session of its own, an empty environment, our standard streams, and `descriptors` as its
 * 3, 4, ... (they stay the caller's). Nobody is told of its end, and nothing of ours waits for it. Throws when it cannot be executed. Returns its pid.
 *
 * Beside node:child_process this costs a command line 2 ms less: no module to load, nothing watched.
 */
export function spawnProcess(program: string, argv: readonly string[], descriptors: readonly number[]): number {
  const pointer = FFIType.ptr, number = FFIType.i32;
  const libc = dlopen('libc.so.6', {
    posix_spawn: { args: [pointer, pointer, pointer, pointer, pointer, pointer], returns: number },
    posix_spawn_file_actions_init: { args: [pointer], returns: number },
    posix_spawn_file_actions_adddup2: { args: [pointer, number, number], returns: number },
    posix_spawn_file_actions_destroy: { args: [pointer], returns: number },
    posix_spawnattr_init: { args: [pointer], returns: number },
    posix_spawnattr_setflags: { args: [pointer, FFIType.i16], returns: number },
  }).symbols;
  const actions = new Uint8Array(ACTIONS_BYTES), attributes = new Uint8Array(ATTRIBUTES_BYTES);
  // Out of the way first: one of them may have the number that another is to get.
  const moved: number[] = [];
  try {
    succeed(libc.posix_spawn_file_actions_init(actions), 'posix_spawn_file_actions_init');
    succeed(libc.posix_spawnattr_init(attributes), 'posix_spawnattr_init');
    succeed(libc.posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID), 'posix_spawnattr_setflags');
    for (const fd of descriptors) moved.push(check(syscall(NR.fcntl, fd, F_DUPFD_CLOEXEC, FIRST + descriptors.length), `dup ${fd}`));
    moved.forEach((fd, i) => succeed(libc.posix_spawn_file_actions_adddup2(actions, fd, FIRST + i), 'posix_spawn_file_actions_adddup2'));
    const texts = argv.map(cstring);
    const pid = new Int32Array(1);
    succeed(libc.posix_spawn(pid, cstring(program), actions, attributes, new BigUint64Array([...texts.map((text) => BigInt(pointerOf(text))), 0n]), new BigUint64Array(1)), `execute ${program}`);
    return pid[0]!;
  } finally {
    libc.posix_spawn_file_actions_destroy(actions);
    for (const fd of moved) closeQuietly(fd);
  }
}

function succeed(errno: number, what: string): void {
  if (errno !== 0) throw sysError(errno, what);
}
