import type { OciSeccomp } from '#spec/oci-runtime.ts';
import { kernelAtLeast } from './kernel-version.ts';

type OciRule = NonNullable<OciSeccomp['syscalls']>[number];

/** What every container may call, by subject. Names that an ABI does not have are skipped when the filter is compiled. */
const ALWAYS = {
  process: `
    execve execveat exit exit_group fork futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake
    get_robust_list get_thread_area getcpu getpgid getpgrp getpid getppid getpriority getrandom getrlimit getrusage
    getsid gettid ioprio_get ioprio_set kill landlock_add_rule landlock_create_ruleset landlock_restrict_self membarrier
    pause pidfd_open pidfd_send_signal prctl prlimit64 process_mrelease restart_syscall riscv_hwprobe rseq
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
    sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
    sched_yield seccomp set_robust_list set_thread_area set_tid_address setpgid setpriority setrlimit setsid sysinfo
    tgkill times tkill ugetrlimit umask uname uretprobe vfork wait4 waitid waitpid`,
  credentials: `
    capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32
    getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32
    setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32`,
  signals: `
    rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
    rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack signalfd signalfd4 sigprocmask sigreturn`,
  time: `
    adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
    clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create timer_delete
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
    timerfd_gettime64 timerfd_settime timerfd_settime64`,
  memory: `
    brk madvise map_shadow_stack memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 mprotect mremap mseal
    msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages`,
  sockets: `
    accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 recvmsg
    send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair`,
  events: `
    _newselect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old
    eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy
    io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit poll ppoll ppoll_time64 pselect6 pselect6_time64
    select`,
  systemVIpc: `
    ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink
    msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget`,
  attributes: `
    access cachestat chmod chown chown32 faccessat faccessat2 fchmod fchmodat fchmodat2 fchown fchown32 fchownat
    fgetxattr flistxattr fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 futimesat getxattr getxattrat
    lchown lchown32 lgetxattr listmount listxattr listxattrat llistxattr lremovexattr lsetxattr lstat lstat64 newfstatat
    removexattr removexattrat setxattr setxattrat stat stat64 statfs statfs64 statmount statx utime utimensat
    utimensat_time64 utimes`,
  descriptors: `
    _llseek close close_range copy_file_range dup dup2 dup3 fadvise64 fadvise64_64 fallocate fcntl fcntl64 fdatasync
    flock fsync ftruncate ftruncate64 ioctl lseek pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read
    readahead readv sendfile sendfile64 splice sync sync_file_range syncfs tee truncate truncate64 vmsplice write writev`,
  paths: `
    chdir creat fchdir getcwd getdents getdents64 link linkat mkdir mkdirat mknod mknodat name_to_handle_at open openat
    openat2 readlink readlinkat rename renameat renameat2 rmdir symlink symlinkat unlink unlinkat`,
} as const;

/** Calls that are harmless only to somebody who has the capability anyway (it must be in the bounding set). */
const BY_CAPABILITY: Readonly<Record<string, string>> = {
  CAP_DAC_READ_SEARCH: 'open_by_handle_at',
  CAP_SYS_ADMIN: `
    bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
    lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
    sethostname setns syslog umount umount2 unshare`,
  CAP_SYS_BOOT: 'reboot',
  CAP_SYS_CHROOT: 'chroot',
  CAP_SYS_MODULE: 'delete_module init_module finit_module',
  CAP_SYS_PACCT: 'acct',
  CAP_SYS_PTRACE: 'kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace',
  CAP_SYS_RAWIO: 'iopl ioperm',
  CAP_SYS_TIME: 'settimeofday stime clock_settime clock_settime64',
  CAP_SYS_TTY_CONFIG: 'vhangup',
  CAP_SYS_NICE: 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node',
  CAP_SYSLOG: 'syslog',
  CAP_BPF: 'bpf',
  CAP_PERFMON: 'perf_event_open',
};

const BY_ARCHITECTURE = {
  amd64: 'arch_prctl modify_ldt',
  arm64: 'arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls',
} as const;

const ARCHITECTURES = {
  amd64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
} as const;

/** The two machines that naru runs on, in Go's words as everywhere in Docker's API. */
export type HostArchitecture = keyof typeof ARCHITECTURES;
export const hostArchitecture = (): HostArchitecture => (process.arch === 'arm64' ? 'arm64' : 'amd64');

