/* dns-client NAME SECONDS WINDOW: asks 127.0.0.11 for NAME's A record with WINDOW questions under way, prints right answers per second. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t question(unsigned char *at, const char *name) {
  unsigned char *start = at;
  memcpy(at, "\0\0\1\0\0\1\0\0\0\0\0\0", 12);
  at += 12;
  while (*name != 0) {
    size_t n = strcspn(name, ".");
    *at++ = (unsigned char)n;
    memcpy(at, name, n);
    at += n;
    name += n + (name[n] == '.');
  }
  memcpy(at, "\0\0\1\0\1", 5);
  return (size_t)(at + 5 - start);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  double seconds = atof(argv[2]);
  int window = atoi(argv[3]), under_way = 0;
  unsigned char query[512], answer[2048];
  size_t length = question(query, argv[1]);
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(53)};
  inet_pton(AF_INET, "127.0.0.11", &server.sin_addr);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0) return perror("connect"), 1;
  unsigned id = 0;
  long right = 0, wrong = 0, lost = 0;
  double begin = now(), end = begin + seconds;
  while (now() < end) {
    while (under_way < window) {
      query[0] = (unsigned char)(id >> 8);
      query[1] = (unsigned char)id++;
      if (send(fd, query, length, 0) < 0) return perror("send"), 1;
      under_way++;
    }
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (poll(&ready, 1, 1000) == 0) {
      lost += under_way;
      under_way = 0;
      continue;
    }
    for (ssize_t n; under_way > 0 && (n = recv(fd, answer, sizeof answer, MSG_DONTWAIT)) >= 0; under_way--) {
      if (n > (ssize_t)length && (answer[3] & 15) == 0 && answer[7] > 0) right++;
      else wrong++;
    }
  }
  printf("%.0f\n", (double)right / (now() - begin));
  if (wrong + lost > 0) fprintf(stderr, "%ld wrong, %ld lost\n", wrong, lost);
  return 0;
}
