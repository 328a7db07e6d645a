/* A shim's life: prepare, clone, parent, then the loop until the process has ended and everything was told. */
#include "shim.h"

/* Static, so that it lies in pages of its own and the clients' part stays untouched. */
static struct shim the_shim;

short polled(const struct shim *shim, poll_index index) { return index ? shim->polls[index].revents : 0; }

poll_index poll_add(struct shim *shim, int fd, short events) {
  shim->polls[++shim->polls_count] = (struct pollfd){fd, events, 0};
  return (poll_index)shim->polls_count;
}

static _Noreturn void leave(struct shim *shim) {
  clients_end_all(shim, END_EXITED);
  if (shim->task.listen_path) sys(unlinkat, AT_FDCWD, shim->task.listen_path, 0);
  peers_drain(shim);
  quit(0);
}

static void undo(struct task *task) {
  if (task->child > 0) {
    if (task->slots[SLOT_CHILD_PIDFD] >= 0) sys(pidfd_send_signal, task->slots[SLOT_CHILD_PIDFD], SIGKILL, 0, 0);
    sys(wait4, task->child, 0, 0, 0);
  }
  if (task->board) run_cleanup(task, plan_first(&task->plan), NULL, task->plan.count);
}

_Noreturn void withdraw(struct shim *shim) {
  undo(&shim->task);
  leave(shim);
}

static _Noreturn void fail(struct shim *shim, u32 section, u32 index, int error, u32 extra) {
  struct { u32 section, index; i32 error; u32 extra; } failure = {section, index, error, extra};
  undo(&shim->task);
  tell_trace(shim);
  tell_all(shim, MSG_FAILED, &failure, sizeof failure);
  leave(shim);
}

static u8 *keep_string(u8 *at, const char **s) {
  if (!*s) return at;
  size_t n = strlen(*s) + 1;
  memcpy(at, *s, n);
  *s = (const char *)at;
  return at + n;
}

/* The plan may be megabytes of environment: keep what is still needed, and the slots that the cleanup names. */
static void release_plan(struct shim *shim) {
  struct task *task = &shim->task;
  const char **kept[] = {&task->log_path, &task->exit_path, &task->listen_path};
  u32 count = task->plan.in[SECTION_CLEANUP];
  size_t bytes = ALIGN(count * 4u, 8u);
  u64 used = 1ull << SLOT_CHILD_PIDFD;
  const struct op *op = plan_first(&task->plan);
  for (u32 i = 0; i < task->plan.count; i++, op = plan_next(op)) {
    if (op->section != SECTION_CLEANUP) continue;
    bytes += op->bytes;
    for (int a = 0; a < op->nargs; a++)
      if (op_kinds(op->code)[a] == 'd' && op->args[a] < SLOTS) used |= 1ull << op->args[a];
  }
  for (size_t i = 0; i < COUNT(kept); i++)
    if (*kept[i]) bytes += strlen(*kept[i]) + 1;
  shim->keep_bytes = bytes + 1;
  shim->keep = pages(shim->keep_bytes);
  if (!shim->keep) return; /* without memory the plan just stays */

  u32 *index = (u32 *)(void *)shim->keep;
  u8 *at = shim->keep + ALIGN(count * 4u, 8u);
  shim->cleanup = (const struct op *)(void *)at;
  shim->cleanup_index = index;
  shim->cleanup_count = count;
  op = plan_first(&task->plan);
  for (u32 i = 0; i < task->plan.count; i++, op = plan_next(op)) {
    if (op->section != SECTION_CLEANUP) continue;
    *index++ = i;
    memcpy(at, op, op->bytes);
    at += op->bytes;
  }
  for (size_t i = 0; i < COUNT(kept); i++) at = keep_string(at, kept[i]);
  for (int i = 0; i < SLOTS; i++)
    if (!(used >> i & 1)) close_quietly(&task->slots[i]);
  pages_free((void *)(uintptr_t)task->plan.bytes, task->plan_pages);
  task->plan.bytes = NULL;
  sys(munmap, task->board, task->board_bytes);
  task->board = NULL;
  /* What the preparation needed of the stack, a page away from where it is in use. */
  uintptr_t sp = (uintptr_t)__builtin_frame_address(0) & ~(PAGE - 1);
  sys(madvise, sp - 16 * PAGE, 15 * PAGE, MADV_DONTNEED);
}

static void cleanup(struct shim *shim) {
  struct task *task = &shim->task;
  shim->cleaned = 1;
  if (shim->cleanup_count == 0) return;
  /* For hooks, and for the stamps of a trace. */
  struct board *board = board_new(task, shim->cleanup_count);
  if (!board) return;
  board->child_pid = task->child;
  run_cleanup(task, shim->cleanup, shim->cleanup_index, shim->cleanup_count);
  tell_trace(shim);
}

