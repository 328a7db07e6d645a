/* The kernel's interface: numbers, structures and raw calls. A call returns its result or -errno. Nothing here comes from
 * libc, and the kernel's own headers are not used either, so that old headers cannot take new calls away. */
#ifndef NARU_SYS_H
#define NARU_SYS_H

#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

#if defined(__x86_64__)
enum {
  NR_read = 0, NR_write = 1, NR_close = 3, NR_lseek = 8, NR_mmap = 9, NR_munmap = 11, NR_brk = 12, NR_rt_sigaction = 13,
  NR_rt_sigprocmask = 14, NR_ioctl = 16, NR_pread64 = 17, NR_writev = 20, NR_madvise = 28, NR_nanosleep = 35,
  NR_getpid = 39, NR_sendfile = 40, NR_socket = 41, NR_connect = 42, NR_sendto = 44, NR_recvfrom = 45, NR_sendmsg = 46,
  NR_recvmsg = 47, NR_shutdown = 48, NR_bind = 49, NR_listen = 50, NR_getsockname = 51, NR_socketpair = 53, NR_setsockopt = 54, NR_clone = 56,
  NR_execve = 59, NR_wait4 = 61, NR_kill = 62, NR_fcntl = 72, NR_fsync = 74, NR_ftruncate = 77, NR_getcwd = 79,
  NR_chdir = 80, NR_fchdir = 81, NR_fchmod = 91, NR_fchown = 93, NR_umask = 95, NR_getuid = 102, NR_setpgid = 109,
  NR_getppid = 110, NR_setsid = 112, NR_setgroups = 116, NR_setresuid = 117, NR_setresgid = 119, NR_getsid = 124,
  NR_capset = 126, NR_rt_sigtimedwait = 128, NR_personality = 135, NR_fstatfs = 138, NR_pivot_root = 155, NR_prctl = 157,
  NR_chroot = 161, NR_mount = 165, NR_umount2 = 166, NR_sethostname = 170, NR_setdomainname = 171,
  NR_sched_setaffinity = 203, NR_set_mempolicy = 238, NR_getdents64 = 217, NR_clock_gettime = 228, NR_exit_group = 231, NR_keyctl = 250,
  NR_ioprio_set = 251, NR_openat = 257, NR_mkdirat = 258, NR_mknodat = 259, NR_fchownat = 260, NR_unlinkat = 263,
  NR_symlinkat = 266, NR_readlinkat = 267, NR_fchmodat = 268, NR_faccessat = 269, NR_ppoll = 271, NR_unshare = 272, NR_utimensat = 280,
  NR_accept4 = 288, NR_signalfd4 = 289, NR_eventfd2 = 290, NR_dup3 = 292, NR_pipe2 = 293, NR_prlimit64 = 302,
  NR_setns = 308, NR_sched_setattr = 314, NR_renameat2 = 316, NR_seccomp = 317, NR_memfd_create = 319, NR_bpf = 321,
  NR_execveat = 322, NR_statx = 332, NR_fgetxattr = 193, NR_fsetxattr = 190, NR_flistxattr = 196,
};
#define O_DIRECTORY 0200000
#define O_NOFOLLOW 0400000
#elif defined(__aarch64__)
enum {
  NR_fsetxattr = 7, NR_fgetxattr = 10, NR_flistxattr = 13, NR_getcwd = 17, NR_eventfd2 = 19, NR_dup3 = 24, NR_fcntl = 25,
  NR_ioctl = 29, NR_ioprio_set = 30, NR_mknodat = 33, NR_mkdirat = 34, NR_unlinkat = 35, NR_symlinkat = 36,
  NR_umount2 = 39, NR_mount = 40, NR_pivot_root = 41, NR_fstatfs = 44, NR_ftruncate = 46, NR_chdir = 49, NR_fchdir = 50,
  NR_chroot = 51, NR_fchmod = 52, NR_fchmodat = 53, NR_faccessat = 48, NR_fchownat = 54, NR_fchown = 55, NR_openat = 56, NR_close = 57,
  NR_pipe2 = 59, NR_getdents64 = 61, NR_lseek = 62, NR_read = 63, NR_write = 64, NR_writev = 66, NR_pread64 = 67,
  NR_sendfile = 71, NR_ppoll = 73, NR_signalfd4 = 74, NR_readlinkat = 78, NR_fsync = 82, NR_utimensat = 88,
  NR_capset = 91, NR_personality = 92, NR_exit_group = 94, NR_unshare = 97, NR_nanosleep = 101, NR_clock_gettime = 113,
  NR_sched_setaffinity = 122, NR_set_mempolicy = 237, NR_kill = 129, NR_rt_sigaction = 134, NR_rt_sigprocmask = 135, NR_rt_sigtimedwait = 137,
  NR_setresuid = 147, NR_setresgid = 149, NR_setpgid = 154, NR_getsid = 156, NR_setsid = 157, NR_setgroups = 159,
  NR_sethostname = 161, NR_setdomainname = 162, NR_umask = 166, NR_prctl = 167, NR_getpid = 172, NR_getppid = 173,
  NR_getuid = 174, NR_socket = 198, NR_socketpair = 199, NR_bind = 200, NR_listen = 201, NR_connect = 203,
  NR_getsockname = 204,
  NR_sendto = 206, NR_recvfrom = 207, NR_setsockopt = 208, NR_shutdown = 210, NR_sendmsg = 211, NR_recvmsg = 212,
  NR_brk = 214, NR_munmap = 215, NR_keyctl = 219, NR_clone = 220, NR_execve = 221, NR_mmap = 222, NR_madvise = 233, NR_accept4 = 242,
  NR_wait4 = 260, NR_prlimit64 = 261, NR_setns = 268, NR_sched_setattr = 274, NR_renameat2 = 276, NR_seccomp = 277,
  NR_memfd_create = 279, NR_bpf = 280, NR_execveat = 281, NR_statx = 291,
};
#define O_DIRECTORY 040000
#define O_NOFOLLOW 0100000
#else
#error "unsupported architecture"
#endif

