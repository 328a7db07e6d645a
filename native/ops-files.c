/* Operations on files of ours. */
#include "task.h"

int op_mkdir(struct task *task, const struct op *op) {
  (void)task;
  return (int)sys(mkdirat, AT_FDCWD, arg_str(op, 0), arg_int(op, 1));
}

int op_rmdir(struct task *task, const struct op *op) {
  (void)task;
  return (int)sys(unlinkat, AT_FDCWD, arg_str(op, 0), AT_REMOVEDIR);
}

int op_unlink(struct task *task, const struct op *op) {
  (void)task;
  return (int)sys(unlinkat, AT_FDCWD, arg_str(op, 0), 0);
}

int op_write(struct task *task, const struct op *op) {
  (void)task;
  size_t n;
  const void *data = arg_bytes(op, 2, &n);
  return write_path(arg_str(op, 0), (int)arg_int(op, 1), data, n);
}

int op_open(struct task *task, const struct op *op) {
  int at = arg_slot(task, op, 1, AT_FDCWD);
  return fill_slot(task, op, 0, open2(at, arg_str(op, 2), arg_int(op, 3), arg_int(op, 4), arg_int(op, 5)));
}

int op_close(struct task *task, const struct op *op) {
  u64 slot = arg_int(op, 0);
  if (slot == UINT64_MAX || task->slots[slot] < 0) return -EBADF;
  close_quietly(&task->slots[slot]);
  return 0;
}

int op_write_at(struct task *task, const struct op *op) {
  size_t n;
  const void *data = arg_bytes(op, 3, &n);
  AUTO_FD fd = open2(arg_slot(task, op, 0, AT_FDCWD), arg_str(op, 1), O_WRONLY, 0, arg_int(op, 2));
  return fd < 0 ? fd : write_once(fd, data, n);
}

int op_write_pid(struct task *task, const struct op *op) {
  char text[24];
  size_t n = decimal(text, task->in_child ? 0 : (u64)task->child);
  return write_path(arg_str(op, 0), 0, text, n);
}

int op_write_slot(struct task *task, const struct op *op) {
  size_t n;
  const void *data = arg_bytes(op, 1, &n);
  AUTO_FD fd = arg_slot(task, op, 0, -1);
  if (fd < 0) return -EBADF;
  task->slots[arg_int(op, 0)] = -1;
  return write_once(fd, data, n);
}

/* One pass over a cgroup.procs: how many processes it named, or -errno. */
static int kill_listed(const char *path) {
  char text[512];
  AUTO_FD fd = (int)sys(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  i32 pid = 0;
  int killed = 0;
  for (;;) {
    long got = sys(read, fd, text, sizeof text);
    if (got <= 0) return got < 0 ? (int)got : killed;
    for (long i = 0; i < got; i++) {
      if (text[i] >= '0' && text[i] <= '9') {
        pid = pid * 10 + (text[i] - '0');
        continue;
      }
      /* "0": a process that this pid namespace does not see. */
      if (pid > 1) {
        sys(kill, pid, SIGKILL);
        killed++;
      }
      pid = 0;
    }
  }
}

int op_kill_procs(struct task *task, const struct op *op) {
  (void)task;
  u64 deadline = 0;
  for (u32 pause = 1;; pause = MIN(pause * 2, 20u)) {
    int left = kill_listed(arg_str(op, 0));
    if (left <= 0) return left;
    u64 now = now_ns(CLOCK_MONOTONIC);
    if (deadline == 0) deadline = now + arg_int(op, 1) * 1000000;
    if (now >= deadline) return -ETIMEDOUT;
    sleep_ms(pause);
  }
}

int op_chown(struct task *task, const struct op *op) {
  (void)task;
  return (int)sys(fchownat, AT_FDCWD, arg_str(op, 0), (u32)arg_int(op, 1), (u32)arg_int(op, 2), 0);
}

int op_chmod(struct task *task, const struct op *op) {
  (void)task;
  return (int)sys(fchmodat, AT_FDCWD, arg_str(op, 0), arg_int(op, 1));
}

int op_mkfifo(struct task *task, const struct op *op) {
  (void)task;
  return (int)sys(mknodat, AT_FDCWD, arg_str(op, 0), S_IFIFO | arg_int(op, 1), 0);
}

/* Opens /proc/<child>/<name>. */
static int open_child(struct task *task, const char *name, u64 flags) {
  char path[64] = "/proc/";
  size_t n = 6 + decimal(path + 6, (u64)task->child);
  size_t length = strlen(name);
  if (task->in_child || task->child <= 0) return -ESRCH;
  if (n + 1 + length >= sizeof path) return -ENAMETOOLONG;
  path[n++] = '/';
  memcpy(path + n, name, length + 1);
  return (int)sys(openat, AT_FDCWD, path, flags | O_CLOEXEC, 0);
}

int op_child_ns(struct task *task, const struct op *op) {
  char path[32] = "ns/";
  size_t n = strlen(arg_str(op, 1));
  if (n + 4 > sizeof path) return -ENAMETOOLONG;
  memcpy(path + 3, arg_str(op, 1), n + 1);
  return fill_slot(task, op, 0, open_child(task, path, O_RDONLY));
}

int op_child_write(struct task *task, const struct op *op) {
  size_t n;
  const void *data = arg_bytes(op, 1, &n);
  AUTO_FD fd = open_child(task, arg_str(op, 0), O_WRONLY);
  return fd < 0 ? fd : write_once(fd, data, n);
}

int op_label(struct task *task, const struct op *op) {
  (void)task;
  u64 type[32];
  AUTO_FD fd = (int)sys(openat, AT_FDCWD, arg_str(op, 0), O_WRONLY | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  /* The container made this /proc: a label written elsewhere would silently not be set. */
  int error = (int)sys(fstatfs, fd, type);
  if (error < 0) return error;
  if (type[0] != PROC_SUPER_MAGIC) return -EPERM;
  return write_once(fd, arg_str(op, 1), strlen(arg_str(op, 1)));
}

int op_send_fd(struct task *task, const struct op *op) {
  int fd = arg_slot(task, op, 1, -1);
  if (fd < 0) return -EBADF;
  int connected = arg_slot(task, op, 3, -1);
  AUTO_FD socket = connected < 0 ? (int)sys(socket, AF_UNIX, SOCK_STREAM | O_CLOEXEC, 0) : -1;
  if (connected < 0) {
    int error = socket < 0 ? socket : unix_address(socket, arg_str(op, 0), 1);
    if (error < 0) return error;
    connected = socket;
  }
  const char *name = arg_str(op, 2);
  size_t n = strlen(name);
  /* A descriptor needs at least one byte to travel with. */
  long sent = send_fds(connected, n ? name : "\0", n ? n : 1, &fd, 1, 0);
  return sent < 0 ? (int)sent : 0;
}

int op_connect(struct task *task, const struct op *op) {
  AUTO_FD fd = (int)sys(socket, AF_UNIX, SOCK_STREAM | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  int error = unix_address(fd, arg_str(op, 1), 1);
  return error < 0 ? error : fill_slot(task, op, 0, take_fd(&fd));
}
