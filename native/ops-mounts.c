/* Operations on mounts and on the container's tree. */
#include "task.h"
#include "tree.h"

static int move_to(int mount, int target) {
  return (int)sys(move_mount, mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static int is_directory(int fd) {
  struct statx_k st;
  int error = statx_fd(fd, &st);
  return error < 0 ? error : (st.mode & S_IFMT) == S_IFDIR;
}

static int on_procfs(int fd) {
  u64 st[32];
  return sys(fstatfs, fd, st) == 0 && st[0] == 0x9fa0;
}

static const char *or_null(const char *s) { return *s ? s : NULL; }

int op_mount(struct task *task, const struct op *op) {
  (void)task;
  return (int)sys(mount, or_null(arg_str(op, 0)), arg_str(op, 1), or_null(arg_str(op, 2)), arg_int(op, 3), or_null(arg_str(op, 4)));
}

int op_umount(struct task *task, const struct op *op) {
  (void)task;
  return (int)sys(umount2, arg_str(op, 0), arg_int(op, 1));
}

static int configure(int fs, const char *option) {
  char key[256];
  size_t n = 0;
  while (option[n] && option[n] != '=') n++;
  if (option[n] == 0) return (int)sys(fsconfig, fs, FSCONFIG_SET_FLAG, option, 0, 0);
  if (n >= sizeof key) return -ENAMETOOLONG;
  memcpy(key, option, n);
  key[n] = 0;
  return (int)sys(fsconfig, fs, FSCONFIG_SET_STRING, key, option + n + 1, 0);
}

/* extra: the index of the option that was refused; their number: creating; one more: mounting. */
int op_fs_mount(struct task *task, const struct op *op) {
  size_t n;
  const char *option = arg_bytes(op, 2, &n), *end = option + n;
  task->extra = UINT32_MAX;
  AUTO_FD fs = (int)sys(fsopen, arg_str(op, 1), 1);
  if (fs < 0) return fs;
  int error;
  for (task->extra = 0; option < end; option += strlen(option) + 1, task->extra++)
    if ((error = configure(fs, option)) < 0) return error;
  if ((error = (int)sys(fsconfig, fs, FSCONFIG_CMD_CREATE, 0, 0, 0)) < 0) return error;
  task->extra++;
  return fill_slot(task, op, 0, (int)sys(fsmount, fs, 1, arg_int(op, 3)));
}

int op_open_tree(struct task *task, const struct op *op) {
  int at = arg_slot(task, op, 1, AT_FDCWD);
  return fill_slot(task, op, 0, (int)sys(open_tree, at, arg_str(op, 2), arg_int(op, 3) | O_CLOEXEC));
}

/* Kernels before 5.12 have no mount_setattr: mount(2) on what is attached already, keeping its other flags. Not below it. */
static int remount(int mount, u64 set, u64 clear, u64 propagation, u64 recursive) {
  u64 st[32];
  char path[40] = "/proc/self/fd/";
  decimal(path + 14, (u64)mount);
  if (set | clear) {
    int error = (int)sys(fstatfs, mount, st);
    if (error < 0) return error;
    /* f_flags; the low bits are those of mount_attr too, the times have values of their own here, there and in mount(2). */
    enum { LOW = 15, MS_NOATIME = 1 << 10, MS_NODIRATIME = 1 << 11, ST_RELATIME = 1 << 12, MS_RELATIME = 1 << 21, MS_STRICTATIME = 1 << 24 };
    u64 now = st[10], flags = ((now & LOW) & ~clear) | (set & LOW);
    if (clear & MOUNT_ATTR__ATIME) {
      u64 time = set & MOUNT_ATTR__ATIME;
      flags |= time == MOUNT_ATTR_NOATIME ? MS_NOATIME : time == MOUNT_ATTR_STRICTATIME ? MS_STRICTATIME : MS_RELATIME;
    } else flags |= now & MS_NOATIME ? MS_NOATIME : now & ST_RELATIME ? MS_RELATIME : MS_STRICTATIME;
    if (set & MOUNT_ATTR_NODIRATIME || (now & MS_NODIRATIME && !(clear & MOUNT_ATTR_NODIRATIME))) flags |= MS_NODIRATIME;
    if ((error = (int)sys(mount, 0, path, 0, MS_REMOUNT | MS_BIND | flags, 0)) < 0) return error;
  }
  return propagation ? (int)sys(mount, 0, path, 0, propagation | (recursive ? MS_REC : 0), 0) : 0;
}

int op_mount_setattr(struct task *task, const struct op *op) {
  int userns = arg_slot(task, op, 5, -1), mount = arg_slot(task, op, 0, -1);
  struct mount_attr attr = {arg_int(op, 2), arg_int(op, 3), arg_int(op, 4), userns < 0 ? 0 : (u64)userns};
  u64 recursive = arg_int(op, 1) & AT_RECURSIVE;
  int error = (int)sys(mount_setattr, mount, "", AT_EMPTY_PATH | arg_int(op, 1), &attr, sizeof attr);
  /* Ids, and attributes of mounts below, cannot be had in another way. */
  if (error != -ENOSYS || userns >= 0 || (recursive && (attr.set | attr.clear)) || ((attr.set | attr.clear) & ~MOUNT_ATTR_KNOWN)) return error;
  error = remount(mount, attr.set, attr.clear, attr.propagation, recursive);
  if (error != -EINVAL || task->laters == MAX_LATER) return error;
  /* It is attached nowhere yet. */
  task->later[task->laters++] = (struct later){arg_int(op, 0), attr.set, attr.clear, attr.propagation, recursive};
  return 0;
}

static int remount_later(struct task *task, u64 slot) {
  u32 kept = 0;
  int error = 0;
  for (u32 i = 0; i < task->laters; i++) {
    struct later later = task->later[i];
    if (later.slot != slot) task->later[kept++] = later;
    else if (error == 0) error = remount(task->slots[slot], later.set, later.clear, later.propagation, later.flags);
  }
  task->laters = kept;
  return error;
}

int op_attach(struct task *task, const struct op *op) {
  int mount = arg_slot(task, op, 0, -1);
  AUTO_FD target = in_root(arg_slot(task, op, 1, AT_FDCWD), arg_str(op, 2), O_PATH);
  if (target < 0) return target;
  /* A link may lead into /proc: over a directory of procfs goes procfs alone, or programs would believe what another says
   * of them (CVE-2019-16884). Looked at through the descriptor, which nobody can exchange. */
  if (is_directory(target) > 0 && on_procfs(target) && !on_procfs(mount)) return -EPERM;
  int error = move_to(mount, target);
  return error < 0 || task->laters == 0 ? error : remount_later(task, arg_int(op, 0));
}

/* The usual case, in a third of the calls: only the last component is missing. Whatever stands in the way is an error. */
static int make_last(int root, const char *path, int directory, u32 mode) {
  const char *name;
  AUTO_FD parent = in_root_parent(root, path, &name);
  if (parent < 0) return parent;
  if (directory) return (int)sys(mkdirat, parent, name, mode);
  AUTO_FD fd = (int)sys(openat, parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, mode);
  return MIN(fd, 0);
}

int op_target(struct task *task, const struct op *op) {
  enum { DIRECTORY, FILE, LIKE };
  int root = arg_slot(task, op, 0, AT_FDCWD);
  const char *path = arg_str(op, 1);
  u64 kind = arg_int(op, 2);
  int directory = kind == LIKE ? is_directory(arg_slot(task, op, 3, -1)) : kind == DIRECTORY;
  if (directory < 0) return directory;
  AUTO_FD found = in_root(root, path, O_PATH);
  if (found == -ENOENT) {
    /* What is made by nobody else is what was asked for. */
    if (make_last(root, path, directory, (u32)arg_int(op, 4)) == 0) return 0;
    int error = make_in_root(root, path, directory, (u32)arg_int(op, 4));
    if (error < 0) return error;
    found = in_root(root, path, O_PATH);
  }
  int is = found < 0 ? found : is_directory(found);
  return is < 0 ? is : is == directory ? 0 : directory ? -ENOTDIR : -EISDIR;
}

/* One empty tmpfs serves every masked directory. */
static int empty_directory(struct task *task) {
  u64 flags = AT_EMPTY_PATH | OPEN_TREE_CLONE | O_CLOEXEC;
  if (task->mask_tmpfs >= 0) return (int)sys(open_tree, task->mask_tmpfs, "", flags);
  AUTO_FD fs = (int)sys(fsopen, "tmpfs", 1);
  if (fs < 0) return fs;
  int error = (int)sys(fsconfig, fs, FSCONFIG_SET_FLAG, "ro", 0, 0);
  if (error == 0) error = (int)sys(fsconfig, fs, FSCONFIG_SET_STRING, "mode", "755", 0);
  if (error == 0) error = (int)sys(fsconfig, fs, FSCONFIG_CMD_CREATE, 0, 0, 0);
  if (error < 0) return error;
  return (int)sys(fsmount, fs, 1, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

int op_mask(struct task *task, const struct op *op) {
  AUTO_FD target = in_root(arg_slot(task, op, 0, AT_FDCWD), arg_str(op, 1), O_PATH);
  if (target == -ENOENT || target == -ENOTDIR) return 0;
  int directory = target < 0 ? target : is_directory(target);
  if (directory < 0) return directory;
  AUTO_FD cover = -1;
  if (directory) {
    cover = empty_directory(task);
  } else {
    struct statx_k st;
    int null = arg_slot(task, op, 2, -1), error = statx_fd(null, &st);
    if (error < 0) return error;
    if ((st.mode & S_IFMT) != S_IFCHR || st.rdev_major != 1 || st.rdev_minor != 3) return -EINVAL;
    cover = (int)sys(open_tree, null, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | O_CLOEXEC);
  }
  int error = cover < 0 ? cover : move_to(cover, target);
  /* Only an attached mount can be cloned on older kernels, so the first one attached is the one to keep. */
  if (error == 0 && directory && task->mask_tmpfs < 0) task->mask_tmpfs = take_fd(&cover);
  return error;
}

int op_readonly(struct task *task, const struct op *op) {
  AUTO_FD target = in_root(arg_slot(task, op, 0, AT_FDCWD), arg_str(op, 1), O_PATH);
  if (target == -ENOENT || target == -ENOTDIR) return 0;
  if (target < 0) return target;
  AUTO_FD mount = (int)sys(open_tree, target, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | AT_RECURSIVE | O_CLOEXEC);
  if (mount < 0) return mount;
  struct mount_attr attr = {MOUNT_ATTR_RDONLY, 0, 0, 0};
  u64 flags = AT_EMPTY_PATH | (arg_int(op, 2) ? AT_RECURSIVE : 0);
  int set = (int)sys(mount_setattr, mount, "", flags, &attr, sizeof attr);
  if (set < 0 && set != -ENOSYS) return set;
  int error = move_to(mount, target);
  return error < 0 || set == 0 ? error : remount(mount, MOUNT_ATTR_RDONLY, 0, 0, 0);
}

int op_mknod(struct task *task, const struct op *op) {
  const char *name;
  AUTO_FD parent = in_root_parent(arg_slot(task, op, 0, AT_FDCWD), arg_str(op, 1), &name);
  if (parent < 0) return parent;
  int error = (int)sys(mknodat, parent, name, arg_int(op, 2), arg_int(op, 3));
  if (error < 0 || (arg_int(op, 4) | arg_int(op, 5)) == 0) return error;
  return (int)sys(fchownat, parent, name, (u32)arg_int(op, 4), (u32)arg_int(op, 5), AT_SYMLINK_NOFOLLOW);
}

int op_symlink(struct task *task, const struct op *op) {
  const char *name;
  AUTO_FD parent = in_root_parent(arg_slot(task, op, 0, AT_FDCWD), arg_str(op, 1), &name);
  return parent < 0 ? parent : (int)sys(symlinkat, arg_str(op, 2), parent, name);
}

int op_pivot(struct task *task, const struct op *op) {
  int error = (int)sys(fchdir, arg_slot(task, op, 0, -1));
  if (error == 0) error = (int)sys(pivot_root, ".", ".");
  int old = arg_slot(task, op, 1, -1);
  if (error == 0 && old >= 0) {
    /* Mounts of the old tree may be peers of the host's: without this their children would be unmounted there too. */
    error = (int)sys(fchdir, old);
    if (error == 0) error = (int)sys(mount, 0, ".", 0, MS_REC | MS_SLAVE, 0);
  }
  /* The old root now lies on top of the new one, at the same place. */
  if (error == 0) error = (int)sys(umount2, ".", MNT_DETACH);
  if (error == 0) error = (int)sys(chdir, "/");
  return error;
}

static int enter_root(void) {
  int error = (int)sys(chroot, ".");
  return error < 0 ? error : (int)sys(chdir, "/");
}

int op_chroot(struct task *task, const struct op *op) {
  int error = (int)sys(fchdir, arg_slot(task, op, 0, -1));
  return error < 0 ? error : enter_root();
}

int op_move_root(struct task *task, const struct op *op) {
  int error = (int)sys(fchdir, arg_slot(task, op, 0, -1));
  if (error == 0) error = (int)sys(mount, ".", "/", 0, MS_MOVE, 0);
  if (error == -ELOOP) error = 0; /* it lies over "/" already */
  return error < 0 ? error : enter_root();
}

int op_copy_up(struct task *task, const struct op *op) {
  AUTO_FD from = in_root(arg_slot(task, op, 1, AT_FDCWD), arg_str(op, 2), O_RDONLY | O_DIRECTORY);
  if (from < 0) return from;
  /* The mount's own descriptor is only a path. */
  AUTO_FD to = (int)sys(openat, arg_slot(task, op, 0, -1), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  return to < 0 ? to : copy_tree(from, to, 0);
}

int op_copy_mode(struct task *task, const struct op *op) {
  struct statx_k st;
  AUTO_FD from = in_root(arg_slot(task, op, 1, AT_FDCWD), arg_str(op, 2), O_PATH | O_DIRECTORY);
  if (from == -ENOENT || from == -ENOTDIR) return 0;
  int error = from < 0 ? from : statx_fd(from, &st);
  return error < 0 ? error : (int)sys(fchmodat, arg_slot(task, op, 0, -1), ".", st.mode & 07777);
}

/* A process that is there for its namespaces alone. */
static i32 hold_namespaces(u64 flags) {
  i32 pid = clone_process(flags, -1, SIGCHLD, NULL);
  if (pid != 0) return pid;
  sys(prctl, 1 /* PR_SET_PDEATHSIG */, SIGKILL, 0, 0, 0);
  for (;;) sys(ppoll, 0, 0, 0, 0, 8);
}

static void let_go(i32 pid) {
  sys(kill, pid, SIGKILL);
  sys(wait4, pid, 0, 0, 0);
}

int op_locked_mounts(struct task *task, const struct op *op) {
  char path[48] = "/proc/";
  i32 pid = hold_namespaces(0x10000000 | 0x20000 /* CLONE_NEWUSER, CLONE_NEWNS */);
  if (pid < 0) return pid;
  memcpy(path + 6 + decimal(path + 6, (u64)pid), "/ns/mnt", 8);
  int fd = (int)sys(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  let_go(pid);
  return fill_slot(task, op, 0, fd);
}

int op_userns(struct task *task, const struct op *op) {
  size_t uid_size, gid_size;
  const void *uid_map = arg_bytes(op, 1, &uid_size), *gid_map = arg_bytes(op, 2, &gid_size);
  char path[48] = "/proc/";
  i32 pid = hold_namespaces(0x10000000 /* CLONE_NEWUSER */);
  if (pid < 0) return pid;
  size_t n = 6 + decimal(path + 6, (u64)pid);
  memcpy(path + n, "/uid_map", 9);
  int fd = write_path(path, 0, uid_map, uid_size);
  memcpy(path + n, "/gid_map", 9);
  if (fd == 0) fd = write_path(path, 0, gid_map, gid_size);
  memcpy(path + n, "/ns/user", 9);
  if (fd == 0) fd = (int)sys(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  let_go(pid);
  return fill_slot(task, op, 0, fd);
}

int op_pty(struct task *task, const struct op *op) {
  int devpts = arg_slot(task, op, 0, -2), unlock = 0;
  u64 flags = O_RDWR | O_NOCTTY | O_NONBLOCK;
  AUTO_FD master = devpts == -2 ? open2(AT_FDCWD, "/dev/ptmx", flags, 0, RESOLVE_NO_MAGICLINKS)
                                : open2(devpts, "ptmx", flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  if (master < 0) return master;
  struct statx_k st;
  int error = statx_fd(master, &st);
  if (error < 0) return error;
  /* In exec the container owns /dev. */
  if ((st.mode & S_IFMT) != S_IFCHR || st.rdev_major != 5 || st.rdev_minor != 2) return -EINVAL;
  if ((error = (int)sys(ioctl, master, TIOCSPTLCK, &unlock)) < 0) return error;
  /* By the master, not by the name in /dev/pts, which could be another's. */
  AUTO_FD slave = (int)sys(ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) return slave;
  struct winsize size = {(u16)arg_int(op, 2), (u16)arg_int(op, 3), 0, 0};
  if (size.rows | size.columns && (error = (int)sys(ioctl, master, TIOCSWINSZ, &size)) < 0) return error;
  if ((i64)arg_int(op, 4) >= 0 && (error = (int)sys(fchown, slave, (u32)arg_int(op, 4), (u32)arg_int(op, 5))) < 0) return error;
  if ((error = sync_send(task, SYNC_MASTER, 0, master)) < 0) return error;
  close_quietly(&task->master);
  task->master = take_fd(&master);
  return fill_slot(task, op, 1, take_fd(&slave));
}

int op_master(struct task *task, const struct op *op) {
  if (task->master < 0) return -EBADF;
  int error = sync_send(task, SYNC_DROP_MASTER, 0, -1);
  if (error == 0) error = (int)sys(fcntl, task->master, F_SETFL, O_RDWR); /* as whoever gets it expects */
  return error < 0 ? error : fill_slot(task, op, 0, take_fd(&task->master));
}

int op_tty(struct task *task, const struct op *op) {
  int slave = arg_slot(task, op, 0, -1);
  for (int i = 0; i < 3; i++) {
    int error = (int)sys(dup3, slave, i, 0);
    if (error < 0) return error;
  }
  return arg_int(op, 1) ? (int)sys(ioctl, 0, TIOCSCTTY, 0) : 0;
}
