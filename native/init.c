/* Pid 1 of a container that asked for one: as tini does, it reaps everything, passes every signal on to the one process
 * that matters, and ends as that one ended. */
#include "task.h"

extern char __executable_start[], etext[], edata[], end[];

/* What /proc/self/cmdline says: a copy of the words, on pages of their own. Nothing where the kernel cannot (it was built without
 * CHECKPOINT_RESTORE): then the words of the helper are seen. */
static void say_words(const void *words, size_t n) {
  u8 *copy = n == 0 ? NULL : pages(n);
  if (copy == NULL) return;
  memcpy(copy, words, n);
  const char *name = (const char *)copy;
  for (const char *at = name; *at; at++)
    if (*at == '/') name = at + 1;
  set_comm(name);
  u64 brk = (u64)sys(brk, 0), at = (u64)(uintptr_t)copy;
  struct mm_map map = {
    .start_code = (u64)(uintptr_t)__executable_start, .end_code = (u64)(uintptr_t)etext,
    .start_data = (u64)(uintptr_t)etext, .end_data = (u64)(uintptr_t)edata, .start_brk = brk, .brk = brk,
    .start_stack = (u64)(uintptr_t)&map, .arg_start = at, .arg_end = at + n, .env_start = at + n, .env_end = at + n, .exe_fd = ~0u,
  };
  sys(prctl, PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0);
}

int op_init(struct task *task, const struct op *op) {
  i32 pid = clone_process(0, -1, SIGCHLD, NULL);
  if (pid < 0) return pid;
  if (pid > 0) {
    size_t n;
    set_comm("init");
    const void *words = arg_bytes(op, 0, &n);
    say_words(words, n);
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