enum {
  NR_pidfd_send_signal = 424, NR_open_tree = 428, NR_move_mount = 429, NR_fsopen = 430, NR_fsconfig = 431,
  NR_fsmount = 432, NR_pidfd_open = 434, NR_clone3 = 435, NR_close_range = 436, NR_openat2 = 437, NR_mount_setattr = 442,
};

static inline long sys6(long nr, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
#else
  register long x8 __asm__("x8") = nr;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
#endif
}

#define SYS_PICK(_0, _1, _2, _3, _4, _5, _6, name, ...) name
#define SYS_0(n) sys6(n, 0, 0, 0, 0, 0, 0)
#define SYS_1(n, a) sys6(n, (long)(a), 0, 0, 0, 0, 0)
#define SYS_2(n, a, b) sys6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define SYS_3(n, a, b, c) sys6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define SYS_4(n, a, b, c, d) sys6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define SYS_5(n, a, b, c, d, e) sys6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define SYS_6(n, a, b, c, d, e, f) sys6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
/* sys(read, fd, buffer, size): every argument is widened to long. */
#define sys(...) SYS_PICK(__VA_ARGS__, SYS_6, SYS_5, SYS_4, SYS_3, SYS_2, SYS_1, SYS_0, )(NR_##__VA_ARGS__)

enum {
  EPERM = 1, ENOENT = 2, ESRCH = 3, EINTR = 4, EIO = 5, ENXIO = 6, E2BIG = 7, EBADF = 9, ECHILD = 10, EAGAIN = 11,
  ENOMEM = 12, EACCES = 13, EEXIST = 17, ENOTDIR = 20, EISDIR = 21, EINVAL = 22, EPIPE = 32, ERANGE = 34,
  ENAMETOOLONG = 36, ENOSYS = 38, ELOOP = 40, EPROTO = 71, ENOTSOCK = 88, EOPNOTSUPP = 95, ETIMEDOUT = 110,
  EREMOTEIO = 121,
};

