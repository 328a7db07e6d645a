/* tiny-http PORT: the least that a keep-alive HTTP server does, on one thread, so that what is measured is the way to it. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";

/* Every end of a request's head in the bytes gets one answer; requests have no bodies. */
static int serve(int fd) {
  char bytes[8192];
  ssize_t n = read(fd, bytes, sizeof bytes);
  if (n <= 0) return -1;
  for (ssize_t i = 3; i < n; i++)
    if (memcmp(bytes + i - 3, "\r\n\r\n", 4) == 0 && write(fd, answer, sizeof answer - 1) < 0) return -1;
  return 0;
}

int main(int argc, char **argv) {
  int on = 1;
  signal(SIGPIPE, SIG_IGN);
  int listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 8080)};
  if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 1024) != 0) return 1;
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[64];
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int n = epoll_wait(poll, ready, 64, -1);
    for (int i = 0; i < n; i++) {
      int fd = ready[i].data.fd;
      if (fd != listener) {
        if (serve(fd) != 0) close(fd);
        continue;
      }
      event.data.fd = accept(listener, NULL, NULL);
      if (event.data.fd < 0) continue;
      setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event);
    }
  }
}
