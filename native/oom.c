/* Kills by the kernel's out-of-memory killer: counted in a cgroup file, announced by an eventfd (v1) or POLLPRI (v2). */
#include "shim.h"

int op_oom_watch(struct task *task, const struct op *op) {
  int fd = (int)sys(openat, AT_FDCWD, arg_str(op, 0), O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  task->oom_fd = fd;
  if (!*arg_str(op, 1)) return 0;
  int event = (int)sys(eventfd2, 0, O_CLOEXEC | O_NONBLOCK);
  if (event < 0) return event;
  task->oom_event = event;
  char text[48];
  size_t n = decimal(text, (u64)event);
  text[n++] = ' ';
  n += decimal(text + n, (u64)fd);
  return write_path(arg_str(op, 1), 0, text, n);
}

static u32 oom_count(const struct task *task) {
  static const char word[] = "oom_kill ";
  char text[512];
  if (task->oom_fd < 0) return 0;
  long n = sys(pread64, task->oom_fd, text, sizeof text, 0);
  for (long i = 0; i + (long)sizeof word <= n; i++) {
    if ((i > 0 && text[i - 1] != '\n') || memcmp(text + i, word, sizeof word - 1) != 0) continue;
    u32 count = 0;
    for (i += sizeof word - 1; i < n && text[i] >= '0' && text[i] <= '9'; i++) count = count * 10 + (u32)(text[i] - '0');
    return count;
  }
  return 0;
}

void oom_poll(struct shim *shim) {
  const struct task *task = &shim->task;
  shim->poll_oom = task->oom_event >= 0 ? poll_add(shim, task->oom_event, POLLIN)
                                        : task->oom_fd >= 0 ? poll_add(shim, task->oom_fd, POLLPRI) : 0;
}

void oom_look(struct shim *shim) {
  u32 now = oom_count(&shim->task);
  if (now <= shim->ooms) return;
  shim->ooms = now;
  tell_all(shim, MSG_OOM, &now, sizeof now);
}

void oom_serve(struct shim *shim) {
  u64 count;
  if (!polled(shim, shim->poll_oom)) return;
  if (shim->task.oom_event >= 0) sys(read, shim->task.oom_event, &count, sizeof count);
  oom_look(shim);
}