static void start_failed(struct shim *shim) {
  struct board *board = shim->task.board;
  if (board->stage == STAGE_FAILED) fail(shim, board->section, board->index, board->error, board->extra);
  /* It was killed on the way. */
  int status = 0;
  sys(wait4, shim->task.child, &status, 0, 0);
  shim->task.child = 0;
  fail(shim, SECTION_CHILD, board->index, ECHILD, (u32)status);
}

static void sync_ended(struct shim *shim) {
  struct task *task = &shim->task;
  u32 stage = __atomic_load_n(&task->board->stage, __ATOMIC_ACQUIRE);
  close_quietly(&task->sync);
  if (stage == STAGE_FAILED || stage == STAGE_RUNNING) start_failed(shim);
  shim->started = 1;
  shim->started_ns = now_ns(CLOCK_REALTIME);
  if (!shim->created) write_pid_file(task);
  tell_trace(shim);
  tell_started(shim, -1);
  if (task->leave) leave(shim);
  release_plan(shim);
}

static void sync_message(struct shim *shim, const struct sync_message *message, int *fd) {
  struct task *task = &shim->task;
  switch (message->kind) {
    case SYNC_AWAIT:
      if (message->value == AWAIT_AHEAD) {
        if (shim->start_asked) sync_send(task, SYNC_GO, 0, -1);
        else if (shim->peers[0].fd < 0) withdraw(shim);
        else shim->awaiting = shim->ahead = 1;
        break;
      }
      shim->created = 1;
      shim->created_ns = now_ns(CLOCK_REALTIME);
      write_pid_file(task);
      if (task->leave == 1) tell_trace(shim);
      tell_created(shim, -1);
      if (task->leave == 1) leave(shim);
      if (message->value != 0) break;
      if (shim->start_asked) sync_send(task, SYNC_GO, 0, -1);
      else shim->awaiting = 1;
      break;
    case SYNC_MASTER:
      stdio_take_master(shim, take_fd(fd));
      break;
    case SYNC_DROP_MASTER:
      stdio_take_master(shim, -1);
      break;
    case SYNC_RECLONE:
      sys(wait4, task->child, 0, 0, 0);
      task->child = (i32)message->value;
      close_quietly(&task->slots[SLOT_CHILD_PIDFD]);
      task->slots[SLOT_CHILD_PIDFD] = take_fd(fd);
      break;
    default:
      break;
  }
}

static void sync_serve(struct shim *shim) {
  while (shim->task.sync >= 0) {
    struct sync_message message;
    AUTO_FD fd = -1;
    size_t nfds = 1;
    long n = recv_fds(shim->task.sync, &message, sizeof message, &fd, &nfds, MSG_DONTWAIT);
    if (n == -EAGAIN) return;
    if (n == sizeof message) sync_message(shim, &message, &fd);
    else sync_ended(shim);
  }
}

static void reap(struct shim *shim) {
  i32 pid, status;
  while ((pid = (i32)sys(wait4, -1, &status, WNOHANG, 0)) > 0) {
    if (pid != shim->task.child) continue;
    shim->ended = 1;
    shim->status = status;
    shim->ended_ns = now_ns(CLOCK_REALTIME);
    shim->deadline = now_ns(CLOCK_MONOTONIC) + STALL_NS;
    oom_look(shim);
    close_quietly(&shim->task.oom_event);
    close_quietly(&shim->task.oom_fd);
    write_exit_record(shim);
    stdio_ended(shim);
  }
}

/* Nobody is told before the log is whole, the cleanup done, and clients had their time. */
static void end(struct shim *shim) {
  stdio_pump(shim, 1);
  if (!shim->cleaned) cleanup(shim);
  if (!stdio_drained(shim) && now_ns(CLOCK_MONOTONIC) >= shim->deadline) {
    for (u32 i = shim->clients_count; i-- > 0;)
      if (shim->clients[i].todo) client_end(shim, &shim->clients[i], END_ERROR);
    stdio_pump(shim, 1);
  }
  if (!stdio_drained(shim)) return;
  tell_exited(shim);
  /* Against a power failure, which those who were told share: they need not wait for it. A daemon that dies finds the record as it is. */
  sync_exit_record(shim);
  leave(shim);
}

static int idle(const struct shim *shim) {
  return shim->streams[1].size == 0 && shim->streams[2].size == 0 && shim->input_size == 0;
}

