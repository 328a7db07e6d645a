#include "tree.h"

#define IN_ROOT (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
#define MAX_LINKS 40
#define MAX_DEPTH 200

int in_root(int root, const char *path, u64 flags) { return open2(root, *path ? path : ".", flags, 0, IN_ROOT); }

int in_root_parent(int root, const char *path, const char **name) {
  char parent[PAGE];
  size_t n = strlen(path), end;
  if (n >= sizeof parent) return -ENAMETOOLONG;
  for (end = n; end > 0 && path[end - 1] != '/'; end--) {}
  *name = path + end;
  if (**name == 0 || (**name == '.' && ((*name)[1] == 0 || ((*name)[1] == '.' && (*name)[2] == 0)))) return -EINVAL;
  memcpy(parent, path, end);
  parent[end] = 0;
  return in_root(root, parent, O_PATH | O_DIRECTORY);
}

/* A path being resolved: `done` holds no symlinks and no "..", `rest` is still to come. */
struct walk {
  char done[PAGE], rest[PAGE];
  size_t done_size;
  int links;
};

static int follow(struct walk *w, int link, const char *rest) {
  char target[PAGE];
  long n = sys(readlinkat, link, "", target, sizeof target - 1);
  size_t tail = strlen(rest);
  if (n < 0) return (int)n;
  if (++w->links > MAX_LINKS) return -ELOOP;
  if ((size_t)n + 1 + tail >= sizeof w->rest) return -ENAMETOOLONG;
  memmove(w->rest + n + 1, rest, tail + 1);
  memcpy(w->rest, target, (size_t)n);
  w->rest[n] = '/';
  if (target[0] == '/') w->done_size = 0;
  return 0;
}

static int make_one(int root, struct walk *w, const char *name, int directory, u32 mode) {
  w->done[w->done_size] = 0;
  AUTO_FD parent = in_root(root, w->done, O_PATH | O_DIRECTORY);
  if (parent < 0) return parent;
  if (directory) {
    int error = (int)sys(mkdirat, parent, name, mode);
    return error == -EEXIST ? 0 : error;
  }
  AUTO_FD fd = (int)sys(openat, parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, mode);
  return fd == -EEXIST ? 0 : MIN(fd, 0);
}

/* One component: found, made, or replaced by what a symlink says. */
static int step(int root, struct walk *w, const char *name, const char *rest, int directory, u32 mode) {
  size_t n = strlen(name), before = w->done_size;
  const char *more = rest;
  while (*more == '/') more++;
  if (before + n + 2 >= sizeof w->done) return -ENAMETOOLONG;
  int last = *more == 0;
  w->done[w->done_size++] = '/';
  memcpy(w->done + w->done_size, name, n + 1);
  w->done_size += n;
  for (int tries = 0; tries < 2; tries++) {
    AUTO_FD fd = open2(root, w->done, O_PATH | O_NOFOLLOW, 0, IN_ROOT);
    struct statx_k st;
    int error = fd < 0 ? fd : statx_fd(fd, &st);
    if (error == -ENOENT && tries == 0) {
      w->done_size = before;
      if ((error = make_one(root, w, name, last ? directory : 1, last ? mode : 0755)) < 0) return error;
      w->done[before] = '/';
      w->done_size = before + 1 + n;
      continue;
    }
    if (error < 0) return error;
    if ((st.mode & S_IFMT) == S_IFLNK) {
      w->done_size = before;
      return follow(w, fd, rest);
    }
    if ((st.mode & S_IFMT) != S_IFDIR && !last) return -ENOTDIR;
    memmove(w->rest, rest, strlen(rest) + 1);
    return 0;
  }
  return -ENOENT;
}

