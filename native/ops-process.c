/* Operations on what a process is: namespaces, identity, limits, and the last one, exec. */
#include "shim.h"

int op_clone(struct task *task, const struct op *op) {
  (void)task, (void)op;
  return -EINVAL; /* the shim does it itself, between two sections */
}

int op_shim(struct task *task, const struct op *op) {
  (void)task;
  char text[24] = "-";
  i64 adjust = (i64)arg_int(op, 1);
  size_t sign = adjust < 0, n = sign + decimal(text + sign, (u64)(adjust < 0 ? -adjust : adjust));
  set_comm(arg_str(op, 0));
  return write_path("/proc/self/oom_score_adj", 0, text, n);
}

int op_setns(struct task *task, const struct op *op) {
  return (int)sys(setns, arg_slot(task, op, 0, -1), arg_int(op, 1));
}

int op_unshare(struct task *task, const struct op *op) {
  (void)task;
  return (int)sys(unshare, arg_int(op, 0));
}

int op_wait_parent(struct task *task, const struct op *op) {
  (void)op;
  wait_for_go(task);
  return 0;
}

static int reclone(struct task *task, u64 flags, int cgroup) {
  int pidfd = -1;
  i32 old = host_pid(task);
  task->board->child_pid = 0;
  i32 pid = clone_process(CLONE_PARENT | flags, cgroup, 0, &pidfd);
  if (pid < 0) task->board->child_pid = old;
  if (pid <= 0) return pid;
  __atomic_store_n(&task->board->child_pid, pid, __ATOMIC_RELEASE);
  sync_send(task, SYNC_RECLONE, (u32)pid, pidfd);
  quit(0);
}

int op_reclone(struct task *task, const struct op *op) { return reclone(task, arg_int(op, 0), -1); }

int op_reclone_into(struct task *task, const struct op *op) {
  u64 slot = arg_int(op, 1);
  if (slot == UINT64_MAX) return reclone(task, arg_int(op, 0), -1);
  if (task->slots[slot] < 0) return -EBADF;
  int error = reclone(task, arg_int(op, 0), task->slots[slot]);
  /* Whoever may trace processes in there is not to find the host's groups behind it. */
  close_quietly(&task->slots[slot]);
  return error;
}

int op_setsid(struct task *task, const struct op *op) {
  (void)task, (void)op;
  return (int)sys(setsid);
}

int op_setgroups(struct task *task, const struct op *op) {
  (void)task;
  size_t n;
  const void *gids = arg_bytes(op, 0, &n);
  return (int)sys(setgroups, n / 4, gids);
}

int op_setresgid(struct task *task, const struct op *op) {
  (void)task;
  u32 gid = (u32)arg_int(op, 0);
  return (int)sys(setresgid, gid, gid, gid);
}

int op_setresuid(struct task *task, const struct op *op) {
  (void)task;
  u32 uid = (u32)arg_int(op, 0);
  return (int)sys(setresuid, uid, uid, uid);
}

int op_cap_bound(struct task *task, const struct op *op) {
  (void)task;
  u64 keep = arg_int(op, 0);
  for (int cap = 0; cap < 64; cap++) {
    if (keep >> cap & 1) continue;
    int error = (int)sys(prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);
    if (error == -EINVAL && cap > 0) return 0; /* past the last one that this kernel knows */
    if (error < 0) return error;
  }
  return 0;
}

int op_capset(struct task *task, const struct op *op) {
  (void)task;
  struct { u32 version; int pid; } header = {0x20080522, 0};
  u32 data[6];
  for (int i = 0; i < 3; i++) {
    data[i] = (u32)arg_int(op, i);
    data[i + 3] = (u32)(arg_int(op, i) >> 32);
  }
  return (int)sys(capset, &header, data);
}

