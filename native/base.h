/* What a C library would give, as far as it is needed. */
#ifndef NARU_BASE_H
#define NARU_BASE_H

#include "sys.h"

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define COUNT(a) (sizeof(a) / sizeof *(a))
#define PAGE 4096ul
#define ALIGN(n, to) (((n) + (to)-1) & ~((to)-1))

/* Closed when the variable goes out of scope, unless it was taken. */
static inline void close_quietly(int *fd) {
  if (*fd >= 0) sys(close, *fd);
  *fd = -1;
}
#define AUTO_FD __attribute__((cleanup(close_quietly))) int
static inline int take_fd(int *fd) {
  int taken = *fd;
  *fd = -1;
  return taken;
}

/* Whole pages, zeroed, touched only when used; NULL when there are none. */
void *pages(size_t bytes);
void pages_free(void *start, size_t bytes);

u64 now_ns(int clock);
void sleep_ms(u32 ms);
/* Decimal digits of n with a NUL; returns their number. buffer: at least 21 bytes. */
size_t decimal(char *buffer, u64 n);
/* All of `bytes` in one write(2): 0 or -errno, a short write is -EIO. */
int write_once(int fd, const void *bytes, size_t n);
int write_path(const char *path, int flags, const void *bytes, size_t n);
int statx_fd(int fd, struct statx_k *st);
/* openat2 with O_CLOEXEC: a descriptor or -errno. */
int open2(int at, const char *path, u64 flags, u64 mode, u64 resolve);
/* A name of at most 15 characters. */
void set_comm(const char *name);
/* Every signal back to its default. */
void signals_default(void);
void signals_block_all(void);
void signals_unblock_all(void);
_Noreturn void quit(int code);

/* A SEQPACKET or stream message with descriptors: bytes or -errno. */
long send_fds(int socket, const void *bytes, size_t n, const int *fds, size_t nfds, int flags);
/* Receives at most *nfds descriptors (close-on-exec); those beyond are closed and -EPROTO returned. */
long recv_fds(int socket, void *bytes, size_t n, int *fds, size_t *nfds, int flags);
/* bind or connect to a path of any length. */
int unix_address(int socket, const char *path, int connecting);

#define MAX_FDS 20

#endif
