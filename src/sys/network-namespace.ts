import { closeSync, openSync, readFileSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { CLONE_NEWNET, NR } from './numbers.ts';
import { check, syscall } from './syscalls.ts';

/** Another process's network namespace, held by a descriptor. */
export class NetworkNamespace implements Disposable {
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** That of a process whose cgroup names `mark` (a container's id): a number that was reused is found out. Throws conflict. */
  static ofProcess(pid: number, mark: string): NetworkNamespace {
    const gone = new NaruError('conflict', `process ${pid} of container ${mark.slice(0, 12)} is gone`);
    const pidfd = syscall(NR.pidfd_open, pid, 0);
    if (pidfd < 0) throw gone;
    try {
      const fd = openSync(`/proc/${pid}/ns/net`, 'r');
      try {
        // Read while the process is held: if it is alive afterwards, all of this was about it.
        const ours = readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(mark);
        if (ours && syscall(NR.pidfd_send_signal, pidfd, 0, null, 0) === 0) return new NetworkNamespace(fd);
      } catch (error) {
        closeSync(fd);
        throw error;
      }
      closeSync(fd);
      throw gone;
    } catch (error) {
      // It ended in between: ENOENT when its files are opened, ESRCH when they are read.
      throw ['ENOENT', 'ESRCH'].includes(String((error as NodeJS.ErrnoException).code)) ? gone : error;
    } finally {
      closeSync(pidfd);
    }
  }

  /** Synchronous work with this thread inside. */
  within<T>(work: () => T): T {
    const home = openSync('/proc/thread-self/ns/net', 'r');
    try {
      check(syscall(NR.setns, this.fd, CLONE_NEWNET), 'enter the container\'s network namespace');
      try {
        return work();
      } finally {
        check(syscall(NR.setns, home, CLONE_NEWNET), 'come back from the container\'s network namespace');
      }
    } finally {
      closeSync(home);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}
