/**
 * The plan's operations: the one table from which the encoder, the printer (`naru plan`) and the helper's
 * `ops.h` (written by scripts/gen-ops.ts at build time) are made.
 *
 * A plan is a list of operations, each in one of four sections, executed top to bottom; the first failure stops it:
 *
 *  section  who executes it                                  when
 *  prepare  the shim, in the host's namespaces               before clone
 *  parent   the shim                                         after clone, while the child waits
 *  child    the child, in the namespaces that clone made     after the parent section; ends with `exec`
 *  cleanup  the shim                                         after the child was reaped (failures are skipped); also
 *                                                            after a failed start
 *
 * Exactly one `clone` stands at the end of `prepare`. Values that only exist at run time live in 64 descriptor slots
 * of the process (inherited by the child at clone: each of them is close-on-exec). Slots 0..15 are filled from the
 * descriptors that came with the request; slot 62 is the pidfd of the container that serves the request (exec) and
 * slot 63 the pidfd of the child, after clone, in the shim.
 *
 * Paths: `path` arguments are host paths of ours (state directories, cgroups), which no container controls. Whatever
 * lies in a tree that a container or an image controls is reached only as (`root` slot, relative path) and resolved by
 * `openat2` with RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS; arguments of kind `inroot` are such paths.
 */

/** How an argument is written: `int` one u64 (negative values as two's complement); `slot` an int below 64, or -1 for
 *  AT_FDCWD / none; `str` a NUL-terminated string; `inroot` likewise, resolved inside a root slot; `list` a sequence of
 *  NUL-terminated strings, in order; `bytes` raw bytes; `ints` a sequence of u32. */
export type ArgKind = 'int' | 'slot' | 'str' | 'inroot' | 'list' | 'bytes' | 'ints';

export interface OpDefinition {
  readonly code: number;
  /** Argument names with their kinds, in wire order. */
  readonly args: readonly (readonly [name: string, kind: ArgKind])[];
}

const op = <const A extends readonly (readonly [string, ArgKind])[]>(code: number, ...args: A): { readonly code: number; readonly args: A } => ({ code, args });

