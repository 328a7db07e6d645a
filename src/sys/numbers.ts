/** System call numbers and flags. The numbers that differ are chosen by architecture; all newer calls (>= 424) agree. */
const x64 = process.arch === 'x64';

export const NR = {
  read: x64 ? 0 : 63, clock_gettime: x64 ? 228 : 113, write: x64 ? 1 : 64, close: x64 ? 3 : 57, lseek: x64 ? 8 : 62, ioctl: x64 ? 16 : 29,
  socket: x64 ? 41 : 198, connect: x64 ? 42 : 203, sendmsg: x64 ? 46 : 211, recvmsg: x64 ? 47 : 212,
  bind: x64 ? 49 : 200, listen: x64 ? 50 : 201, shutdown: x64 ? 48 : 210, socketpair: x64 ? 53 : 199, sendto: x64 ? 44 : 206, recvfrom: x64 ? 45 : 207,
  setsockopt: x64 ? 54 : 208, fcntl: x64 ? 72 : 25, ftruncate: x64 ? 77 : 46, mkdirat: x64 ? 258 : 34, mknodat: x64 ? 259 : 33,
  fchownat: x64 ? 260 : 54, unlinkat: x64 ? 263 : 35, renameat2: x64 ? 316 : 276, linkat: x64 ? 265 : 37,
  symlinkat: x64 ? 266 : 36, readlinkat: x64 ? 267 : 78, fchmodat: x64 ? 268 : 53, utimensat: x64 ? 280 : 88,
  newfstatat: x64 ? 262 : 79, statx: x64 ? 332 : 291, getdents64: x64 ? 217 : 61, openat: x64 ? 257 : 56,
  fchmod: x64 ? 91 : 52, fchown: x64 ? 93 : 55, setns: x64 ? 308 : 268, unshare: x64 ? 272 : 97, mount: x64 ? 165 : 40,
  umount2: x64 ? 166 : 39, chroot: x64 ? 161 : 51, pivot_root: x64 ? 155 : 41, getpid: x64 ? 39 : 172, kill: x64 ? 62 : 129, dup3: x64 ? 292 : 24,
  pipe2: x64 ? 293 : 59, memfd_create: x64 ? 319 : 279, lgetxattr: x64 ? 192 : 9, fgetxattr: x64 ? 193 : 10,
  lsetxattr: x64 ? 189 : 6, fsetxattr: x64 ? 190 : 7, flistxattr: x64 ? 196 : 13, llistxattr: x64 ? 195 : 12,
  fsync: x64 ? 74 : 82, madvise: x64 ? 28 : 233, fdatasync: x64 ? 75 : 83, prctl: x64 ? 157 : 167, wait4: x64 ? 61 : 260, bpf: x64 ? 321 : 280,
  prlimit64: x64 ? 302 : 261, statfs: x64 ? 137 : 43, syncfs: x64 ? 306 : 267, sync_file_range: x64 ? 277 : 84, copy_file_range: x64 ? 326 : 285,
  fallocate: x64 ? 285 : 47, getuid: x64 ? 102 : 174, capget: x64 ? 125 : 90, flock: x64 ? 73 : 32, sethostname: x64 ? 170 : 161,
  seccomp: x64 ? 317 : 277, execve: x64 ? 59 : 221, splice: x64 ? 275 : 76, eventfd2: x64 ? 290 : 19, inotify_init1: x64 ? 294 : 26,
  epoll_create1: x64 ? 291 : 20, epoll_ctl: x64 ? 233 : 21, epoll_pwait: x64 ? 281 : 22, recvmmsg: x64 ? 299 : 243, sendmmsg: x64 ? 307 : 269,
  accept4: x64 ? 288 : 242, getsockopt: x64 ? 55 : 209, getsockname: x64 ? 51 : 204, fstat: x64 ? 5 : 80,
  pidfd_send_signal: 424, open_tree: 428, move_mount: 429, fsopen: 430, fsconfig: 431, fsmount: 432, fspick: 433,
  pidfd_open: 434, clone3: 435, close_range: 436, openat2: 437, pidfd_getfd: 438, mount_setattr: 442,
} as const;