/** Before 4.8 a tracer could change a call after seccomp had looked at it. */
const PTRACE_IS_SAFE_SINCE = '4.8';
const PTRACE = 'process_vm_readv process_vm_writev ptrace';

/**
 * Address families 0..37, 39 and 41..63; left out are 38 AF_ALG (kernel crypto, CVE-2026-31431) and 40 AF_VSOCK (the road to
 * the hypervisor). Docker says `> 40`, which 2^32 + 38 satisfies although the kernel reads an int there, 38: so the upper
 * end is written as bit masks that pin the other bits to zero.
 */
const SOCKET_FAMILIES: readonly (readonly [op: string, value: number | string, valueTwo?: number])[] = [
  ['SCMP_CMP_LT', 38], ['SCMP_CMP_EQ', 39], ['SCMP_CMP_EQ', 41],
  ['SCMP_CMP_MASKED_EQ', String(2n ** 64n - 2n), 42],
  ['SCMP_CMP_MASKED_EQ', String(2n ** 64n - 4n), 44],
  ['SCMP_CMP_MASKED_EQ', String(2n ** 64n - 16n), 48],
];

/** PER_LINUX, PER_LINUX32, each with UNAME26, and the query: none switches off a protection, as ADDR_NO_RANDOMIZE would. */
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff] as const;

/** CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}: threads and processes yes, namespaces no. */
const CLONE_NAMESPACES = 0x7e020000;
const ENOSYS = 38;
const EPERM = 1;

export interface ProfileConditions {
  /** The bounding set of the container: `CAP_SYS_ADMIN`, ... */
  readonly capabilities: readonly string[];
  readonly architecture: HostArchitecture;
  /** `uname -r` of the host. */
  readonly kernel: string;
}

const cache = new Map<string, OciSeccomp>();
const CACHE_LIMIT = 32;

/**
 * Docker's default policy (https://docs.docker.com/engine/security/seccomp/) for a container with these capabilities. Equal
 * conditions give the identical object (do not change it), so that `compileSeccomp` finds its earlier work.
 */
export function defaultSeccompProfile(conditions: ProfileConditions): OciSeccomp {
  const gates = Object.keys(BY_CAPABILITY).filter((name) => conditions.capabilities.includes(name));
  const key = `${conditions.architecture} ${kernelAtLeast(conditions.kernel, PTRACE_IS_SAFE_SINCE)} ${gates.join(' ')}`;
  let profile = cache.get(key);
  if (profile === undefined) {
    if (cache.size >= CACHE_LIMIT) cache.clear();
    profile = build(conditions, gates);
    cache.set(key, profile);
  }
  return profile;
}

function build(conditions: ProfileConditions, gates: readonly string[]): OciSeccomp {
  const names = new Set(Object.values(ALWAYS).flatMap(words));
  for (const gate of gates) for (const name of words(BY_CAPABILITY[gate]!)) names.add(name);
  for (const name of words(BY_ARCHITECTURE[conditions.architecture])) names.add(name);
  if (kernelAtLeast(conditions.kernel, PTRACE_IS_SAFE_SINCE)) for (const name of words(PTRACE)) names.add(name);

  const rules: OciRule[] = [{ names: [...names].sort(), action: 'SCMP_ACT_ALLOW' }];
  const allowWhen = (name: string, op: string, value: number | string, valueTwo?: number): void => {
    rules.push({ names: [name], action: 'SCMP_ACT_ALLOW', args: [{ index: 0, value, op, ...(valueTwo === undefined ? {} : { valueTwo }) }] });
  };
  for (const [op, value, valueTwo] of SOCKET_FAMILIES) allowWhen('socket', op, value, valueTwo);
  for (const persona of PERSONALITIES) allowWhen('personality', 'SCMP_CMP_EQ', persona);
  if (!gates.includes('CAP_SYS_ADMIN')) {
    allowWhen('clone', 'SCMP_CMP_MASKED_EQ', CLONE_NAMESPACES, 0);
    // clone3's flags are in memory that a filter cannot read: ENOSYS makes libc fall back to clone.
    rules.push({ names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS });
  }
  return {
    defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: EPERM,
    architectures: [...ARCHITECTURES[conditions.architecture]], syscalls: rules,
  };
}

const words = (text: string): string[] => text.trim().split(/\s+/);
