/*
 * net-path ROUNDS {NAME CLIENT-PID SERVER-PID ADDRESS}...: what the way between two network namespaces costs. One thread has both ends, so
 * that nobody is woken and nothing depends on which processor does what. A line for each name and round, names in turn:
 *   NAME seconds-per-GiB-of-TCP microseconds-per-datagram     (CPU time; datagrams of 64 bytes)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 7777, BYTES = 32 << 20, DATAGRAMS = 2000, AT_ONCE = 64, PATHS = 8 };
static char buffer[1 << 17];
struct path { const char *name; int tcp_out, tcp_in, udp_out, udp_in; };

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void enter(const char *pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/ns/net", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) fail(path);
  close(fd);
}

static double used(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct path connected(char **words) {
  struct path path = {.name = words[0]};
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)}, to = any;
  if (inet_aton(words[3], &to.sin_addr) == 0) fail(words[3]);
  enter(words[2]);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  path.udp_in = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  if (bind(listener, (struct sockaddr *)&any, sizeof any) != 0 || listen(listener, 1) != 0 || bind(path.udp_in, (struct sockaddr *)&any, sizeof any) != 0) fail("bind");
  enter(words[1]);
  path.tcp_out = socket(AF_INET, SOCK_STREAM, 0);
  path.udp_out = socket(AF_INET, SOCK_DGRAM, 0);
  if (connect(path.tcp_out, (struct sockaddr *)&to, sizeof to) != 0 || connect(path.udp_out, (struct sockaddr *)&to, sizeof to) != 0) fail("connect");
  path.tcp_in = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
  fcntl(path.tcp_out, F_SETFL, O_NONBLOCK);
  close(listener);
  return path;
}

static void stream(const struct path *path) {
  for (ssize_t unsent = BYTES, missing = BYTES, n; missing > 0;) {
    while (unsent > 0 && (n = write(path->tcp_out, buffer, (size_t)unsent < sizeof buffer ? (size_t)unsent : sizeof buffer)) > 0) unsent -= n;
    while ((n = read(path->tcp_in, buffer, sizeof buffer)) > 0) missing -= n;
    if (n == 0 || errno != EAGAIN) fail("read");
  }
}

static void datagrams(const struct path *path) {
  for (int i = 1; i <= DATAGRAMS; i++) {
    if (send(path->udp_out, buffer, 64, 0) != 64) fail("send");
    if (i % AT_ONCE == 0) while (recv(path->udp_in, buffer, 64, 0) > 0) continue;
  }
}

int main(int argc, char **argv) {
  static struct path paths[PATHS];
  int rounds = argc > 1 ? atoi(argv[1]) : 0, count = 0;
  for (char **words = argv + 2; count < PATHS && words + 4 <= argv + argc; words += 4) paths[count++] = connected(words);
  for (int round = 0; round < rounds; round++) {
    for (int i = 0; i < count; i++) {
      const struct path *path = &paths[round % 2 == 0 ? i : count - 1 - i];
      double start = used();
      stream(path);
      double streamed = used();
      datagrams(path);
      printf("%s %.5f %.4f\n", path->name, (streamed - start) * (double)(1 << 30) / BYTES, (used() - streamed) / DATAGRAMS * 1e6);
    }
  }
  return 0;
}