export const OPS = {
  // --- files of ours
  /** mkdir(path, mode), one level. */
  mkdir: op(1, ['path', 'str'], ['mode', 'int']),
  rmdir: op(2, ['path', 'str']),
  unlink: op(3, ['path', 'str']),
  /** Open O_WRONLY|O_CLOEXEC|flags, one write(2) of all bytes, close. */
  write: op(4, ['path', 'str'], ['flags', 'int'], ['data', 'bytes']),
  /** openat2(at, path, flags, mode, resolve) into slot. O_CLOEXEC is always added. */
  open: op(5, ['slot', 'slot'], ['at', 'slot'], ['path', 'str'], ['flags', 'int'], ['mode', 'int'], ['resolve', 'int']),
  close: op(6, ['slot', 'slot']),
  /** openat2(at, path, O_WRONLY, resolve), one write, close: for procfs and cgroup files below a descriptor of ours. */
  write_at: op(7, ['at', 'slot'], ['path', 'str'], ['resolve', 'int'], ['data', 'bytes']),
  /** Write the decimal pid of the child (in sections parent/cleanup) or "0" (in child) to the file. */
  write_pid: op(8, ['path', 'str']),
  /** Send SIGKILL to every pid in the file (a cgroup.procs), again until it is empty or timeoutMs has passed. */
  kill_procs: op(9, ['path', 'str'], ['timeoutMs', 'int']),
  /** One write(2) of all bytes to the descriptor in slot, which is then closed here (and only here). */
  write_slot: op(67, ['slot', 'slot'], ['data', 'bytes']),
  chown: op(10, ['path', 'str'], ['uid', 'int'], ['gid', 'int']),
  chmod: op(11, ['path', 'str'], ['mode', 'int']),
  mkfifo: op(12, ['path', 'str'], ['mode', 'int']),

  // --- what the shim is (section prepare)
  /** mode 0: /dev/null on all three; 1: pipes; 2: a pty (the child opens it with `pty`). stdin 0: /dev/null or closed;
   *  1: kept open until a client that asks for it closes it; 2: closed when the first attached client ends. In mode 3
   *  the child inherits descriptors of slots 0,1,2 (foreground, `naru runtime`). */
  stdio: op(20, ['mode', 'int'], ['stdin', 'int']),
  /** Append log records to path; when it would exceed maxSize bytes, rename path -> path.1 -> path.2 ... keeping
   *  maxFiles in all. maxSize 0: never rotate. See native/README.md for the record. */
  log: op(21, ['path', 'str'], ['maxSize', 'int'], ['maxFiles', 'int']),
  /** When the child was reaped: write the 32-byte exit record to path.tmp, rename to path. sync=1: fsync both once those who wait were told. */
  exit_file: op(22, ['path', 'str'], ['sync', 'int']),
  /** Listen on a unix SEQPACKET socket at path (mode 0600) for the shim protocol; unlinked at exit. */
  listen: op(23, ['path', 'str']),
  /** oomFile: memory.oom_control (v1) or memory.events (v2), whose `oom_kill N` line is read at exit; eventControl: v1's
   *  cgroup.event_control for live events, or "" (v2: oomFile is polled). */
  oom_watch: op(24, ['oomFile', 'str'], ['eventControl', 'str']),
  /** Set the shim's own oom_score_adj and name (comm). */
  shim: op(25, ['comm', 'str'], ['oomScoreAdj', 'int']),
  /** Write the decimal host pid of the child to path once it exists (OCI --pid-file). */
  pid_file: op(26, ['path', 'str']),
  /** The shim ends, and leaves the child to whoever reaps orphans: 1 once it is created (`await` kind 2), 2 once its program
   *  runs. Without this it stays until the child has ended. */
  leave: op(27, ['when', 'int']),

  // --- process
  /** clone3(flags | CLONE_PIDFD); cgroup: a slot holding a cgroup2 directory for CLONE_INTO_CGROUP, or -1. */
  clone: op(30, ['flags', 'int'], ['cgroup', 'slot']),
  setns: op(31, ['slot', 'slot'], ['nstype', 'int']),
  unshare: op(32, ['flags', 'int']),
  /** In the child: clone3(CLONE_PARENT | flags), the rest of the section runs in the new process and the old one exits;
   *  the shim takes the new one as its child (needed after setns into a pid namespace). */
  reclone: op(33, ['flags', 'int']),
  /** The same, into the cgroup2 directory in slot `cgroup` (as `clone`; -1: none), which the new process closes at once. */
  reclone_into: op(66, ['flags', 'int'], ['cgroup', 'slot']),
  /** In the child, once: waits for the end of the section parent. Without it the child waits at its very beginning. */
  wait_parent: op(65),
  setsid: op(34),
  setgroups: op(35, ['gids', 'ints']),
  setresgid: op(36, ['gid', 'int']),
  setresuid: op(37, ['uid', 'int']),
  /** prctl(PR_CAPBSET_DROP) for every capability that is not in keep. */
  cap_bound: op(38, ['keep', 'int']),
  /** capset(2) with these three masks. */
  capset: op(39, ['effective', 'int'], ['permitted', 'int'], ['inheritable', 'int']),
  cap_ambient: op(40, ['mask', 'int']),
  prctl: op(41, ['option', 'int'], ['a2', 'int'], ['a3', 'int'], ['a4', 'int'], ['a5', 'int']),
  rlimit: op(42, ['resource', 'int'], ['soft', 'int'], ['hard', 'int']),
  umask: op(43, ['mask', 'int']),
  personality: op(44, ['persona', 'int']),
  sched_setattr: op(45, ['attr', 'bytes']),
  ioprio_set: op(46, ['ioprio', 'int']),
  sched_setaffinity: op(47, ['mask', 'bytes']),
  /** set_mempolicy(mode, nodes, their bits + 1): mode with its flags; nodes a bit mask in whole 8-byte words, or nothing. */
  mempolicy: op(63, ['mode', 'int'], ['nodes', 'bytes']),
  /** keyctl(KEYCTL_JOIN_SESSION_KEYRING, name). */
  keyring: op(48, ['name', 'str']),
  sethostname: op(49, ['name', 'str']),
  setdomainname: op(50, ['name', 'str']),
  /** chdir inside the container; fails with ENOENT when getcwd(2) then reports "(unreachable)". create=1: mkdir -p first. */
  chdir: op(51, ['path', 'str'], ['create', 'int']),
  /** seccomp(SET_MODE_FILTER, flags, program); with listenerSlot >= 0 the notify fd is sent over the socket in that slot
   *  together with `state` bytes
   *  (every "\u0000PID\u0000" is replaced by the child's decimal pid). */
  seccomp: op(52, ['flags', 'int'], ['program', 'bytes'], ['listener', 'slot'], ['state', 'bytes']),
  /** Write 1..n: set every descriptor from `first` up close-on-exec (close_range CLOEXEC). */
  cloexec_from: op(53, ['first', 'int']),
  /** PID 1 duty: fork; the child goes on with the plan, the parent reaps everything, forwards signals, exits like the child.
   *  Its command line (`/proc/1/cmdline`) becomes argv, where the kernel lets a process say so. */
  init: op(54, ['argv', 'list']),
  /** Write path's attribute before exec: /proc/self/attr/exec style labels (path, label). */
  label: op(55, ['path', 'str'], ['label', 'str']),
  /** Tell the shim CREATED, then wait for START (OCI create/start). kind 0: on the shim's socket. kind 1: block in
   *  open(path, O_WRONLY) of a fifo, as runc does. kind 2: for the first connection to the listening SEQPACKET socket in
   *  `slot`; it is sent CREATED, then FAILED, or just closed when the program runs. kind 3, for what was made ahead: as 0, but nobody
   *  is told, and when the connection that brought the plan, or the process of slot 62, ends before START, so does this. */
  await: op(56, ['kind', 'int'], ['path', 'str'], ['slot', 'slot']),
  /** Run a hook, the program at path: argv (its name first), env, stdin bytes (every "\u0000PID\u0000" is replaced by the child's decimal pid), timeoutMs (0: none). */
  hook: op(57, ['argv', 'list'], ['env', 'list'], ['stdin', 'bytes'], ['timeoutMs', 'int'], ['path', 'str']),
  /** Try candidates in order with execve; ENOENT, ENOTDIR and EACCES go on to the next. The errno reported prefers EACCES,
   *  then EISDIR (what execve calls EACCES of a directory).
   *  Signals and mask are reset first. A file without a magic number (ENOEXEC) fails. */
  exec: op(58, ['candidates', 'list'], ['argv', 'list'], ['env', 'list']),
  /** Set a file system user or nothing: reserved for id checks; asserts that getuid() == uid. */
  assert_uid: op(59, ['uid', 'int']),
  /** Fails as `exec` of these candidates would for want of a file that may be executed; changes nothing. */
  find: op(62, ['candidates', 'list']),
  /** In the child, after the pivot: standard streams that are the host's /dev/null become the container's, if it has one. */
  reopen_null: op(64),
  /** In the child: at exec, the descriptor in slot becomes descriptor number fd (3 or more; OCI --preserve-fds). */
  inherit: op(61, ['slot', 'slot'], ['fd', 'int']),

  // --- mounts
  /** mount(2) on a path of the current root: propagation changes and remounts. */
  mount: op(70, ['source', 'str'], ['target', 'str'], ['type', 'str'], ['flags', 'int'], ['data', 'str']),
  /** fsopen(type); fsconfig for every "key=value" (SET_STRING) or "key" (SET_FLAG) of options; CMD_CREATE;
   *  fsmount(attr) into slot. */
  fs_mount: op(71, ['slot', 'slot'], ['type', 'str'], ['options', 'list'], ['attr', 'int']),
  /** open_tree(at, path, flags | OPEN_TREE_CLOEXEC) into slot; path "" with AT_EMPTY_PATH for the slot itself. */
  open_tree: op(72, ['slot', 'slot'], ['at', 'slot'], ['path', 'str'], ['flags', 'int']),
  /** mount_setattr(slot, "", AT_EMPTY_PATH | flags, set, clear, propagation, userns slot or -1). */
  mount_setattr: op(73, ['slot', 'slot'], ['flags', 'int'], ['set', 'int'], ['clear', 'int'], ['propagation', 'int'], ['userns', 'slot']),
  /** move_mount(slot -> the object at inroot path below root). The path must exist (see target). "." is the root itself. */
  attach: op(74, ['slot', 'slot'], ['root', 'slot'], ['path', 'inroot']),
  /** Make the mount point: kind 0 directory, 1 file, 2 as the object in `like` is; parents are made (0755). Nothing happens
   *  when it exists with the right kind; ENOTDIR/EISDIR otherwise. */
  target: op(75, ['root', 'slot'], ['path', 'inroot'], ['kind', 'int'], ['like', 'slot'], ['mode', 'int']),
  /** Hide path: nothing when it does not exist; a directory gets an empty read-only tmpfs, anything else a clone of the
   *  device in `devnull`, which must be character device 1:3. */
  mask: op(76, ['root', 'slot'], ['path', 'inroot'], ['devnull', 'slot']),
  /** Clone path recursively onto itself read-only; nothing when it does not exist. recursive=1: AT_RECURSIVE attributes. */
  readonly: op(77, ['root', 'slot'], ['path', 'inroot'], ['recursive', 'int']),
  mknod: op(78, ['root', 'slot'], ['path', 'inroot'], ['mode', 'int'], ['dev', 'int'], ['uid', 'int'], ['gid', 'int']),
  symlink: op(79, ['root', 'slot'], ['path', 'inroot'], ['to', 'str']),
  /** fchdir(root); pivot_root(".", "."); umount2(".", MNT_DETACH); chdir("/"). `old`, if given, is the old root's directory: its mounts become slaves before they
   *  are unmounted, so that nothing is unmounted where their peers are. */
  pivot: op(80, ['root', 'slot'], ['old', 'slot']),
  /** fchdir(slot); move it over "/" (MS_MOVE); chroot("."); chdir("/"). For --no-pivot. */
  move_root: op(81, ['root', 'slot']),
  /** fchdir(slot); chroot("."); chdir("/"): for a container without a mount namespace. */
  chroot: op(94, ['root', 'slot']),
  /** Copy the tree of `from` (in root) into the mounted file system in `slot` (tmpcopyup). */
  copy_up: op(82, ['slot', 'slot'], ['root', 'slot'], ['path', 'inroot']),
  umount: op(83, ['path', 'str'], ['flags', 'int']),
  /** Open the ptmx of the devpts in slot `devpts` (a mount), set rows x cols, send the master to the shim, put the slave into
   *  slot `slave`. devpts -1: /dev/ptmx of the current root (exec after setns). uid >= 0: fchown the slave. */
  pty: op(84, ['devpts', 'slot'], ['slave', 'slot'], ['rows', 'int'], ['cols', 'int'], ['uid', 'int'], ['gid', 'int']),
  /** dup the slot to 0, 1 and 2; TIOCSCTTY when ctty=1 (after setsid). */
  tty: op(85, ['slave', 'slot'], ['ctty', 'int']),
  /** Send the descriptor in slot over the unix stream socket at path (OCI console socket), or the connected one in `socket`,
   *  with its name as data. */
  send_fd: op(86, ['path', 'str'], ['slot', 'slot'], ['name', 'str'], ['socket', 'slot']),
  /** Take the pty's master out of the shim's hands: used with send_fd; puts it into slot. */
  master: op(87, ['slot', 'slot']),
  /** Connect to the unix stream socket at path; the socket goes into slot. */
  connect: op(92, ['slot', 'slot'], ['path', 'str']),
  /** Put a descriptor for the child's namespace /proc/<child>/ns/<name> into slot (sections parent, cleanup). */
  child_ns: op(88, ['slot', 'slot'], ['name', 'str']),

  /** Write data to /proc/<child>/<name> (uid_map, gid_map, setgroups, oom_score_adj): sections parent. One write(2). */
  child_write: op(89, ['name', 'str'], ['data', 'bytes']),
  /** Put a descriptor for a new user namespace with these mappings (text of uid_map and gid_map) into slot, for idmapped
   *  mounts: a process that only exists to hold it is cloned, mapped and killed again. */
  /** Put a descriptor for a copy of this mount namespace, owned by a user namespace without rights here, into slot: what is
   *  cloned from a mount there keeps, locked, the attributes that it has (mount_namespaces(7)). */
  locked_mounts: op(93, ['slot', 'slot']),
  userns: op(90, ['slot', 'slot'], ['uidMap', 'bytes'], ['gidMap', 'bytes']),
  /** fchmod the root of the mounted file system in `slot` to the mode of the directory at path; nothing when there is none
   *  (a tmpfs takes the mode of what it hides). */
  copy_mode: op(91, ['slot', 'slot'], ['root', 'slot'], ['path', 'inroot']),

  // --- network and the kernel
  /** Open a netlink socket of `protocol` in the current network namespace, send the batch (whole messages, one sendto),
   *  read one acknowledgement for each of `acks` messages; the first error fails the op (its extra value is the index of
   *  the message). patches: triples of u32 (kind, offset, operand): kind 1 write slot `operand`'s descriptor number as
   *  u32 at offset; kind 2 write the ifindex of the operand-th string of names; kind 3 the child's pid; kind 4 write the
   *  local port of the socket in slot `operand` as u16 in network order. */
  netlink: op(100, ['protocol', 'int'], ['acks', 'int'], ['batch', 'bytes'], ['patches', 'ints'], ['names', 'list']),
  /** bpf(PROG_LOAD, CGROUP_DEVICE) and BPF_PROG_ATTACH (flags) to the cgroup directory at path. */
  bpf_device: op(101, ['path', 'str'], ['program', 'bytes'], ['attachFlags', 'int']),
  /** socket(domain, type | SOCK_CLOEXEC, 0) in the current network namespace, bound to the sockaddr `address`, into slot;
   *  backlog > 0: listen(backlog). */
  socket: op(102, ['slot', 'slot'], ['domain', 'int'], ['type', 'int'], ['address', 'bytes'], ['backlog', 'int']),
  /** Connect to the unix SEQPACKET socket at path and send one message, `data`, with the descriptors in these slots. Never
   *  waits: EAGAIN when whoever listens has a full queue. */
  send_fds: op(103, ['path', 'str'], ['slots', 'ints'], ['data', 'bytes']),
} as const satisfies Record<string, OpDefinition>;

export type OpName = keyof typeof OPS;

export const SECTIONS = ['prepare', 'parent', 'child', 'cleanup'] as const;
export type Section = (typeof SECTIONS)[number];

export const PLAN_MAGIC = 0x5552414e; // "NARU", little-endian
export const PLAN_VERSION = 1;
/** Header flag: the helper stamps CLOCK_MONOTONIC before each operation and reports the stamps (message TRACE). */
export const PLAN_TRACE = 1;
export const PLAN_MAX_BYTES = 16 * 1024 * 1024;
export const SLOTS = 64;
export const SLOT_TARGET_PIDFD = 62;
export const SLOT_CHILD_PIDFD = 63;