static void wait(struct shim *shim) {
  struct timespec limit = {1, 0};
  int release = shim->buffers_used && idle(shim), timed = release;
  u64 now = now_ns(CLOCK_MONOTONIC), until = shim->ended ? shim->deadline : 0;
  if (shim->linger > now && (until == 0 || shim->linger < until)) until = shim->linger;
  if (until != 0) {
    u64 left = until > now ? until - now : 0;
    limit = (struct timespec){(i64)(left / 1000000000u), (i64)(left % 1000000000u)};
    timed = 1;
  }
  shim->polls_count = 0;
  peers_poll(shim);
  shim->poll_sync = shim->task.sync >= 0 ? poll_add(shim, shim->task.sync, POLLIN) : 0;
  /* A container that has ended is not kept by what waits in its namespaces. */
  shim->poll_target = shim->ahead ? poll_add(shim, shim->task.slots[SLOT_TARGET_PIDFD], POLLIN) : 0;
  /* Not before the start is over: the one between us and an exec's process ends on the way, and would keep us awake. */
  shim->poll_signals = shim->ended || shim->task.sync >= 0 ? 0 : poll_add(shim, shim->signals, POLLIN);
  oom_poll(shim);
  stdio_poll(shim);
  clients_poll(shim);
  long n = sys(ppoll, &shim->polls[1], shim->polls_count, timed ? &limit : NULL, 0, 8);
  if (n > 0) return;
  for (u32 i = 1; i <= shim->polls_count; i++) shim->polls[i].revents = 0;
  if (n == 0 && release && !shim->ended) {
    sys(madvise, shim->buffers, 3 * CHUNK, MADV_DONTNEED);
    shim->buffers_used = 0;
  }
}

static _Noreturn void loop(struct shim *shim) {
  for (;;) {
    wait(shim);
    /* In this order: an ATTACH that was sent before START is served before the first byte is read. */
    peers_serve(shim);
    if (shim->ahead && polled(shim, shim->poll_target)) withdraw(shim);
    if (polled(shim, shim->poll_sync)) sync_serve(shim);
    oom_serve(shim);
    if (polled(shim, shim->poll_signals)) {
      u8 info[128];
      sys(read, shim->signals, info, sizeof info);
      reap(shim);
    }
    clients_read(shim);
    stdio_write_input(shim);
    stdio_pump(shim, 0);
    clients_write(shim);
    if (shim->ended) end(shim);
  }
}

static int load_plan(struct task *task, int fd, struct plan_error *error) {
  struct statx_k st;
  *error = (struct plan_error){UINT32_MAX, PLAN_HEADER};
  if (statx_fd(fd, &st) < 0 || st.size > PLAN_MAX_BYTES) return -EINVAL;
  u8 *bytes = pages(st.size + 1);
  if (!bytes) return -ENOMEM;
  u64 done = 0;
  while (done < st.size) {
    long n = sys(pread64, fd, bytes + done, st.size - done, done);
    if (n <= 0) return n < 0 ? (int)n : -EINVAL;
    done += (u64)n;
  }
  task->plan_pages = (u32)st.size + 1;
  return plan_decode(&task->plan, bytes, st.size, error) < 0 ? -EINVAL : 0;
}

static void begin(struct shim *shim, const int *slots, size_t count, int target_pidfd) {
  struct task *task = &shim->task;
  memset(shim, 0, offsetof(struct shim, clients));
  for (int i = 0; i < SLOTS; i++) task->slots[i] = -1;
  for (size_t i = 0; i < count; i++) task->slots[i] = slots[i];
  task->slots[SLOT_TARGET_PIDFD] = target_pidfd;
  for (int i = 0; i < 3; i++) task->io[i] = task->child_io[i] = shim->streams[i].fd = -1;
  for (int i = 0; i < MAX_PEERS; i++) shim->peers[i].fd = -1;
  task->starter = task->sync = task->other = task->master = task->mask_tmpfs = task->log_fd = task->listen_fd = -1;
  task->oom_fd = task->oom_event = shim->signals = shim->input = -1;
}

