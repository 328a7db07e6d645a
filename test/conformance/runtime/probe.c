/* The program of a container under test: says as one line of JSON what it is and what it sees. Static, from libc alone.
 * Arguments: `read PATH`, `write PATH`, `stat PATH`, `fd N` add what is found there. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

static void text(const char *s, size_t n) {
  putchar('"');
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c == '"' || c == '\\') printf("\\%c", c);
    else if (c < 32) printf("\\u%04x", c);
    else putchar(c);
  }
  putchar('"');
}
static void key(const char *name) {
  static int first = 1;
  if (!first) putchar(',');
  first = 0;
  text(name, strlen(name));
  putchar(':');
}
static void number(const char *name, long long n) { key(name), printf("%lld", n); }
static void string(const char *name, const char *s) { key(name), text(s, strlen(s)); }

static void file(const char *name, const char *path) {
  static char buffer[1 << 16];
  int fd = open(path, O_RDONLY);
  ssize_t n = fd < 0 ? -1 : read(fd, buffer, sizeof buffer);
  key(name);
  if (n < 0) printf("{\"errno\":%d}", errno);
  else text(buffer, (size_t)n);
  if (fd >= 0) close(fd);
}
static void link_to(const char *name, const char *path) {
  char to[4096];
  ssize_t n = readlink(path, to, sizeof to);
  key(name);
  text(to, n < 0 ? 0 : (size_t)n);
}
static void list(const char *name, char **values) {
  key(name), putchar('[');
  for (int i = 0; values[i]; i++) {
    if (i) putchar(',');
    text(values[i], strlen(values[i]));
  }
  putchar(']');
}
static void descriptors(void) {
  DIR *d = opendir("/proc/self/fd");
  int first = 1;
  key("fds"), putchar('[');
  for (struct dirent *e; d && (e = readdir(d));)
    if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(d)) printf("%s%s", first ? "" : ",", e->d_name), first = 0;
  putchar(']');
  if (d) closedir(d);
}
static void attempt(const char *verb, const char *path) {
  char name[4200];
  struct stat st;
  snprintf(name, sizeof name, "%s %s", verb, path);
  if (strcmp(verb, "read") == 0) return file(name, path);
  if (strcmp(verb, "fd") == 0) {
    char found[256];
    ssize_t n = read(atoi(path), found, sizeof found);
    key(name);
    text(found, n < 0 ? 0 : (size_t)n);
    return;
  }
  if (strcmp(verb, "write") == 0) {
    int made = access(path, F_OK) != 0, fd = open(path, O_WRONLY | O_CREAT, 0666);
    number(name, fd < 0 ? errno : 0);
    if (fd >= 0) close(fd);
    if (fd >= 0 && made) unlink(path);
    return;
  }
  key(name);
  if (lstat(path, &st) < 0) printf("{\"errno\":%d}", errno);
  else printf("{\"type\":\"%c\",\"mode\":%d,\"uid\":%d,\"gid\":%d,\"major\":%d,\"minor\":%d,\"size\":%lld,\"atime\":%lld}",
    S_ISDIR(st.st_mode) ? 'd' : S_ISREG(st.st_mode) ? 'f' : S_ISCHR(st.st_mode) ? 'c' : S_ISBLK(st.st_mode) ? 'b' : S_ISFIFO(st.st_mode) ? 'p' : S_ISLNK(st.st_mode) ? 'l' : '?',
    st.st_mode & 07777, st.st_uid, st.st_gid, (int)major(st.st_rdev), (int)minor(st.st_rdev), (long long)st.st_size, (long long)st.st_atime);
}

int main(int argc, char **argv, char **environment) {
  static const char *const namespaces[] = {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"};
  gid_t groups[64];
  cpu_set_t cpus;
  char path[4096];
  struct winsize size = {0};
  struct { unsigned size, policy; unsigned long long flags; int nice; unsigned priority; unsigned long long runtime, deadline, period; } sched = {0};
  int mode = -1;
  putchar('{');
  list("args", argv), list("env", environment);
  string("cwd", getcwd(path, sizeof path) ? path : "");
  number("pid", getpid()), number("ppid", getppid()), number("uid", getuid()), number("gid", getgid()), number("session", getsid(0));
  int n = getgroups(64, groups);
  key("groups"), putchar('[');
  for (int i = 0; i < n; i++) printf("%s%u", i ? "," : "", groups[i]);
  putchar(']');
  mode_t mask = umask(0);
  umask(mask);
  number("umask", mask);
  key("limits"), putchar('[');
  for (int i = 0; i < RLIM_NLIMITS; i++) {
    struct rlimit limit;
    getrlimit(i, &limit);
    printf("%s[%lld,%lld]", i ? "," : "", limit.rlim_cur == RLIM_INFINITY ? -1 : (long long)limit.rlim_cur, limit.rlim_max == RLIM_INFINITY ? -1 : (long long)limit.rlim_max);
  }
  putchar(']');
  number("noNewPrivileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)), number("seccomp", prctl(PR_GET_SECCOMP, 0, 0, 0, 0));
  number("personality", personality(0xffffffff)), number("ioPriority", syscall(SYS_ioprio_get, 1, 0));
  syscall(SYS_sched_getattr, 0, &sched, sizeof sched, 0);
  number("policy", sched.policy), number("nice", sched.nice), number("priority", sched.priority), number("schedulerFlags", (long long)sched.flags);
  syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0);
  number("memoryPolicy", mode);
  sched_getaffinity(0, sizeof cpus, &cpus);
  key("cpus"), putchar('[');
  for (int i = 0, first = 1; i < CPU_SETSIZE; i++)
    if (CPU_ISSET(i, &cpus)) printf("%s%d", first ? "" : ",", i), first = 0;
  putchar(']');
  number("terminal", isatty(0)), ioctl(0, TIOCGWINSZ, &size), number("rows", size.ws_row), number("columns", size.ws_col);
  struct utsname names;
  uname(&names);
  string("hostname", names.nodename), string("domainname", names.domainname), string("machine", names.machine);
  for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++) {
    snprintf(path, sizeof path, "/proc/self/ns/%s", namespaces[i]);
    link_to(path, path);
  }
  file("status", "/proc/self/status"), file("mounts", "/proc/self/mountinfo"), file("cgroup", "/proc/self/cgroup");
  file("oomScoreAdj", "/proc/self/oom_score_adj"), file("uidMap", "/proc/self/uid_map"), file("gidMap", "/proc/self/gid_map");
  file("timeOffsets", "/proc/self/timens_offsets"), file("interfaces", "/proc/net/dev"), file("setgroups", "/proc/self/setgroups");
  descriptors();
  for (int i = 1; i + 1 < argc; i += 2) attempt(argv[i], argv[i + 1]);
  puts("}");
  return 0;
}