#define AT_FDCWD (-100)
#define AT_EMPTY_PATH 0x1000
#define AT_SYMLINK_NOFOLLOW 0x100
#define AT_REMOVEDIR 0x200
#define AT_RECURSIVE 0x8000
#define O_RDONLY 0
#define O_WRONLY 1
#define O_RDWR 2
#define O_CREAT 0100
#define O_EXCL 0200
#define O_NOCTTY 0400
#define O_TRUNC 01000
#define O_APPEND 02000
#define O_NONBLOCK 04000
#define O_CLOEXEC 02000000
#define O_PATH 010000000
#define RESOLVE_NO_MAGICLINKS 2
#define RESOLVE_NO_SYMLINKS 4
#define RESOLVE_BENEATH 8
#define RESOLVE_IN_ROOT 16
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFLNK 0120000
#define S_IFREG 0100000
#define S_IFDIR 0040000
#define S_IFCHR 0020000
#define S_IFIFO 0010000
#define F_DUPFD_CLOEXEC 1030
#define F_GETFD 1
#define F_SETFD 2
#define F_GETFL 3
#define F_SETFL 4
#define FD_CLOEXEC 1
#define F_SETPIPE_SZ 1031
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#define MFD_CLOEXEC 1
#define MFD_ALLOW_SEALING 2
#define MFD_EXEC 0x10
#define CLOSE_RANGE_CLOEXEC 4
#define PROT_READ 1
#define PROT_WRITE 2
#define MAP_SHARED 1
#define MAP_PRIVATE 2
#define MAP_ANONYMOUS 0x20
#define MADV_DONTNEED 4
#define AF_UNIX 1
#define AF_NETLINK 16
#define SOCK_STREAM 1
#define SOCK_RAW 3
#define SOCK_SEQPACKET 5
#define SOL_SOCKET 1
#define SCM_RIGHTS 1
#define SO_RCVBUFFORCE 33
#define MSG_TRUNC 0x20
#define MSG_CTRUNC 8
#define MSG_DONTWAIT 0x40
#define MSG_NOSIGNAL 0x4000
#define MSG_CMSG_CLOEXEC 0x40000000
#define SHUT_RD 0
#define SHUT_WR 1
#define POLLIN 1
#define POLLPRI 2
#define POLLOUT 4
#define POLLERR 8
#define POLLHUP 16
#define POLLRDHUP 0x2000
#define CLONE_VM 0x100
#define CLONE_PIDFD 0x1000
#define CLONE_INTO_CGROUP 0x200000000ull
#define CLONE_PARENT 0x8000
#define SIGKILL 9
#define SIGCHLD 17
#define WNOHANG 1
#define SIG_BLOCK 0
#define SIG_SETMASK 2
#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define MS_RDONLY 1
#define MS_REMOUNT 32
#define MS_BIND 4096
#define MS_MOVE 8192
#define MS_REC 16384
#define MS_SLAVE (1 << 19)
#define MNT_DETACH 2
#define MOUNT_ATTR_RDONLY 1
#define MOUNT_ATTR_NOSUID 2
#define MOUNT_ATTR_NODEV 4
#define MOUNT_ATTR_NOEXEC 8
#define MOUNT_ATTR__ATIME 0x70
#define MOUNT_ATTR_NOATIME 0x10
#define MOUNT_ATTR_STRICTATIME 0x20
#define MOUNT_ATTR_NODIRATIME 0x80
#define MOUNT_ATTR_KNOWN 0xff
#define OPEN_TREE_CLONE 1
#define FSCONFIG_SET_FLAG 0
#define FSCONFIG_SET_STRING 1
#define FSCONFIG_CMD_CREATE 6
#define MOVE_MOUNT_F_EMPTY_PATH 4
#define MOVE_MOUNT_T_EMPTY_PATH 0x40
#define TIOCSCTTY 0x540e
#define TIOCGPGRP 0x540f
#define TIOCSPGRP 0x5410
#define TIOCSWINSZ 0x5414
#define TIOCSPTLCK 0x40045431
#define TIOCGPTPEER 0x5441
#define SIOCGIFINDEX 0x8933
#define PR_SET_NAME 15
#define PR_SET_MM 35
#define PR_SET_MM_MAP 14
struct mm_map {
  u64 start_code, end_code, start_data, end_data, start_brk, brk, start_stack, arg_start, arg_end, env_start, env_end, auxv;
  u32 auxv_size, exe_fd;
};
#define PR_CAPBSET_DROP 24
#define PR_CAP_AMBIENT 47
#define PR_CAP_AMBIENT_RAISE 2
#define PR_CAP_AMBIENT_CLEAR_ALL 4
#define PROC_SUPER_MAGIC 0x9fa0
#define STATX_BASIC 0x7ff

struct timespec { i64 sec, nsec; };
struct iovec { void *base; size_t len; };
struct pollfd { int fd; short events, revents; };
struct open_how { u64 flags, mode, resolve; };
struct clone_args { u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup; };
struct mount_attr { u64 set, clear, propagation, userns; };
struct sigaction_k { u64 handler, flags, restorer, mask; };
struct msghdr_k { void *name; int namelen; struct iovec *iov; size_t iovlen; void *control; size_t controllen; int flags; };
struct cmsghdr_k { size_t len; int level, type; };
struct sockaddr_un_k { u16 family; char path[108]; };
struct winsize { u16 rows, columns, x, y; };
struct nlmsghdr_k { u32 len; u16 type, flags; u32 seq, pid; };
struct statx_time { i64 sec; u32 nsec; i32 pad; };
struct statx_k {
  u32 mask, blksize; u64 attributes; u32 nlink, uid, gid; u16 mode, pad; u64 ino, size, blocks, attributes_mask;
  struct statx_time atime, btime, ctime, mtime; u32 rdev_major, rdev_minor, dev_major, dev_minor; u64 mnt_id; u64 spare[13];
};
struct dirent64_k { u64 ino; i64 off; u16 reclen; u8 type; char name[]; };

#endif
