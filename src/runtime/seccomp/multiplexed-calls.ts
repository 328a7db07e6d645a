import type { Condition, Rule } from './rule.ts';

/** i386's two calls that stand for many: the first argument says which (net.h, ipc.h). */
const SOCKETCALL: Readonly<Record<string, number>> = {
  socket: 1, bind: 2, connect: 3, listen: 4, accept: 5, getsockname: 6, getpeername: 7, socketpair: 8, send: 9, recv: 10,
  sendto: 11, recvfrom: 12, shutdown: 13, setsockopt: 14, getsockopt: 15, sendmsg: 16, recvmsg: 17, accept4: 18, recvmmsg: 19,
  sendmmsg: 20,
};
const IPC: Readonly<Record<string, number>> = {
  semop: 1, semget: 2, semctl: 3, semtimedop: 4, msgsnd: 11, msgrcv: 12, msgget: 13, msgctl: 14, shmat: 21, shmdt: 22,
  shmget: 23, shmctl: 24,
};

/** Filters' return values order by permissiveness as signed integers: KILL_PROCESS is the least, ALLOW the most. */
const isStricter = (a: number, b: number): boolean => (a | 0) < (b | 0);

/**
 * The rule that a rule for `name` implies for i386's socketcall or ipc, as libseccomp has it; undefined when there is none.
 * Their arguments lie in memory, where a filter cannot see them: a conditional rule is carried over without its conditions
 * when it forbids more than the default, and not at all when it allows more.
 */
export function multiplexed(
  name: string, rule: { conditions: readonly Condition[]; result: number; fallback: number },
): { name: 'socketcall' | 'ipc'; rule: Rule } | undefined {
  const inSocketcall = Object.hasOwn(SOCKETCALL, name) ? SOCKETCALL[name] : undefined;
  const call = inSocketcall ?? (Object.hasOwn(IPC, name) ? IPC[name] : undefined);
  if (call === undefined) return undefined;
  if (rule.conditions.length > 0 && !isStricter(rule.result, rule.fallback)) return undefined;
  const condition: Condition = { index: 0, op: 'SCMP_CMP_EQ', value: BigInt(call), valueTwo: 0n };
  return { name: inSocketcall === undefined ? 'ipc' : 'socketcall', rule: { conditions: [condition], result: rule.result } };
}
