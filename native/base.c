#include "base.h"

/* The compiler emits calls to these four, and would turn plain loops inside them into calls to themselves. */
void *memcpy(void *to, const void *from, size_t n) {
  void *start = to;
#if defined(__x86_64__)
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
#else
  for (u8 *t = to; n > 0; n--, from = (const u8 *)from + 1) {
    *t++ = *(const u8 *)from;
    __asm__ volatile("" : : : "memory");
  }
#endif
  return start;
}

void *memmove(void *to, const void *from, size_t n) {
  if ((uintptr_t)to <= (uintptr_t)from) return memcpy(to, from, n);
  for (u8 *t = to; n > 0; n--) {
    t[n - 1] = ((const u8 *)from)[n - 1];
    __asm__ volatile("" : : : "memory");
  }
  return to;
}

void *memset(void *to, int byte, size_t n) {
  void *start = to;
#if defined(__x86_64__)
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
#else
  for (u8 *t = to; n > 0; n--) {
    *t++ = (u8)byte;
    __asm__ volatile("" : : : "memory");
  }
#endif
  return start;
}

int memcmp(const void *a, const void *b, size_t n) {
  const u8 *x = a, *y = b;
  for (; n > 0; n--, x++, y++)
    if (*x != *y) return *x - *y;
  return 0;
}

size_t strlen(const char *s) {
  size_t n = 0;
  while (s[n]) {
    n++;
    __asm__ volatile("");
  }
  return n;
}

void *pages(size_t bytes) {
  long p = sys(mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return p < 0 && p > -4096 ? NULL : (void *)p;
}

void pages_free(void *start, size_t bytes) {
  if (start) sys(munmap, start, bytes);
}

u64 now_ns(int clock) {
  struct timespec t;
  sys(clock_gettime, clock, &t);
  return (u64)t.sec * 1000000000u + (u64)t.nsec;
}

void sleep_ms(u32 ms) {
  struct timespec t = {ms / 1000, (i64)(ms % 1000) * 1000000};
  sys(nanosleep, &t, 0);
}

size_t decimal(char *buffer, u64 n) {
  char digits[20];
  size_t count = 0, out = 0;
  do digits[count++] = (char)('0' + n % 10);
  while ((n /= 10) > 0);
  while (count > 0) buffer[out++] = digits[--count];
  buffer[out] = 0;
  return out;
}

int write_once(int fd, const void *bytes, size_t n) {
  long done;
  do done = sys(write, fd, bytes, n);
  while (done == -EINTR);
  return done < 0 ? (int)done : (size_t)done == n ? 0 : -EIO;
}

int write_path(const char *path, int flags, const void *bytes, size_t n) {
  AUTO_FD fd = (int)sys(openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC | flags, 0644);
  return fd < 0 ? fd : write_once(fd, bytes, n);
}

int statx_fd(int fd, struct statx_k *st) { return (int)sys(statx, fd, "", AT_EMPTY_PATH, STATX_BASIC, st); }

int open2(int at, const char *path, u64 flags, u64 mode, u64 resolve) {
  struct open_how how = {flags | O_CLOEXEC, mode, resolve};
  long fd;
  /* EAGAIN: somebody renamed below the root while the kernel resolved "..". */
  for (int tries = 0; tries < 64; tries++)
    if ((fd = sys(openat2, at, path, &how, sizeof how)) != -EAGAIN) break;
  return (int)fd;
}

void set_comm(const char *name) { sys(prctl, PR_SET_NAME, name, 0, 0, 0); }

void signals_default(void) {
  struct sigaction_k action = {0};
  for (int signal = 1; signal <= 64; signal++) sys(rt_sigaction, signal, &action, 0, 8);
}

void signals_block_all(void) {
  u64 all = ~0ull;
  sys(rt_sigprocmask, SIG_SETMASK, &all, 0, 8);
}

void signals_unblock_all(void) {
  u64 none = 0;
  sys(rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
}

_Noreturn void quit(int code) {
  for (;;) sys(exit_group, code);
}

struct control {
  struct cmsghdr_k header;
  int fds[MAX_FDS];
};

long send_fds(int socket, const void *bytes, size_t n, const int *fds, size_t nfds, int flags) {
  struct control control = {{sizeof control.header + nfds * sizeof(int), SOL_SOCKET, SCM_RIGHTS}, {0}};
  if (nfds > MAX_FDS) return -EINVAL;
  for (size_t i = 0; i < nfds; i++) control.fds[i] = fds[i];
  struct iovec iov = {(void *)(uintptr_t)bytes, n};
  struct msghdr_k message = {0};
  message.iov = &iov;
  message.iovlen = 1;
  if (nfds > 0) {
    message.control = &control;
    message.controllen = control.header.len;
  }
  long sent;
  do sent = sys(sendmsg, socket, &message, flags | MSG_NOSIGNAL);
  while (sent == -EINTR);
  return sent;
}

long recv_fds(int socket, void *bytes, size_t n, int *fds, size_t *nfds, int flags) {
  struct control control;
  struct iovec iov = {bytes, n};
  struct msghdr_k message = {0};
  message.iov = &iov;
  message.iovlen = 1;
  message.control = &control;
  message.controllen = sizeof control;
  size_t room = *nfds;
  *nfds = 0;
  long got;
  do got = sys(recvmsg, socket, &message, flags | MSG_CMSG_CLOEXEC);
  while (got == -EINTR);
  if (got < 0) return got;
  size_t have = 0;
  if (message.controllen >= sizeof control.header && control.header.level == SOL_SOCKET && control.header.type == SCM_RIGHTS)
    have = (control.header.len - sizeof control.header) / sizeof(int);
  int bad = have > room || (message.flags & MSG_CTRUNC);
  for (size_t i = 0; i < have; i++) {
    if (bad) sys(close, control.fds[i]);
    else fds[(*nfds)++] = control.fds[i];
  }
  return bad ? -EPROTO : got;
}

int unix_address(int socket, const char *path, int connecting) {
  struct sockaddr_un_k address = {AF_UNIX, {0}};
  size_t n = strlen(path), start = 0;
  AUTO_FD dir = -1;
  if (n >= sizeof address.path) {
    /* Too long for sun_path: go through the directory's descriptor. */
    size_t slash = n;
    while (slash > 0 && path[slash - 1] != '/') slash--;
    char parent[PAGE];
    if (slash == 0 || slash >= sizeof parent) return -ENAMETOOLONG;
    memcpy(parent, path, slash);
    parent[slash] = 0;
    dir = (int)sys(openat, AT_FDCWD, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (dir < 0) return dir;
    memcpy(address.path, "/proc/self/fd/", 14);
    start = 14 + decimal(address.path + 14, (u64)dir);
    address.path[start++] = '/';
    path += slash;
    n -= slash;
    if (start + n >= sizeof address.path) return -ENAMETOOLONG;
  }
  memcpy(address.path + start, path, n + 1);
  int length = (int)(sizeof address.family + start + n + 1);
  return (int)(connecting ? sys(connect, socket, &address, length) : sys(bind, socket, &address, length));
}
