/**
 *   bun without-calls.ts NAME[,NAME…] PROGRAM ARG…
 * Becomes the program, under a filter that answers ENOSYS to these system calls: what an older kernel would say to them. The filter is
 * compiled by our own compiler, and stays on all that the program starts.
 */
import { compileSeccomp } from '#runtime/seccomp/compile-seccomp.ts';
import { NR } from '#sys/numbers.ts';
import { check, cstring, pointerOf, syscall } from '#sys/syscalls.ts';

const SECCOMP_SET_MODE_FILTER = 1, F_SETFD = 2, STREAMS = [0, 1, 2];
const ENOSYS = 38;

const [names, program, ...args] = process.argv.slice(2) as [string, string, ...string[]];
const { program: filter } = compileSeccomp({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: names.split(','), action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS }] });
const list = (texts: string[]): [BigUint64Array, Uint8Array[]] => {
  const kept = texts.map(cstring);
  return [new BigUint64Array([...kept.map((text) => BigInt(pointerOf(text))), 0n]), kept];
};
const [argv, keptArgs] = list([program, ...args]);
const [envp, keptEnv] = list(Object.entries(process.env).map(([name, value]) => `${name}=${value}`));
// struct sock_fprog
const filterProgram = new BigUint64Array([BigInt(filter.byteLength / 8), BigInt(pointerOf(filter))]);
for (const fd of STREAMS) syscall(NR.fcntl, fd, F_SETFD, 0);
check(syscall(NR.seccomp, SECCOMP_SET_MODE_FILTER, 0, new Uint8Array(filterProgram.buffer)), 'seccomp');
check(syscall(NR.execve, cstring(program), argv, envp), `execve ${program}`);
throw new Error(`not reached, ${keptArgs.length + keptEnv.length}`);
