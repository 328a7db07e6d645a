import { closeSync, openSync } from 'node:fs';
import { NR } from './numbers.ts';
import { check, syscall } from './syscalls.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;
const EWOULDBLOCK = 11;

/** Takes an exclusive flock(2) on the file (made when missing) for this process's life; undefined when somebody else holds it. */
export function lockFile(path: string): { release(): void } | undefined {
  const fd = openSync(path, 'a', 0o600);
  const result = syscall(NR.flock, fd, LOCK_EX | LOCK_NB);
  if (result === -EWOULDBLOCK) {
    closeSync(fd);
    return undefined;
  }
  check(result, `flock ${path}`);
  return { release: () => closeSync(fd) };
}
