import { signalIf } from '#sys/descriptors.ts';
import { readGroupFile } from './cgroup-files.ts';

const SIGKILL = 9;

/** SIGKILL a process that was read from the group at `path`, unless its number belongs to somebody else by now. False when it is gone
 *  or not (any more) in the group. */
export const killProcess = (pid: number, path: string): boolean => signalIf(pid, SIGKILL, () => {
  const groups = (readGroupFile(`/proc/${pid}/cgroup`) ?? '').split('\n').map((line) => line.slice(line.indexOf(':', line.indexOf(':') + 1) + 1));
  return groups.some((group) => `${group}/`.includes(`${path}/`));
});
