/* The least that a container needs here, in plain C: the physical limit that our figures stand beside.
 *   floor ROOTFS SCRATCH ITERATIONS     ROOTFS holds /bin/true; needs root
 * Prints `forkexec MS` (fork and exec of true), `container MS` (cgroup directories on every mounted v1 controller, or one on v2;
 * clone with all namespaces, veth pair to a bridge, overlay, /proc, /dev, pivot_root, exec, wait, removal) and `start MS` (the same
 * without a network, up to the moment at which the program has been executed), medians. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MUST(e) do { if ((long)(e) < 0) { fprintf(stderr, "floor: %s: %s\n", #e, strerror(errno)); _exit(99); } } while (0)
static const char BRIDGE[] = "narufloor0";
static const char *const V1[] = {"cpu", "cpuacct", "cpuset", "memory", "pids", "devices", "freezer", "blkio"};
static const char *rootfs, *scratch;
static unsigned serial, bridge_index;

struct message { struct nlmsghdr h; char body[1000]; };
static void *put(struct message *m, int type, const void *data, size_t n) {
  struct rtattr *a = (void *)((char *)m + NLMSG_ALIGN(m->h.nlmsg_len));
  a->rta_type = (unsigned short)type;
  a->rta_len = (unsigned short)RTA_LENGTH(n);
  if (n) memcpy(RTA_DATA(a), data, n);
  m->h.nlmsg_len = NLMSG_ALIGN(m->h.nlmsg_len) + RTA_ALIGN(a->rta_len);
  return a;
}
static void end(struct message *m, void *attribute) {
  ((struct rtattr *)attribute)->rta_len = (unsigned short)((char *)m + m->h.nlmsg_len - (char *)attribute);
}
static struct message begin(int type, int flags, const void *head, size_t n) {
  struct message m;
  memset(&m, 0, sizeof m);
  m.h.nlmsg_type = (unsigned short)type;
  m.h.nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags);
  m.h.nlmsg_len = (unsigned)NLMSG_LENGTH(n);
  memcpy(NLMSG_DATA(&m.h), head, n);
  return m;
}
static void talk(int s, struct message *m) {
  char reply[4096];
  MUST(send(s, m, m->h.nlmsg_len, 0));
  MUST(recv(s, reply, sizeof reply, 0));
  errno = -((struct nlmsgerr *)NLMSG_DATA((struct nlmsghdr *)reply))->error;
  if (errno) MUST(-1);
}
static int route_socket(void) { int s; MUST(s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)); return s; }

static void make_bridge(int make) {
  int s = route_socket();
  struct ifinfomsg link = {.ifi_flags = make ? IFF_UP : 0, .ifi_change = make ? IFF_UP : 0};
  struct message m = begin(make ? RTM_NEWLINK : RTM_DELLINK, make ? NLM_F_CREATE : 0, &link, sizeof link);
  put(&m, IFLA_IFNAME, BRIDGE, sizeof BRIDGE);
  if (make) { void *info = put(&m, IFLA_LINKINFO, 0, 0); put(&m, IFLA_INFO_KIND, "bridge", 6); end(&m, info); }
  talk(s, &m);
  bridge_index = if_nametoindex(BRIDGE);
  close(s);
}
static void veth_into(pid_t pid) {
  int s = route_socket();
  char name[IFNAMSIZ];
  struct ifinfomsg link = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, peer = {0};
  struct message m = begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
  put(&m, IFLA_IFNAME, name, (size_t)snprintf(name, sizeof name, "nfl%u", serial) + 1);
  put(&m, IFLA_MASTER, &bridge_index, 4);
  void *info = put(&m, IFLA_LINKINFO, 0, 0);
  put(&m, IFLA_INFO_KIND, "veth", 4);
  void *data = put(&m, IFLA_INFO_DATA, 0, 0), *other = put(&m, VETH_INFO_PEER, 0, 0);
  memcpy((char *)&m + m.h.nlmsg_len, &peer, sizeof peer);
  m.h.nlmsg_len += sizeof peer;
  put(&m, IFLA_IFNAME, "eth0", 5);
  put(&m, IFLA_NET_NS_PID, &pid, 4);
  end(&m, other); end(&m, data); end(&m, info);
  talk(s, &m);
  close(s);
}
static void configure_inside(void) {
  int s = route_socket(), eth = (int)if_nametoindex("eth0");
  uint32_t address = htonl(0x0a5a0002), gateway = htonl(0x0a5a0001);
  for (int index = 1; index; index = index == 1 ? -eth : 0) {
    struct ifinfomsg up = {.ifi_index = abs(index), .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct message m = begin(RTM_NEWLINK, 0, &up, sizeof up);
    talk(s, &m);
  }
  struct ifaddrmsg a = {.ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = (unsigned)eth};
  struct message m = begin(RTM_NEWADDR, NLM_F_CREATE, &a, sizeof a);
  put(&m, IFA_LOCAL, &address, 4);
  put(&m, IFA_ADDRESS, &address, 4);
  talk(s, &m);
  struct rtmsg r = {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_UNICAST, .rtm_protocol = RTPROT_BOOT};
  m = begin(RTM_NEWROUTE, NLM_F_CREATE, &r, sizeof r);
  put(&m, RTA_GATEWAY, &gateway, 4);
  put(&m, RTA_OIF, &eth, 4);
  talk(s, &m);
  close(s);
}

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6; }
static void write_text(const char *path, const char *text) { int f; MUST(f = open(path, O_WRONLY | O_CLOEXEC)); MUST(write(f, text, strlen(text))); close(f); }

static double fork_exec(void) {
  double start = now();
  pid_t pid; int status;
  MUST(pid = fork());
  if (!pid) { char p[512]; snprintf(p, sizeof p, "%s/bin/busybox", rootfs); execl(p, "true", (char *)0); _exit(98); }
  MUST(waitpid(pid, &status, 0));
  return now() - start;
}
/* From the first step to the end of it all, or (until_exec) to the program's first instruction. */
static double life(int network, int until_exec) {
  char dir[256], path[512], text[32], options[1200], c;
  int gate[2], executed[2], status, v2 = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0, groups = v2 ? 1 : 8;
  double start = now();
  serial++;
  MUST(pipe2(gate, O_CLOEXEC));
  MUST(pipe2(executed, O_CLOEXEC));
  snprintf(dir, sizeof dir, "%s/f%u", scratch, serial);
  MUST(mkdir(dir, 0700));
  static const char *const parts[] = {"upper", "wdir", "merged"};
  for (int i = 0; i < 3; i++) { snprintf(path, sizeof path, "%s/%s", dir, parts[i]); MUST(mkdir(path, 0755)); }
  for (int i = 0; i < groups; i++) {
    snprintf(path, sizeof path, v2 ? "/sys/fs/cgroup/%snarufloor%u" : "/sys/fs/cgroup/%s/narufloor%u", v2 ? "" : V1[i], serial);
    MUST(mkdir(path, 0755));
    if (!v2 && !strcmp(V1[i], "cpuset")) {
      static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
      for (int k = 0; k < 2; k++) {
        char from[64], value[256] = {0}; snprintf(from, sizeof from, "/sys/fs/cgroup/cpuset/%s", files[k]);
        int f; MUST(f = open(from, O_RDONLY)); MUST(read(f, value, sizeof value - 1)); close(f);
        char to[600]; snprintf(to, sizeof to, "%s/%s", path, files[k]); write_text(to, value);
      }
    }
  }
  pid_t pid;
  MUST(pid = (pid_t)syscall(SYS_clone, SIGCHLD | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP | CLONE_NEWNET, 0, 0, 0, 0));
  if (!pid) {
    close(gate[1]);
    if (read(gate[0], &c, 1) != 1) _exit(97);
    if (network) configure_inside();
    MUST(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s/upper,workdir=%s/wdir", rootfs, dir, dir);
    snprintf(path, sizeof path, "%s/merged", dir);
    MUST(mount("overlay", path, "overlay", 0, options));
    MUST(chdir(path));
    MUST(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0));
    MUST(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=64k"));
    MUST(mknod("dev/null", S_IFCHR | 0666, makedev(1, 3)));
    MUST(syscall(SYS_pivot_root, ".", "."));
    MUST(umount2(".", MNT_DETACH));
    MUST(chdir("/"));
    MUST(sethostname("floor", 5));
    execl("/bin/true", "true", (char *)0);
    _exit(98);
  }
  close(gate[0]);
  close(executed[1]);
  snprintf(text, sizeof text, "%d", pid);
  for (int i = 0; i < groups; i++) {
    snprintf(path, sizeof path, v2 ? "/sys/fs/cgroup/%snarufloor%u/cgroup.procs" : "/sys/fs/cgroup/%s/narufloor%u/cgroup.procs", v2 ? "" : V1[i], serial);
    write_text(path, text);
  }
  if (network) veth_into(pid);
  MUST(write(gate[1], "x", 1));
  close(gate[1]);
  MUST(read(executed[0], &c, 1)); /* exec closes the other end */
  double at_exec = now();
  close(executed[0]);
  MUST(waitpid(pid, &status, 0));
  if (status) { fprintf(stderr, "floor: the container ended with %x\n", status); exit(1); }
  for (int i = 0; i < groups; i++) {
    snprintf(path, sizeof path, v2 ? "/sys/fs/cgroup/%snarufloor%u" : "/sys/fs/cgroup/%s/narufloor%u", v2 ? "" : V1[i], serial);
    MUST(rmdir(path));
  }
  static const char *const leftovers[] = {"/wdir/work", "/wdir", "/upper", "/merged", ""};
  for (int i = 0; i < 5; i++) { snprintf(path, sizeof path, "%s%s", dir, leftovers[i]); rmdir(path); }
  return (until_exec ? at_exec : now()) - start;
}
static double container(void) { return life(1, 0); }
static double start_only(void) { return life(0, 1); }
static int ascending(const void *a, const void *b) { double x = *(const double *)a, y = *(const double *)b; return (x > y) - (x < y); }
static void report(const char *name, double (*once)(void), int n) {
  double *t = calloc((size_t)n, sizeof *t);
  for (int i = 0; i < n; i++) t[i] = once();
  qsort(t, (size_t)n, sizeof *t, ascending);
  printf("%s %.3f\n", name, t[n / 2]);
  free(t);
}
int main(int argc, char **argv) {
  if (argc != 4) { fprintf(stderr, "usage: floor ROOTFS SCRATCH ITERATIONS\n"); return 2; }
  rootfs = argv[1];
  scratch = argv[2];
  int n = atoi(argv[3]);
  serial = (unsigned)getpid() % 10000 * 1000;
  report("forkexec", fork_exec, n);
  make_bridge(1);
  report("container", container, n);
  make_bridge(0);
  report("start", start_only, n);
  return 0;
}