/* Returns in the shim; the child goes its own way. */
static int clone_child(struct shim *shim) {
  struct task *task = &shim->task;
  const struct op *op = task->plan.clone_op;
  int ends[2], pidfd = -1;
  u64 sigchld = 1ull << (SIGCHLD - 1);
  shim->signals = (int)sys(signalfd4, -1, &sigchld, 8, O_CLOEXEC | O_NONBLOCK);
  if (shim->signals < 0) return shim->signals;
  int error = (int)sys(socketpair, AF_UNIX, SOCK_SEQPACKET | O_CLOEXEC, 0, ends);
  if (error < 0) return error;
  task->sync = ends[0];
  task->other = ends[1];
  int cgroup = arg_slot(task, op, 1, -1);
  if (arg_int(op, 1) != UINT64_MAX && cgroup < 0) return -EBADF;
  struct stamp *stamp = take_stamp(task, task->plan.clone);
  i32 pid = clone_process(arg_int(op, 0), cgroup, SIGCHLD, &pidfd);
  if (pid == 0) {
    close_quietly(&shim->peers[0].fd);
    close_quietly(&shim->signals);
    child_main(task);
  }
  if (stamp) stamp->end = now_ns(CLOCK_MONOTONIC);
  if (pid < 0) return pid;
  task->child = pid;
  __atomic_store_n(&task->board->child_pid, pid, __ATOMIC_RELEASE);
  task->slots[SLOT_CHILD_PIDFD] = pidfd;
  close_quietly(&task->other);
  for (int i = 0; i < 3; i++) close_quietly(&task->child_io[i]);
  return 0;
}

_Noreturn void shim_main(int conn, int plan, const int *slots, size_t count, int target_pidfd, u32 seq) {
  struct shim *shim = &the_shim;
  struct task *task = &shim->task;
  struct plan_error bad;
  u32 index = 0;
  begin(shim, slots, count, target_pidfd);
  shim->peers[0] = (struct peer){conn, 1, 0};
  shim->seq = seq;
  sys(setsid);
  struct sigaction_k action = {0};
  sys(rt_sigaction, SIGCHLD, &action, 0, 8); /* the spawner ignores it */

  int error = load_plan(task, plan, &bad);
  sys(close, plan);
  if (error < 0) fail(shim, NO_SECTION, bad.index, -error, bad.reason);
  if (!board_new(task, task->plan.count)) fail(shim, NO_SECTION, 0, ENOMEM, 0);

  if ((error = run_section(task, SECTION_PREPARE, &index)) < 0) fail(shim, SECTION_PREPARE, index, -error, task->extra);
  if ((error = clone_child(shim)) < 0) fail(shim, SECTION_PREPARE, task->plan.clone, -error, 0);
  if ((error = run_section(task, SECTION_PARENT, &index)) < 0) {
    /* The child, at work meanwhile, may have failed before: what is done to it fails because it has gone. */
    if (__atomic_load_n(&task->board->stage, __ATOMIC_ACQUIRE) == STAGE_FAILED) start_failed(shim);
    fail(shim, SECTION_PARENT, index, -error, task->extra);
  }
  if (task->plan.in[SECTION_PARENT] > 0 || task->plan.waits) sync_send(task, SYNC_GO, 0, -1);

  shim->input = task->io[0];
  for (int i = 1; i < 3; i++) shim->streams[i].fd = task->io[i];
  loop(shim);
}

static void close_all_but(int *fds, size_t count) {
  int next = 3;
  for (size_t i = 1; i < count; i++)
    for (size_t k = i; k > 0 && fds[k - 1] > fds[k]; k--) {
      int swap = fds[k];
      fds[k] = fds[k - 1];
      fds[k - 1] = swap;
    }
  for (size_t i = 0; i < count; i++) {
    if (fds[i] > next) sys(close_range, next, fds[i] - 1, 0);
    if (fds[i] >= next) next = fds[i] + 1;
  }
  sys(close_range, next, ~0u, 0);
}

void spawn_shim(const int *fds, size_t count, int target_pidfd, u32 seq) {
  int keep[MAX_FDS + 1];
  i32 pid = clone_process(0, -1, SIGCHLD, NULL);
  if (pid > 0) return;
  if (pid < 0) {
    u32 failure[4] = {NO_SECTION, 0, (u32)-pid, 0};
    send_message(fds[0], MSG_FAILED, seq, failure, sizeof failure);
    return;
  }
  /* What is another container's: the ends of its streams among the descriptors, and its memory. */
  memcpy(keep, fds, count * sizeof *fds);
  if (target_pidfd >= 0) keep[count] = target_pidfd;
  close_all_but(keep, count + (target_pidfd >= 0));
  struct shim *old = &the_shim;
  pages_free(old->buffers, 3 * CHUNK + PAGE);
  pages_free(old->keep, old->keep_bytes);
  pages_free((void *)(uintptr_t)old->task.plan.bytes, old->task.plan_pages);
  if (old->task.board) sys(munmap, old->task.board, old->task.board_bytes);
  shim_main(fds[0], fds[1], fds + 2, count - 2, target_pidfd, seq);
}
