/* What is written down when a process begins and ends. */
#include "shim.h"

int op_exit_file(struct task *task, const struct op *op) {
  task->exit_path = arg_str(op, 0);
  task->exit_sync = arg_int(op, 1) != 0;
  return 0;
}

int op_pid_file(struct task *task, const struct op *op) {
  task->pid_path = arg_str(op, 0);
  return 0;
}

int op_leave(struct task *task, const struct op *op) {
  task->leave = (int)arg_int(op, 0);
  return 0;
}

/* The directory a path lies in, synced: only then is a rename durable. */
static void sync_parent(const char *path) {
  char parent[PAGE];
  size_t n = strlen(path);
  while (n > 0 && path[n - 1] != '/') n--;
  if (n == 0 || n >= sizeof parent) return;
  memcpy(parent, path, n);
  parent[n] = 0;
  AUTO_FD fd = (int)sys(openat, AT_FDCWD, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd >= 0) sys(fsync, fd);
}

/* Nobody ever reads half a file. */
static void replace_file(const char *path, const void *bytes, size_t size) {
  char temporary[PAGE];
  size_t n = strlen(path);
  if (n + 5 > sizeof temporary) return;
  memcpy(temporary, path, n);
  memcpy(temporary + n, ".tmp", 5);
  AUTO_FD fd = (int)sys(openat, AT_FDCWD, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0 || write_once(fd, bytes, size) < 0) return;
  sys(renameat2, AT_FDCWD, temporary, AT_FDCWD, path, 0);
}

void write_exit_record(struct shim *shim) {
  i32 signal = shim->status & 0x7f;
  struct { u32 magic; i32 code, signal; u32 ooms, core, zero; u64 time; } record = {
      0x5458454e /* "NEXT" */, signal ? 0 : shim->status >> 8 & 0xff, signal, shim->ooms, (shim->status & 0x80) != 0, 0,
      shim->ended_ns,
  };
  if (shim->task.exit_path) replace_file(shim->task.exit_path, &record, sizeof record);
}

void sync_exit_record(const struct shim *shim) {
  if (!shim->task.exit_path || !shim->task.exit_sync) return;
  AUTO_FD fd = (int)sys(openat, AT_FDCWD, shim->task.exit_path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return; /* taken away by whoever heard of the end */
  sys(fsync, fd);
  sync_parent(shim->task.exit_path);
}

void write_pid_file(struct task *task) {
  char text[24];
  size_t n = decimal(text, (u64)task->child);
  if (task->pid_path) replace_file(task->pid_path, text, n);
}
