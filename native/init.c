/* Pid 1 of a container that asked for one: as tini does, it reaps everything, passes every signal on to the one process
 * that matters, and ends as that one ended. */
#include "task.h"

int op_init(struct task *task, const struct op *op) {
  (void)op;
  i32 pid = clone_process(0, -1, SIGCHLD, NULL);
  if (pid < 0) return pid;
  if (pid > 0) {
    pages_free((void *)(uintptr_t)task->plan.bytes, task->plan_pages);
    /* A container's process must not be able to reach the shim through this one. */
    sys(munmap, task->board, task->board_bytes);
    init_main(pid);
  }
  /* When the session is pid 1's, the child must be its foreground group, or ^C would go to pid 1. (SIGTTOU is blocked.) */
  if (sys(getsid, 0) == sys(getppid)) {
    sys(setpgid, 0, 0);
    int group = (int)sys(getpid);
    sys(ioctl, 0, TIOCSPGRP, &group);
  }
  return 0;
}

_Noreturn void init_main(i32 child) {
  u64 all = ~0ull;
  set_comm("init");
  sys(close_range, 3, ~0u, 0);
  for (;;) {
    int status;
    i32 pid;
    while ((pid = (i32)sys(wait4, -1, &status, WNOHANG, 0)) > 0)
      if (pid == child) quit((status & 0x7f) == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f));
    int signal = (int)sys(rt_sigtimedwait, &all, 0, 0, 8);
    if (signal > 0 && signal != SIGCHLD) sys(kill, child, signal);
  }
}
