/* The process's first steps, and the fork server. */
#include "plan.h"
#include "shim.h"

#define SOCKET_FD 3
#define PLAN_FD 4
#define FIRST_SLOT_FD 5
#define MAX_SLOT_FDS 16

__attribute__((used)) uintptr_t __stack_chk_guard;
__attribute__((used)) _Noreturn void __stack_chk_fail(void) { quit(134); }

/* Inside a container, /proc/<pid>/exe of ours leads back to this file: only a sealed copy may be seen there, or the
 * container's root could write into the host's helper (CVE-2019-5736). */
static void run_from_sealed_copy(char **argv) {
  char *no_env[] = {NULL};
  AUTO_FD self = (int)sys(openat, AT_FDCWD, "/proc/self/exe", O_RDONLY | O_CLOEXEC, 0);
  if (self < 0) quit(125);
  long seals = sys(fcntl, self, F_GET_SEALS, 0);
  if (seals > 0 && (seals & 15) == 15) return;
  int copy = (int)sys(memfd_create, "naru-helper", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
  if (copy == -EINVAL) copy = (int)sys(memfd_create, "naru-helper", MFD_CLOEXEC | MFD_ALLOW_SEALING); /* before 6.3 */
  if (copy < 0) quit(125);
  while (sys(sendfile, copy, self, 0, 1 << 20) > 0) {}
  sys(fcntl, copy, F_ADD_SEALS, 15);
  /* Without the caller's environment: pid 1 of a container would show it. */
  sys(execveat, copy, "", argv, no_env, AT_EMPTY_PATH);
  quit(125);
}

static void settle(const char *name) {
  signals_default();
  signals_block_all();
  sys(umask, 0);
  sys(chdir, "/");
  int null = (int)sys(openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
  if (null < 0) quit(125);
  for (int i = 0; i < 3; i++)
    if (i == null) sys(fcntl, i, F_SETFD, 0);
    else sys(dup3, null, i, 0);
  if (null > 2) sys(close, null);
  set_comm(name);
}

static _Noreturn void spawner(void) {
  struct sigaction_k ignore = {1, 0, 0, 0};
  settle("naru-spawner");
  sys(rt_sigaction, SIGCHLD, &ignore, 0, 8); /* shims are nobody's zombies */
  sys(fcntl, SOCKET_FD, F_SETFD, FD_CLOEXEC);
  /* Forking the next shim ahead was measured: on two processors it only gets in the way of the one that starts. */
  for (;;) {
    u32 message[4];
    int fds[MAX_FDS];
    size_t nfds = MAX_SLOT_FDS + 2;
    long n = recv_fds(SOCKET_FD, message, sizeof message, fds, &nfds, 0);
    if (n == -EPROTO) continue;
    if (n <= 0) quit(0);
    if (n >= 8 && message[0] == MSG_SPAWN && nfds >= 2) spawn_shim(fds, nfds, -1, message[1]);
    for (size_t i = 0; i < nfds; i++) sys(close, fds[i]);
  }
}

static _Noreturn void run(void) {
  int slots[MAX_SLOT_FDS];
  size_t count = 0;
  settle("naru-shim");
  while (count < MAX_SLOT_FDS && sys(fcntl, FIRST_SLOT_FD + count, F_GETFD) >= 0) {
    slots[count] = (int)(FIRST_SLOT_FD + count);
    count++;
  }
  for (int fd = SOCKET_FD; fd < FIRST_SLOT_FD + (int)count; fd++) sys(fcntl, fd, F_SETFD, FD_CLOEXEC);
  shim_main(SOCKET_FD, PLAN_FD, slots, count, -1, 0);
}

static _Noreturn void check(void) {
  struct statx_k st;
  struct plan plan;
  struct plan_error error;
  if (statx_fd(PLAN_FD, &st) < 0 || st.size > PLAN_MAX_BYTES) quit(1);
  u8 *bytes = pages(st.size + 1);
  if (!bytes || sys(pread64, PLAN_FD, bytes, st.size, 0) != (long)st.size) quit(1);
  quit(plan_decode(&plan, bytes, st.size, &error) < 0);
}

static int is(const char *a, const char *b) { return strlen(a) == strlen(b) && memcmp(a, b, strlen(a)) == 0; }

__attribute__((used, noinline)) static _Noreturn void helper_main(long argc, char **argv) {
  if (argc < 2) quit(2);
  if (is(argv[1], "check")) check();
  run_from_sealed_copy(argv);
  if (is(argv[1], "spawner")) spawner();
  if (is(argv[1], "run")) run();
  quit(2);
}

#define AT_RANDOM 25

__attribute__((used)) static _Noreturn void begin_c(long *stack) {
  long argc = *stack, *at = stack + argc + 2;
  while (*at++) {}
  for (; at[0]; at += 2)
    if (at[0] == AT_RANDOM) memcpy(&__stack_chk_guard, (void *)at[1], sizeof __stack_chk_guard);
  helper_main(argc, (char **)(stack + 1));
}

__asm__(
    ".globl _start\n.type _start,%function\n_start:\n"
#if defined(__x86_64__)
    "xor %ebp,%ebp\nmov %rsp,%rdi\nand $-16,%rsp\ncall begin_c\nhlt\n"
#else
    "mov x29,#0\nmov x30,#0\nmov x0,sp\nbl begin_c\nbrk #0\n"
#endif
);
