/* hide-cgroup2 PROGRAM ARG...: runs a program in a mount namespace where the cgroup2 mount of a hybrid machine is not to be seen.
 * Debian's crun refuses such a machine when a controller is on cgroup2. Outside, nothing changes. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  if (access("/sys/fs/cgroup/unified", F_OK) == 0) {
    if (unshare(CLONE_NEWNS) || mount(0, "/", 0, MS_REC | MS_SLAVE, 0) || mount("none", "/sys/fs/cgroup/unified", "tmpfs", 0, 0)) {
      perror("hide-cgroup2");
      return 125;
    }
  }
  execvp(argv[1], argv + 1);
  perror(argv[1]);
  return 125;
}