export const AT_FDCWD = -100;
export const AT_EMPTY_PATH = 0x1000;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_REMOVEDIR = 0x200;
export const AT_RECURSIVE = 0x8000;

export const O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0o100, O_EXCL = 0o200, O_NOCTTY = 0o400, O_TRUNC = 0o1000,
  O_APPEND = 0o2000, O_NONBLOCK = 0o4000, O_CLOEXEC = 0o2000000, O_PATH = 0o10000000;
export const O_DIRECTORY = x64 ? 0o200000 : 0o40000;
export const O_NOFOLLOW = x64 ? 0o400000 : 0o100000;
export const O_TMPFILE = 0o20000000 | O_DIRECTORY;

export const RESOLVE_NO_XDEV = 1, RESOLVE_NO_MAGICLINKS = 2, RESOLVE_NO_SYMLINKS = 4, RESOLVE_BENEATH = 8, RESOLVE_IN_ROOT = 16, RESOLVE_CACHED = 32;

export const S_IFMT = 0o170000, S_IFSOCK = 0o140000, S_IFLNK = 0o120000, S_IFREG = 0o100000, S_IFBLK = 0o060000,
  S_IFDIR = 0o040000, S_IFCHR = 0o020000, S_IFIFO = 0o010000;

export const CLONE_NEWTIME = 0x80, CLONE_NEWNS = 0x20000, CLONE_NEWCGROUP = 0x2000000, CLONE_NEWUTS = 0x4000000,
  CLONE_NEWIPC = 0x8000000, CLONE_NEWUSER = 0x10000000, CLONE_NEWPID = 0x20000000, CLONE_NEWNET = 0x40000000;

export const OPEN_TREE_CLONE = 1, OPEN_TREE_CLOEXEC = O_CLOEXEC;
export const MOVE_MOUNT_F_EMPTY_PATH = 4, MOVE_MOUNT_T_EMPTY_PATH = 0x40;
export const FSCONFIG_SET_FLAG = 0, FSCONFIG_SET_STRING = 1, FSCONFIG_SET_FD = 5, FSCONFIG_CMD_CREATE = 6;
export const MOUNT_ATTR_RDONLY = 1, MOUNT_ATTR_NOSUID = 2, MOUNT_ATTR_NODEV = 4, MOUNT_ATTR_NOEXEC = 8,
  MOUNT_ATTR_NOATIME = 0x10, MOUNT_ATTR_STRICTATIME = 0x20, MOUNT_ATTR_NODIRATIME = 0x80, MOUNT_ATTR_IDMAP = 0x100000,
  MOUNT_ATTR_NOSYMFOLLOW = 0x200000;
export const MS_RDONLY = 1, MS_NOSUID = 2, MS_NODEV = 4, MS_NOEXEC = 8, MS_REMOUNT = 32, MS_BIND = 4096, MS_MOVE = 8192,
  MS_REC = 16384, MS_UNBINDABLE = 1 << 17, MS_PRIVATE = 1 << 18, MS_SLAVE = 1 << 19, MS_SHARED = 1 << 20;
export const MNT_DETACH = 2;
export const MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2, F_ADD_SEALS = 1033, F_SEAL_ALL = 15;
export const F_GETFL = 3, F_SETFL = 4, F_DUPFD_CLOEXEC = 1030, SIOCOUTQ = 0x5411;
export const AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16, SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_SEQPACKET = 5,
  SOCK_CLOEXEC = O_CLOEXEC, SOCK_NONBLOCK = O_NONBLOCK, MSG_NOSIGNAL = 0x4000, MSG_DONTWAIT = 0x40;
export const NETLINK_ROUTE = 0, NETLINK_NETFILTER = 12;
