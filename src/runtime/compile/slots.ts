/**
 * Which descriptor slot of a plan holds what. Slots 0..13 belong to the request (see native/README.md), 62 and 63 to the
 * helper; the compiler hands out the rest here, so that no two topics meet in one.
 */
export const SLOT = {
  none: -1,
  /** The container's root: the detached rootfs, later attached and pivoted into. */
  root: 16,
  /** The tmpfs on /dev, when the container has one: device nodes are made below it, not through a path. */
  dev: 17,
  /** A procfs of the child's own pid namespace, made by us and attached nowhere. */
  proc: 18,
  /** The host's /dev/null. */
  devNull: 19,
  /** The pty's slave. */
  slave: 20,
  /** The container's devpts. */
  devpts: 21,
  /** The root directory the child was cloned with. */
  oldRoot: 22,
  /** The mount being worked on. */
  mount: 23,
  /** A mount point that was checked to be no symbolic link. */
  mountPoint: 24,
  /** The child's network namespace, in the shim. */
  childNet: 25,
  /** A user namespace for an idmapped mount. */
  idmap: 26,
  /** The shim's own mount namespace, while it mounts in a private one. */
  ownMount: 27,
  /** The container's directory in the cgroup2 hierarchy. */
  cgroup: 28,
  /** The mount namespace that the container joins. */
  joinMount: 29,
  joinUser: 30,
  joinCgroup: 31,
  /** The tmpfs that holds a directory for each cgroup hierarchy. */
  dirTmpfs: 15,
  /** A copy of the shim's mount namespace that a user namespace without rights owns. */
  lockedMounts: 59,
  /** The socket of a seccomp agent. */
  listener: 14,
} as const;

/** The shim's own namespaces, saved while it joins others before clone: one slot for each type. */
export const SAVED_NAMESPACE_SLOTS = { network: 32, ipc: 33, uts: 34, pid: 35, time: 36 } as const;
/** Sockets that the network's steps make and hand on. */
export const SOCKET_SLOTS = { first: 60, last: 61 } as const;
/** Of an exec that is made ahead: the files by which it joins the container's groups, first and last slot. */
export const JOIN_SLOTS = { first: 37, last: 58 } as const;
/** Mounts whose sources must be opened by the shim (user namespaces, idmapped mounts): first and last slot. */
export const PREPARED_MOUNT_SLOTS = { first: 37, last: 58 } as const;
