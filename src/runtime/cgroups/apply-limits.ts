import { open } from 'node:fs/promises';
import { constants } from 'node:fs';
import { codeOf, readGroupFile, writeError } from './cgroup-files.ts';
import { groupDirectory } from './cgroup-path.ts';
import type { LimitWrite } from './limit-write.ts';

/**
 * Write limits to a group that runs: all of them, or none. Limits that depend on one another (memory and memsw; period, quota
 * and burst) have an order that depends on the old values as well: what the kernel refuses with EINVAL is tried again once
 * others are in place. When one fails for good, those already written get their old values back, and the error names it.
 */
export async function applyLimits(path: string, limits: readonly LimitWrite[]): Promise<void> {
  const undo: LimitWrite[] = [];
  const failure = await writeAll(path, limits, undo);
  if (failure === undefined) return;
  await writeAll(path, undo.reverse(), []);
  throw writeError(failure.error, {
    path, file: failure.limit.file, value: failure.limit.value,
    hint: codeOf(failure.error) === 'EBUSY' ? 'The container uses more than that now.' : `It comes from resources${failure.limit.pointer}; nothing was changed.`,
  });
}

interface Failure { readonly limit: LimitWrite; readonly error: unknown }

async function writeAll(path: string, limits: readonly LimitWrite[], undo: LimitWrite[]): Promise<Failure | undefined> {
  let pending = [...limits];
  while (pending.length > 0) {
    const refused: Failure[] = [];
    for (const limit of pending) {
      const file = `${groupDirectory(limit.hierarchy, path)}/${limit.file}`;
      const before = previousValue(file, limit);
      try {
        await writeFileOnce(file, limit.value);
        if (before !== undefined) undo.push({ ...limit, value: before });
      } catch (error) {
        if (codeOf(error) !== 'EINVAL') return { limit, error };
        refused.push({ limit, error });
      }
    }
    if (refused.length === pending.length) return refused[0];
    pending = refused.map(({ limit }) => limit);
  }
  return undefined;
}

/** Off the event loop: lowering a memory limit reclaims before it returns. */
async function writeFileOnce(path: string, value: string): Promise<void> {
  const file = await open(path, constants.O_WRONLY);
  try {
    await file.write(value);
  } finally {
    await file.close();
  }
}

/** What puts a device back that had no limit. */
const NO_DEVICE_LIMIT: Readonly<Record<string, string>> = {
  'io.max': 'rbps=max wbps=max riops=max wiops=max', 'io.weight': 'default', 'io.bfq.weight': 'default',
};

/** The value to write to undo `limit`; undefined when it cannot be known. Files with a line for each device (or interface)
 *  give that line. */
export function previousValue(file: string, limit: Pick<LimitWrite, 'file' | 'value'>): string | undefined {
  const text = readGroupFile(file)?.trim();
  if (text === undefined) return undefined;
  if (limit.file === 'memory.oom_control') return /oom_kill_disable (\d)/.exec(text)?.[1];
  const key = /^(\d+:\d+) /.exec(limit.value)?.[1];
  if (key !== undefined) return text.split('\n').find((line) => line.startsWith(`${key} `)) ?? `${key} ${NO_DEVICE_LIMIT[limit.file] ?? '0'}`;
  if (limit.file === 'net_prio.ifpriomap' || limit.file === 'rdma.max') {
    return text.split('\n').find((line) => line.split(' ')[0] === limit.value.split(' ')[0]);
  }
  if (limit.file === 'io.weight' || limit.file === 'io.bfq.weight') return /^default (\d+)/m.exec(text)?.[1] ?? text.split('\n')[0];
  return text === '' ? '\n' : text;
}