int op_cap_ambient(struct task *task, const struct op *op) {
  (void)task;
  u64 mask = arg_int(op, 0);
  int error = (int)sys(prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (int cap = 0; cap < 64 && error == 0; cap++)
    if (mask >> cap & 1) error = (int)sys(prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
  return error;
}

int op_prctl(struct task *task, const struct op *op) {
  (void)task;
  return (int)sys(prctl, arg_int(op, 0), arg_int(op, 1), arg_int(op, 2), arg_int(op, 3), arg_int(op, 4));
}

int op_rlimit(struct task *task, const struct op *op) {
  (void)task;
  u64 limit[2] = {arg_int(op, 1), arg_int(op, 2)};
  return (int)sys(prlimit64, 0, arg_int(op, 0), limit, 0);
}

int op_umask(struct task *task, const struct op *op) {
  (void)task;
  sys(umask, arg_int(op, 0));
  return 0;
}

int op_personality(struct task *task, const struct op *op) {
  (void)task;
  long old = sys(personality, arg_int(op, 0));
  return old < 0 && old > -4096 ? (int)old : 0;
}

int op_sched_setattr(struct task *task, const struct op *op) {
  (void)task;
  size_t n;
  return (int)sys(sched_setattr, 0, arg_bytes(op, 0, &n), 0);
}

int op_ioprio_set(struct task *task, const struct op *op) {
  (void)task;
  return (int)sys(ioprio_set, 1, 0, arg_int(op, 0));
}

int op_sched_setaffinity(struct task *task, const struct op *op) {
  (void)task;
  size_t n;
  const void *mask = arg_bytes(op, 0, &n);
  return (int)sys(sched_setaffinity, 0, n, mask);
}

int op_mempolicy(struct task *task, const struct op *op) {
  (void)task;
  size_t n;
  const void *nodes = arg_bytes(op, 1, &n);
  /* The kernel takes one bit less than it is told. */
  return (int)sys(set_mempolicy, arg_int(op, 0), n ? nodes : NULL, n ? n * 8 + 1 : 0);
}

int op_keyring(struct task *task, const struct op *op) {
  (void)task;
  long id = sys(keyctl, 1, arg_str(op, 0));
  return id < 0 ? (int)id : 0;
}

int op_sethostname(struct task *task, const struct op *op) {
  (void)task;
  return (int)sys(sethostname, arg_str(op, 0), strlen(arg_str(op, 0)));
}

int op_setdomainname(struct task *task, const struct op *op) {
  (void)task;
  return (int)sys(setdomainname, arg_str(op, 0), strlen(arg_str(op, 0)));
}

static int make_parents(const char *path) {
  char partial[PAGE];
  size_t n = strlen(path);
  if (n >= sizeof partial) return -ENAMETOOLONG;
  for (size_t i = 1; i <= n; i++) {
    if (path[i] != '/' && path[i] != 0) continue;
    memcpy(partial, path, i);
    partial[i] = 0;
    int error = (int)sys(mkdirat, AT_FDCWD, partial, 0755);
    if (error < 0 && error != -EEXIST) return error;
  }
  return 0;
}

int op_chdir(struct task *task, const struct op *op) {
  (void)task;
  const char *path = arg_str(op, 0);
  char where[PAGE];
  int error = (int)sys(chdir, path);
  if (error == -ENOENT && arg_int(op, 1)) {
    if ((error = make_parents(path)) < 0) return error;
    error = (int)sys(chdir, path);
  }
  if (error < 0) return error;
  /* A leaked descriptor of the host, as in CVE-2024-21626, leads to a directory outside the root. */
  long n = sys(getcwd, where, sizeof where);
  return n < 0 ? (int)n : where[0] == '/' ? 0 : -ENOENT;
}

/* Copies text with every "\0PID\0" replaced; `out` holds twice as much. Returns the bytes written. */
static size_t with_pid(u8 *out, const u8 *text, size_t n, i32 pid) {
  u8 *at = out;
  for (size_t i = 0; i < n; i++) {
    if (i + 5 <= n && memcmp(text + i, "\0PID", 5) == 0) {
      char digits[24];
      size_t length = decimal(digits, (u64)pid);
      memcpy(at, digits, length);
      at += length;
      i += 4;
    } else {
      *at++ = text[i];
    }
  }
  return (size_t)(at - out);
}

int op_seccomp(struct task *task, const struct op *op) {
  size_t n, state_size;
  const void *program = arg_bytes(op, 1, &n), *state = arg_bytes(op, 3, &state_size);
  struct { u16 length; const void *filter; } prog = {(u16)(n / 8), program};
  if (n % 8 || n / 8 > 0xffff) return -EINVAL;
  long fd = sys(seccomp, 1, arg_int(op, 0), &prog);
  if (fd < 0 || arg_int(op, 2) == UINT64_MAX) return (int)fd;
  int listener = (int)fd;
  u8 *text = pages(2 * state_size + 1);
  if (!text) return -ENOMEM;
  long sent = send_fds(arg_slot(task, op, 2, -1), text, with_pid(text, state, state_size, host_pid(task)), &listener, 1, 0);
  sys(close, listener);
  pages_free(text, 2 * state_size + 1);
  return sent < 0 ? (int)sent : 0;
}

int op_cloexec_from(struct task *task, const struct op *op) {
  (void)task;
  u64 first = arg_int(op, 0);
  int error = (int)sys(close_range, first, ~0u, CLOSE_RANGE_CLOEXEC);
  if (error != -EINVAL && error != -ENOSYS) return error;
  /* The flag came with 5.11. */
  for (u64 fd = first; fd < 65536; fd++) sys(fcntl, fd, F_SETFD, FD_CLOEXEC);
  return 0;
}

/* A device of the host's mounts would tie the process to them: the container's own /dev/null, if that is what it is. */
int op_reopen_null(struct task *task, const struct op *op) {
  (void)task, (void)op;
  struct statx_k st;
  AUTO_FD own = -1;
  for (int fd = 0; fd <= 2; fd++) {
    if (statx_fd(fd, &st) < 0 || (st.mode & S_IFMT) != S_IFCHR || st.rdev_major != 1 || st.rdev_minor != 3) continue;
    if (own < 0) own = (int)sys(openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
    if (own < 0 || statx_fd(own, &st) < 0 || (st.mode & S_IFMT) != S_IFCHR || st.rdev_major != 1 || st.rdev_minor != 3) return 0;
    int error = (int)sys(dup3, own, fd, 0);
    if (error < 0) return error;
  }
  return 0;
}

/* The shim has gone, or will not be asked: whoever connects first starts us, and hears what becomes of it. */
static int await_starter(struct task *task, int listener) {
  u32 created[6] = {MSG_CREATED, 0, (u32)host_pid(task), 0, 0, 0};
  int fd;
  do fd = (int)sys(accept4, listener, 0, 0, O_CLOEXEC);
  while (fd == -EINTR);
  if (fd < 0) return fd;
  sys(sendto, fd, created, sizeof created, MSG_NOSIGNAL, 0, 0);
  task->starter = fd;
  return 0;
}

int op_await(struct task *task, const struct op *op) {
  u32 kind = (u32)arg_int(op, 0);
  int listener = arg_slot(task, op, 2, -1);
  if (kind == 2 && listener < 0) return -EBADF;
  int error = sync_send(task, SYNC_AWAIT, kind, -1);
  if (error < 0) return error;
  if (kind == 1) return write_path(arg_str(op, 1), 0, "0", 1);
  if (kind == 2) return await_starter(task, listener);
  wait_for_go(task);
  return 0;
}

int op_inherit(struct task *task, const struct op *op) {
  u64 number = arg_int(op, 1);
  if (task->inherits == MAX_INHERIT || number < 3 || number > 1023) return -EINVAL;
  int fd = arg_slot(task, op, 0, -1);
  if (fd < 0) return -EBADF;
  task->inherit[task->inherits].fd = fd;
  task->inherit[task->inherits++].number = (int)number;
  return 0;
}

/* Out of the way first: a descriptor of ours may have the number that another is to get. */
static int place_inherited(struct task *task) {
  int above = 3;
  if (task->inherits == 0) return 0;
  for (u32 i = 0; i < task->inherits; i++)
    if (task->inherit[i].number >= above) above = task->inherit[i].number + 1;
  int *ours[] = {&task->sync, &task->starter};
  for (size_t i = 0; i < COUNT(ours); i++) {
    if (*ours[i] < 0) continue;
    int moved = (int)sys(fcntl, *ours[i], F_DUPFD_CLOEXEC, above);
    if (moved < 0) return moved;
    sys(close, *ours[i]);
    *ours[i] = moved;
  }
  for (u32 i = 0; i < task->inherits; i++) {
    int fd = (int)sys(fcntl, task->inherit[i].fd, F_DUPFD_CLOEXEC, above);
    if (fd < 0) return fd;
    task->inherit[i].fd = fd;
  }
  for (u32 i = 0; i < task->inherits; i++) {
    int error = (int)sys(dup3, task->inherit[i].fd, task->inherit[i].number, 0);
    if (error < 0) return error;
  }
  return 0;
}

/* The strings of a list as an array that ends with NULL. */
static const char **strings(const struct op *op, int i) {
  size_t n, count = 0;
  const char *list = arg_bytes(op, i, &n);
  for (size_t k = 0; k < n; k++) count += list[k] == 0;
  const char **array = pages((count + 1) * sizeof *array);
  if (!array) return NULL;
  const char *s = list;
  for (size_t k = 0; k < count; k++) {
    array[k] = s;
    s += strlen(s) + 1;
  }
  return array;
}

static int is_directory(const char *path) {
  int fd = (int)sys(openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd >= 0) sys(close, fd);
  return fd >= 0;
}

int op_exec(struct task *task, const struct op *op) {
  const char **candidates = strings(op, 0), **argv = strings(op, 1), **envp = strings(op, 2);
  if (!candidates || !argv || !envp) return -ENOMEM;
  int error = place_inherited(task), denied = 0, directory = 0;
  if (error < 0) return error;
  error = -ENOENT;
  /* A death after this counts as the program's own. */
  __atomic_store_n(&task->board->stage, STAGE_EXEC, __ATOMIC_RELEASE);
  signals_unblock_all();
  for (; *candidates; candidates++) {
    error = (int)sys(execve, *candidates, argv, envp);
    /* A directory is no program either, but people want to hear it. */
    if (error == -EACCES && is_directory(*candidates)) error = -EISDIR;
    denied |= error == -EACCES;
    directory |= error == -EISDIR;
    if (error != -ENOENT && error != -ENOTDIR && error != -EACCES && error != -EISDIR) return error;
  }
  return denied ? -EACCES : directory ? -EISDIR : error;
}

int op_find(struct task *task, const struct op *op) {
  (void)task;
  size_t n;
  const char *path = arg_bytes(op, 0, &n), *end = path + n;
  int denied = 0, directory = 0;
  for (; path < end; path += strlen(path) + 1) {
    if (is_directory(path)) {
      directory = 1;
      continue;
    }
    int error = (int)sys(faccessat, AT_FDCWD, path, 1 /* X_OK */);
    if (error == 0) return 0;
    denied |= error == -EACCES;
    if (error != -ENOENT && error != -ENOTDIR && error != -EACCES) return error;
  }
  return denied ? -EACCES : directory ? -EISDIR : -ENOENT;
}

int op_assert_uid(struct task *task, const struct op *op) {
  (void)task;
  return (u64)sys(getuid) == arg_int(op, 0) ? 0 : -EPERM;
}

/* A memory file with the hook's input. */
static int hook_input(const struct task *task, const struct op *op) {
  size_t n;
  const u8 *text = arg_bytes(op, 2, &n);
  AUTO_FD fd = (int)sys(memfd_create, "hook", MFD_CLOEXEC);
  if (fd < 0) return fd;
  u8 *out = pages(2 * n + 1);
  if (!out) return -ENOMEM;
  int error = write_once(fd, out, with_pid(out, text, n, host_pid(task)));
  pages_free(out, 2 * n + 1);
  if (error < 0) return error;
  sys(lseek, fd, 0, 0);
  return take_fd(&fd);
}

int op_hook(struct task *task, const struct op *op) {
  const char **argv = strings(op, 0), **envp = strings(op, 1);
  if (!argv || !envp) return -ENOMEM;
  if (!argv[0]) return -EINVAL;
  AUTO_FD input = hook_input(task, op);
  if (input < 0) return input;
  AUTO_FD pidfd = -1;
  struct board *board = task->board;
  board->hook_error = 0;
  i32 pid = clone_process(0, -1, SIGCHLD, &pidfd);
  if (pid < 0) return pid;
  if (pid == 0) {
    AUTO_FD null = (int)sys(openat, AT_FDCWD, "/dev/null", O_WRONLY | O_CLOEXEC, 0);
    sys(dup3, input, 0, 0);
    for (int i = 1; i <= 2 && null >= 0; i++) sys(dup3, null, i, 0);
    /* A group of its own, so that what it started can be ended with it. */
    sys(setpgid, 0, 0);
    signals_unblock_all();
    board->hook_error = (i32)sys(execve, arg_str(op, 4), argv, envp);
    quit(127);
  }
  u64 ms = arg_int(op, 3);
  struct timespec limit = {(i64)(ms / 1000), (i64)(ms % 1000) * 1000000};
  struct pollfd poll = {pidfd, POLLIN, 0};
  int late = sys(ppoll, &poll, 1, ms ? &limit : NULL, 0, 8) == 0;
  if (late) sys(kill, -pid, SIGKILL);
  int status = 0;
  sys(wait4, pid, &status, 0, 0);
  if (late) return -ETIMEDOUT;
  if (board->hook_error < 0) return board->hook_error;
  task->extra = (u32)status;
  return status == 0 ? 0 : -EREMOTEIO;
}
