/* One exec through an engine's API, as often as asked for: created, started, and its stream read to the end. In C, so that none of the
 * client's own time is in the figure.   exec-client SOCKET CONTAINER UNCOUNTED COUNTED
 * Prints the milliseconds of each of the counted ones, a line each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const char *path;

static _Noreturn void fail(const char *what, const char *answer) {
  fprintf(stderr, "exec-client: %s: %s\n", what, answer);
  exit(1);
}
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}
static void post(int s, const char *what, const char *name, const char *verb, const char *body) {
  char text[1024];
  int n = snprintf(text, sizeof text, "POST /%s/%s/%s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", what, name, verb, strlen(body), body);
  if (write(s, text, (size_t)n) != n) fail("write", verb);
}
static void once(const char *container) {
  static char answer[1 << 16];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t got = 0;
  ssize_t n;
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  int s = socket(AF_UNIX, SOCK_STREAM, 0);
  if (s < 0 || connect(s, (struct sockaddr *)&address, sizeof address) < 0) fail("connect", path);
  post(s, "containers", container, "exec", "{\"Cmd\":[\"true\"],\"AttachStdout\":true,\"AttachStderr\":true}");
  char *id = NULL, *end = NULL;
  while (!end) {
    if ((n = read(s, answer + got, sizeof answer - 1 - got)) <= 0) fail("create", "the connection ended");
    answer[got += (size_t)n] = 0;
    id = strstr(answer, "\"Id\":\"");
    end = strstr(answer, "\r\n\r\n");
    if (end && (!id || !(end = strchr(id, '}')))) {
      if (!id && strchr(answer, '}')) fail("create", answer);
      end = NULL;
    }
  }
  id += 6;
  id[strcspn(id, "\"")] = 0;
  post(s, "exec", id, "start", "{\"Detach\":false,\"Tty\":false}");
  got = 0;
  while (got < sizeof answer - 1 && (n = read(s, answer + got, sizeof answer - 1 - got)) > 0) got += (size_t)n;
  answer[got] = 0;
  close(s);
  if (strncmp(answer, "HTTP/1.1 200", 12) && strncmp(answer, "HTTP/1.1 101", 12)) fail("start", answer);
}
int main(int argc, char **argv) {
  if (argc != 5) return 2;
  path = argv[1];
  for (int i = atoi(argv[3]); i > 0; i--) once(argv[2]);
  for (int i = atoi(argv[4]); i > 0; i--) {
    double start = now();
    once(argv[2]);
    printf("%.4f\n", now() - start);
  }
  return 0;
}
