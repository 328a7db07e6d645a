import { closeQuietly, pidfdOpen, pidfdSignal } from '#sys/descriptors.ts';
import { readGroupFile } from './cgroup-files.ts';

const SIGKILL = 9;

/** SIGKILL a process that was read from the group at `path`, unless its number belongs to somebody else by now: the
 *  descriptor is taken first and membership looked at then. False when it is gone or not (any more) in the group. */
export function killProcess(pid: number, path: string): boolean {
  let pidfd: number;
  try {
    pidfd = pidfdOpen(pid);
  } catch {
    return false;
  }
  try {
    const groups = (readGroupFile(`/proc/${pid}/cgroup`) ?? '').split('\n').map((line) => line.slice(line.indexOf(':', line.indexOf(':') + 1) + 1));
    return groups.some((group) => `${group}/`.includes(`${path}/`)) && pidfdSignal(pidfd, SIGKILL);
  } finally {
    closeQuietly(pidfd);
  }
}
