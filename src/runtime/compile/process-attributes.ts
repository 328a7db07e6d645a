import type { OciLinux, OciProcess } from '#spec/oci-runtime.ts';
import { NaruError } from '#spec/errors.ts';

/** Numbers of the limits (include/uapi/asm-generic/resource.h). */
export const RLIMITS: Readonly<Record<string, number>> = {
  RLIMIT_CPU: 0, RLIMIT_FSIZE: 1, RLIMIT_DATA: 2, RLIMIT_STACK: 3, RLIMIT_CORE: 4, RLIMIT_RSS: 5, RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7, RLIMIT_MEMLOCK: 8, RLIMIT_AS: 9, RLIMIT_LOCKS: 10, RLIMIT_SIGPENDING: 11, RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13, RLIMIT_RTPRIO: 14, RLIMIT_RTTIME: 15,
};

export const SCHED_POLICIES: Readonly<Record<string, number>> = {
  SCHED_OTHER: 0, SCHED_FIFO: 1, SCHED_RR: 2, SCHED_BATCH: 3, SCHED_ISO: 4, SCHED_IDLE: 5, SCHED_DEADLINE: 6,
};
export const SCHED_FLAGS: Readonly<Record<string, number>> = {
  SCHED_FLAG_RESET_ON_FORK: 1, SCHED_FLAG_RECLAIM: 2, SCHED_FLAG_DL_OVERRUN: 4, SCHED_FLAG_KEEP_POLICY: 8,
  SCHED_FLAG_KEEP_PARAMS: 16, SCHED_FLAG_UTIL_CLAMP_MIN: 32, SCHED_FLAG_UTIL_CLAMP_MAX: 64,
};

/** struct sched_attr, version 0 (48 bytes). Throws `invalid` for an unknown policy or flag. */
export function schedulerAttributes(scheduler: NonNullable<OciProcess['scheduler']>): Uint8Array {
  const attr = new DataView(new ArrayBuffer(48));
  attr.setUint32(0, 48, true);
  attr.setUint32(4, lookUp(SCHED_POLICIES, scheduler.policy, '/process/scheduler/policy'), true);
  const flags = (scheduler.flags ?? []).reduce((sum, flag, i) => sum | lookUp(SCHED_FLAGS, flag, `/process/scheduler/flags/${i}`), 0);
  attr.setBigUint64(8, BigInt(flags), true);
  attr.setInt32(16, scheduler.nice ?? 0, true);
  attr.setUint32(20, scheduler.priority ?? 0, true);
  attr.setBigUint64(24, BigInt(scheduler.runtime ?? 0), true);
  attr.setBigUint64(32, BigInt(scheduler.deadline ?? 0), true);
  attr.setBigUint64(40, BigInt(scheduler.period ?? 0), true);
  return new Uint8Array(attr.buffer);
}

export const IO_CLASSES: Readonly<Record<string, number>> = { IOPRIO_CLASS_RT: 1, IOPRIO_CLASS_BE: 2, IOPRIO_CLASS_IDLE: 3 };

export const ioPriority = (priority: NonNullable<OciProcess['ioPriority']>): number =>
  (lookUp(IO_CLASSES, priority.class, '/process/ioPriority/class') << 13) | (priority.priority ?? 0);

/** The highest CPU number accepted in a list: what the kernel can be built for. */
const MAX_CPU = 8191;

/** `0-3,7` as the bit mask that sched_setaffinity(2) and set_mempolicy(2) take, in whole 8-byte words. */
export function affinityMask(list: string, pointer: string): Uint8Array {
  const cpus: number[] = [];
  for (const part of list.split(',')) {
    const match = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || last > MAX_CPU || first > last) throw new NaruError('invalid', `${pointer}: ${JSON.stringify(list)} is no list of numbers such as 0-3,7`);
    for (let cpu = first; cpu <= last; cpu++) cpus.push(cpu);
  }
  const mask = new Uint8Array((Math.floor(Math.max(...cpus) / 64) + 1) * 8);
  for (const cpu of cpus) mask[cpu >> 3]! |= 1 << (cpu & 7);
  return mask;
}

export const MEMORY_MODES: Readonly<Record<string, number>> = {
  MPOL_DEFAULT: 0, MPOL_PREFERRED: 1, MPOL_BIND: 2, MPOL_INTERLEAVE: 3, MPOL_LOCAL: 4, MPOL_PREFERRED_MANY: 5, MPOL_WEIGHTED_INTERLEAVE: 6,
};
export const MEMORY_FLAGS: Readonly<Record<string, number>> = { MPOL_F_STATIC_NODES: 1 << 15, MPOL_F_RELATIVE_NODES: 1 << 14, MPOL_F_NUMA_BALANCING: 1 << 13 };

/** https://man7.org/linux/man-pages/man2/set_mempolicy.2.html. Throws `invalid` for an unknown mode, flag or list. */
export function memoryPolicy(policy: NonNullable<OciLinux['memoryPolicy']>): { mode: number; nodes: Uint8Array } {
  const pointer = '/linux/memoryPolicy';
  const flags = (policy.flags ?? []).reduce((sum, flag, i) => sum | lookUp(MEMORY_FLAGS, flag, `${pointer}/flags/${i}`), 0);
  return {
    mode: lookUp(MEMORY_MODES, policy.mode, `${pointer}/mode`) | flags,
    nodes: policy.nodes === undefined || policy.nodes === '' ? new Uint8Array(0) : affinityMask(policy.nodes, `${pointer}/nodes`),
  };
}

const DOMAINS: Readonly<Record<string, number>> = { LINUX: 0, LINUX32: 8 };

export function personalityNumber(personality: NonNullable<OciLinux['personality']>): number {
  if ((personality.flags?.length ?? 0) > 0) throw new NaruError('unsupported', '/linux/personality/flags: no flag is defined by the specification');
  return lookUp(DOMAINS, personality.domain, '/linux/personality/domain');
}

function lookUp(table: Readonly<Record<string, number>>, name: string, pointer: string): number {
  if (!Object.hasOwn(table, name)) throw new NaruError('invalid', `${pointer}: ${JSON.stringify(name)} is not one of ${Object.keys(table).join(', ')}`);
  return table[name]!;
}
