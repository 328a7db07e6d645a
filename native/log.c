/* The log file: records appended, files rotated. */
#include "shim.h"

static int log_open(struct task *task, int flags) {
  struct statx_k st;
  int fd = (int)sys(openat, AT_FDCWD, task->log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | flags, 0640);
  if (fd < 0) return fd;
  task->log_size = statx_fd(fd, &st) < 0 ? 0 : st.size;
  task->log_fd = fd;
  return 0;
}

int op_log(struct task *task, const struct op *op) {
  task->log_path = arg_str(op, 0);
  task->log_max = arg_int(op, 1);
  task->log_files = (u32)MIN(arg_int(op, 2), 1000u);
  return log_open(task, 0);
}

static void numbered(char *out, const char *path, u32 number) {
  size_t n = strlen(path);
  memcpy(out, path, n + 1);
  if (number == 0) return;
  out[n++] = '.';
  decimal(out + n, number);
}

/* path.(n-1) is lost, path.1 becomes path.2, path becomes path.1. */
static void rotate(struct task *task) {
  char from[PAGE], to[PAGE];
  if (strlen(task->log_path) + 12 > PAGE) return;
  close_quietly(&task->log_fd);
  for (u32 i = task->log_files; i-- > 1;) {
    numbered(from, task->log_path, i - 1);
    numbered(to, task->log_path, i);
    sys(renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
  }
  log_open(task, task->log_files > 1 ? 0 : O_TRUNC);
}

void log_record(struct task *task, int stream, const u8 *bytes, u32 n) {
  struct { u32 size; u8 stream, flags; u16 zero; u64 time; } header = {n, (u8)stream, 0, 0, now_ns(CLOCK_REALTIME)};
  u32 whole = sizeof header + n + 4;
  struct iovec parts[3] = {{&header, sizeof header}, {(void *)(uintptr_t)bytes, n}, {&whole, 4}};
  if (task->log_fd < 0) return;
  if (task->log_max > 0 && task->log_size > 0 && task->log_size + whole > task->log_max) rotate(task);
  long done;
  do done = sys(writev, task->log_fd, parts, 3);
  while (done == -EINTR);
  if (done == (long)whole) {
    task->log_size += whole;
  } else if (done > 0) {
    /* A full disk: without the torn record the file stays readable. */
    sys(ftruncate, task->log_fd, task->log_size);
  }
}
