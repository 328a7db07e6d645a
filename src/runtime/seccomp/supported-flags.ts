import { NR } from '#sys/numbers.ts';
import { syscall } from '#sys/syscalls.ts';
import { FLAG_NEW_LISTENER, FLAGS } from './seccomp-numbers.ts';

const SECCOMP_SET_MODE_FILTER = 1;
const EFAULT = 14;

/** The filter flags, by their OCI names, that this kernel takes: with no program it answers EFAULT to those it knows, EINVAL to others,
 *  and changes nothing. https://man7.org/linux/man-pages/man2/seccomp.2.html */
export const supportedFilterFlags = (): string[] =>
  Object.keys(FLAGS).filter((name) => isKnown(FLAGS[name]!) || isKnown(FLAGS[name]! | FLAG_NEW_LISTENER)).sort();

const isKnown = (flags: number): boolean => syscall(NR.seccomp, SECCOMP_SET_MODE_FILTER, flags, null) === -EFAULT;
