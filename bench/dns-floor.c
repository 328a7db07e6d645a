/* dns-floor: answers every question at 127.0.0.11 with one A record and looks at nothing: what a resolver costs that does no work. */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

int main(void) {
  static const unsigned char record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 2};
  unsigned char bytes[2048];
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(53)}, from;
  inet_pton(AF_INET, "127.0.0.11", &at.sin_addr);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0) return 1;
  for (;;) {
    socklen_t length = sizeof from;
    ssize_t n = recvfrom(fd, bytes, 512, 0, (struct sockaddr *)&from, &length);
    if (n < 12) continue;
    bytes[2] |= 0x80;
    bytes[7] = 1;
    memcpy(bytes + n, record, sizeof record);
    sendto(fd, bytes, (size_t)n + sizeof record, 0, (struct sockaddr *)&from, length);
  }
}
