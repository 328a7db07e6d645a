import { closeQuietly } from '#sys/descriptors.ts';
import { FSCONFIG_SET_STRING, NR } from '#sys/numbers.ts';
import { syscall } from '#sys/syscalls.ts';

const FSOPEN_CLOEXEC = 1;
let answer: boolean | undefined;

/** Whether overlay takes `lowerdir+`, one lower layer at a time: asked once, of a file system context that is never created.
 *  Before 6.5 such a context takes any word and refuses only when it is created. */
export function overlayAppends(): boolean {
  answer ??= ask();
  return answer;
}

function ask(): boolean {
  const fd = syscall(NR.fsopen, 'overlay', FSOPEN_CLOEXEC);
  if (fd < 0) return false;
  const takes = (option: string): boolean => syscall(NR.fsconfig, fd, FSCONFIG_SET_STRING, option, '/', 0) === 0;
  const appends = !takes('naru-nonesuch') && takes('lowerdir+');
  closeQuietly(fd);
  return appends;
}