int make_in_root(int root, const char *path, int directory, u32 mode) {
  struct walk w;
  size_t n = strlen(path);
  if (n >= sizeof w.rest) return -ENAMETOOLONG;
  memcpy(w.rest, path, n + 1);
  w.done_size = 0;
  w.links = 0;
  for (;;) {
    char name[256];
    const char *at = w.rest;
    while (*at == '/') at++;
    for (n = 0; at[n] && at[n] != '/'; n++) {}
    if (n == 0) return 0;
    if (n >= sizeof name) return -ENAMETOOLONG;
    memcpy(name, at, n);
    name[n] = 0;
    at += n;
    if (name[0] == '.' && (n == 1 || (n == 2 && name[1] == '.'))) {
      if (n == 2)
        while (w.done_size > 0 && w.done[--w.done_size] != '/') {}
      memmove(w.rest, at, strlen(at) + 1);
      continue;
    }
    int error = step(root, &w, name, at, directory, mode);
    if (error < 0) return error;
  }
}

static void copy_xattrs(int from, int to) {
  char names[1024], value[1024];
  long n = sys(flistxattr, from, names, sizeof names);
  for (long i = 0; i < n; i += (long)strlen(names + i) + 1) {
    long size = sys(fgetxattr, from, names + i, value, sizeof value);
    if (size >= 0) sys(fsetxattr, to, names + i, value, size, 0);
  }
}

static int copy_attributes(int to, const char *name, const struct statx_k *st) {
  struct timespec times[2] = {{st->atime.sec, st->atime.nsec}, {st->mtime.sec, st->mtime.nsec}};
  int error = (int)sys(fchownat, to, name, st->uid, st->gid, AT_SYMLINK_NOFOLLOW);
  if (error == 0 && (st->mode & S_IFMT) != S_IFLNK) error = (int)sys(fchmodat, to, name, st->mode & 07777);
  if (error == 0) error = (int)sys(utimensat, to, name, times, AT_SYMLINK_NOFOLLOW);
  return error;
}

static int copy_file(int from, int to, const char *name) {
  AUTO_FD in = open2(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  if (in < 0) return in;
  AUTO_FD out = (int)sys(openat, to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (out < 0) return out;
  long n;
  while ((n = sys(sendfile, out, in, 0, 1 << 20)) > 0) {}
  if (n == 0) copy_xattrs(in, out);
  return (int)n;
}

static int copy_link(int from, int to, const char *name) {
  char target[PAGE];
  long n = sys(readlinkat, from, name, target, sizeof target - 1);
  if (n < 0) return (int)n;
  target[n] = 0;
  return (int)sys(symlinkat, target, to, name);
}

static int copy_entry(int from, int to, const char *name, int depth) {
  struct statx_k st;
  int error = (int)sys(statx, from, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC, &st);
  if (error < 0) return error;
  switch (st.mode & S_IFMT) {
    case S_IFDIR: {
      if ((error = (int)sys(mkdirat, to, name, 0700)) < 0) return error;
      u64 resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
      AUTO_FD in = open2(from, name, O_RDONLY | O_DIRECTORY, 0, resolve);
      AUTO_FD out = open2(to, name, O_RDONLY | O_DIRECTORY, 0, resolve);
      if (in < 0 || out < 0) return MIN(in, out);
      copy_xattrs(in, out);
      if ((error = copy_tree(in, out, depth + 1)) < 0) return error;
      break;
    }
    case S_IFREG:
      error = copy_file(from, to, name);
      break;
    case S_IFLNK:
      error = copy_link(from, to, name);
      break;
    case S_IFSOCK:
      return 0;
    default:
      error = (int)sys(mknodat, to, name, st.mode & S_IFMT, (st.rdev_minor & 0xff) | st.rdev_major << 8 | (st.rdev_minor & ~0xffu) << 12);
  }
  return error < 0 ? error : copy_attributes(to, name, &st);
}

int copy_tree(int from, int to, int depth) {
  char buffer[2048] __attribute__((aligned(8)));
  if (depth > MAX_DEPTH) return -ELOOP;
  for (;;) {
    long n = sys(getdents64, from, buffer, sizeof buffer);
    if (n <= 0) return (int)n;
    for (long at = 0; at < n;) {
      const struct dirent64_k *entry = (const void *)(buffer + at);
      at += entry->reclen;
      const char *name = entry->name;
      if (name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0))) continue;
      int error = copy_entry(from, to, name, depth);
      if (error < 0) return error;
    }
  }
}
