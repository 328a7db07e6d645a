/* What the executor of a plan works on: one per shim, inherited by the child at clone. */
#ifndef NARU_TASK_H
#define NARU_TASK_H

#include "base.h"
#include "plan.h"

/* Where the child is; shared memory, so that it costs the child no system call and outlives its death. The shim writes child_pid
 * and takes stamps, at the same time. */
enum stage { STAGE_RUNNING, STAGE_EXEC, STAGE_FAILED, STAGE_DONE };
struct stamp {
  u32 index, zero;
  u64 start, end;
};
struct board {
  u32 stage, section, index;
  i32 error;
  u32 extra;
  i32 child_pid; /* as the host sees it */
  i32 hook_error;
  u32 stamps;
  struct stamp stamp[];
};

/* What child and shim say to one another (SEQPACKET, with a descriptor where noted). */
enum sync_kind {
  SYNC_GO = 1,      /* shim -> child: the parent section is done, or START came */
  SYNC_AWAIT,       /* child -> shim: say CREATED; value: the kind, 1: do not send GO, AWAIT_AHEAD: say nothing */
  SYNC_MASTER,      /* child -> shim: the pty's master (descriptor) */
  SYNC_DROP_MASTER, /* child -> shim: forget it */
  SYNC_RECLONE,     /* child -> shim: value is the pid that replaces it (pidfd) */
};
#define AWAIT_AHEAD 3
struct sync_message {
  u32 kind, value;
};

enum stdio_mode { STDIO_NULL, STDIO_PIPES, STDIO_PTY, STDIO_INHERIT };
enum stdin_mode { STDIN_NONE, STDIN_OPEN, STDIN_ONCE };

#define MAX_INHERIT 32
#define MAX_LATER 8

struct task {
  struct plan plan;
  u32 plan_pages; /* bytes mapped for it */
  u32 extra; /* of the operation that failed */
  int slots[SLOTS];
  i32 child;
  int in_child;
  int sync;  /* our end */
  int other; /* the child's end, until clone */
  struct board *board;
  u32 board_bytes;

  u8 stdio_mode, stdin_mode;
  /* In the shim: its ends. child_io: the child's ends until clone. */
  int io[3], child_io[3];
  int master; /* of the pty, in the child until handed over, then in the shim */
  int mask_tmpfs;

  int log_fd;
  const char *log_path;
  u64 log_max, log_size;
  u32 log_files;
  const char *exit_path;
  int exit_sync;
  const char *listen_path;
  int listen_fd;
  const char *pid_path;
  int leave; /* 1: once created, 2: once started */
  int starter; /* in the child: who asked for the start (await kind 2) */
  int oom_fd, oom_event;

  u32 inherits;
  struct { int fd, number; } inherit[MAX_INHERIT];

  /* Attributes that this kernel cannot give to a mount before it is attached. */
  u32 laters;
  struct later { u64 slot, set, clear, propagation, flags; } later[MAX_LATER];
};

typedef int op_function(struct task *task, const struct op *op);
#define X(name, code, args) op_function op_##name;
OP_LIST(X)
#undef X

/* The descriptor of slot argument i; -1 for a slot that is empty. none: what the value -1 stands for. */
int arg_slot(const struct task *task, const struct op *op, int i, int none);
/* Fill the slot of argument i (closing what it held): 0, or the error that fd is. Takes fd. */
int fill_slot(struct task *task, const struct op *op, int i, int fd);

/* Executes a section; 0, or the first error, with the operation's index (in the whole plan) in *index. */
int run_section(struct task *task, enum section section, u32 *index);
/* Section cleanup: errors are skipped. index: where each of the count operations stood in the plan; NULL: as counted. */
void run_cleanup(struct task *task, const struct op *op, const u32 *index, u32 count);
/* A board with room for stamps when the plan asks for a trace; NULL when there is no memory. */
struct board *board_new(struct task *task, u32 stamps);
/* The child's pid as the host sees it, on either side. */
i32 host_pid(const struct task *task);
/* A stamp of a trace, to be filled in. */
struct stamp *take_stamp(struct task *task, u32 index);
/* Until the shim says GO. Does not return when the shim has died. */
void wait_for_go(const struct task *task);
/* clone3, or clone where that is missing: the pid, 0 in the child, or -errno. *pidfd may be NULL. */
i32 clone_process(u64 flags, int cgroup, int exit_signal, int *pidfd);
/* Tell the shim. */
int sync_send(struct task *task, enum sync_kind kind, u32 value, int fd);
/* The child's part: waits, executes its section. */
_Noreturn void child_main(struct task *task);
/* Pid 1's part of `init`. */
_Noreturn void init_main(i32 child);

#endif
