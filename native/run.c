/* Executing sections of a plan, on either side of the clone. */
#include "shim.h"

static op_function *const functions[OP_CODES] = {
#define X(name, code, args) [code] = op_##name,
    OP_LIST(X)
#undef X
};

int arg_slot(const struct task *task, const struct op *op, int i, int none) {
  u64 slot = arg_int(op, i);
  return slot == UINT64_MAX ? none : task->slots[slot];
}

int fill_slot(struct task *task, const struct op *op, int i, int fd) {
  u64 slot = arg_int(op, i);
  if (fd < 0) return fd;
  if (slot == UINT64_MAX) {
    sys(close, fd);
    return -EINVAL;
  }
  close_quietly(&task->slots[slot]);
  task->slots[slot] = fd;
  return 0;
}

static int tolerated(const struct op *op, int error) {
  enum { ANY_ERRNO = 0xffff };
  return error != 0 && (op->tolerate[0] == ANY_ERRNO || op->tolerate[0] == -error || op->tolerate[1] == -error);
}

struct board *board_new(struct task *task, u32 stamps) {
  task->board_bytes = (u32)sizeof(struct board) + (task->plan.flags & PLAN_TRACE ? stamps * (u32)sizeof(struct stamp) : 0);
  long p = sys(mmap, 0, task->board_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return task->board = p < 0 && p > -4096 ? NULL : (struct board *)p;
}

i32 host_pid(const struct task *task) {
  i32 pid;
  if (!task->in_child) return task->child;
  /* The shim writes it as soon as its clone returns, which may be after ours did. */
  while ((pid = __atomic_load_n(&task->board->child_pid, __ATOMIC_ACQUIRE)) == 0) sleep_ms(1);
  return pid;
}

struct stamp *take_stamp(struct task *task, u32 index) {
  if (!(task->plan.flags & PLAN_TRACE)) return NULL;
  struct stamp *stamp = &task->board->stamp[__atomic_fetch_add(&task->board->stamps, 1, __ATOMIC_RELAXED)];
  stamp->index = index;
  stamp->start = now_ns(CLOCK_MONOTONIC);
  return stamp;
}

void wait_for_go(const struct task *task) {
  struct sync_message message;
  if (sys(read, task->sync, &message, sizeof message) != sizeof message) quit(1);
}

static int execute(struct task *task, const struct op *op, u32 index) {
  struct stamp *stamp = take_stamp(task, index);
  task->extra = 0;
  int error = functions[op->code](task, op);
  if (stamp) stamp->end = now_ns(CLOCK_MONOTONIC);
  return error;
}

int run_section(struct task *task, enum section section, u32 *index) {
  const struct op *op = plan_first(&task->plan);
  u32 skip = 0;
  for (u32 i = 0; i < task->plan.count; i++, op = plan_next(op)) {
    if (op->section != section) continue;
    if (skip > 0) {
      skip--;
      continue;
    }
    if (op->code == OP_clone) return 0;
    *index = i;
    if (task->in_child) task->board->index = i;
    int error = execute(task, op, i);
    if (tolerated(op, error)) skip = op->skip;
    else if (error < 0) return error;
  }
  return 0;
}

void run_cleanup(struct task *task, const struct op *op, const u32 *index, u32 count) {
  u32 skip = 0;
  for (u32 i = 0; i < count; i++, op = plan_next(op)) {
    if (op->section != SECTION_CLEANUP) continue;
    if (skip > 0) {
      skip--;
      continue;
    }
    int error = execute(task, op, index ? index[i] : i);
    if (tolerated(op, error)) skip = op->skip;
  }
}

/* The child goes on once it has been put into the group: from outside, where the right to do so is. */
static i32 clone_then_join(u64 flags, int cgroup, int *pidfd) {
  int gate[2];
  u8 byte = 1;
  int error = (int)sys(pipe2, gate, O_CLOEXEC);
  if (error < 0) return error;
  i32 pid = (i32)sys(clone, flags, 0, pidfd, 0, 0);
  if (pid == 0) {
    sys(close, gate[1]);
    if (sys(read, gate[0], &byte, 1) != 1) quit(1);
    sys(close, gate[0]);
    return 0;
  }
  sys(close, gate[0]);
  if (pid > 0) {
    char text[24];
    AUTO_FD procs = (int)sys(openat, cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC, 0);
    error = procs < 0 ? procs : write_once(procs, text, decimal(text, (u64)pid));
    if (error == 0) sys(write, gate[1], &byte, 1);
  }
  sys(close, gate[1]);
  if (pid < 0 || error == 0) return pid;
  sys(wait4, pid, 0, 0, 0); /* it ended at the gate */
  if (pidfd) sys(close, *pidfd);
  return error;
}

i32 clone_process(u64 flags, int cgroup, int exit_signal, int *pidfd) {
  struct clone_args args = {0};
  if (pidfd) {
    flags |= CLONE_PIDFD;
    args.pidfd = (u64)(uintptr_t)pidfd;
  }
  if (cgroup >= 0) {
    flags |= CLONE_INTO_CGROUP;
    args.cgroup = (u64)cgroup;
  }
  args.flags = flags;
  args.exit_signal = (u64)exit_signal;
  long pid = sys(clone3, &args, sizeof args);
  /* Some seccomp profiles answer ENOSYS so that libc falls back; the old call cannot say more than 32 bits of flags. */
  if (pid != -ENOSYS || (flags & ~CLONE_INTO_CGROUP) >> 32 || flags & 0xff) return (i32)pid;
  flags = (flags & ~CLONE_INTO_CGROUP) | (u64)exit_signal;
  return cgroup < 0 ? (i32)sys(clone, flags, 0, pidfd, 0, 0) : clone_then_join(flags, cgroup, pidfd);
}

int sync_send(struct task *task, enum sync_kind kind, u32 value, int fd) {
  struct sync_message message = {kind, value};
  long sent = send_fds(task->sync, &message, sizeof message, &fd, fd >= 0, 0);
  return sent < 0 ? (int)sent : 0;
}

static int take_stdio(struct task *task) {
  for (int i = 0; i < 3; i++) {
    int fd = task->stdio_mode == STDIO_INHERIT ? task->slots[i] : task->child_io[i];
    if (fd < 0) continue;
    long error = sys(dup3, fd, i, 0);
    if (error < 0) return (int)error;
    if (task->stdio_mode != STDIO_INHERIT) close_quietly(&task->child_io[i]);
  }
  return 0;
}

_Noreturn void child_main(struct task *task) {
  u32 index = UINT32_MAX;
  struct board *board = task->board;
  task->in_child = 1;
  /* With the shim's ends open here, the death of the shim, or the end of a stream, could not be seen. */
  close_quietly(&task->sync);
  task->sync = take_fd(&task->other);
  for (int i = 0; i < 3; i++) close_quietly(&task->io[i]);
  close_quietly(&task->listen_fd);
  board->section = SECTION_CHILD;
  int error = take_stdio(task);
  if (error == 0 && task->plan.in[SECTION_PARENT] > 0 && !task->plan.waits) wait_for_go(task);
  if (error == 0) error = run_section(task, SECTION_CHILD, &index);
  board->section = SECTION_CHILD;
  board->index = index;
  board->error = -error;
  board->extra = task->extra;
  if (error < 0 && task->starter >= 0) {
    u32 failed[6] = {MSG_FAILED, 0, SECTION_CHILD, index, (u32)-error, task->extra};
    sys(sendto, task->starter, failed, sizeof failed, MSG_NOSIGNAL, 0, 0);
  }
  __atomic_store_n(&board->stage, error < 0 ? STAGE_FAILED : STAGE_DONE, __ATOMIC_RELEASE);
  quit(error < 0);
}
