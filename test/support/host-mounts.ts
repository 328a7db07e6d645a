import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';

/**
 * Root and mount point of each mount that a process sees, sorted. Not those in /run and in the directory for temporary files, unless they
 * are below `own`: tests in the other lane come and go there, and a mount point that is deleted takes its mounts out of every namespace.
 */
export const mountsOf = (pid: number | 'self', own: string): string[] => readFileSync(`/proc/${pid}/mountinfo`, 'utf8').split('\n').map((line) => line.split(' ').slice(3, 5))
  .filter(([, at = '']) => at.startsWith(own) || !['/run/', `${tmpdir()}/`].some((others) => at.startsWith(others))).map((line) => line.join(' ')).sort();
