/* seccomp-agent SOCKET VALUE: listens at SOCKET, takes one filter's descriptor, answers VALUE to its first call and ends. Prints what
 * came with the descriptor, then `call NUMBER`. */
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char text[65536], control[CMSG_SPACE(sizeof(int))];
  struct iovec part = {text, sizeof text};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct seccomp_notif call;
  struct seccomp_notif_resp answer;
  int filter, listener = socket(AF_UNIX, SOCK_STREAM, 0);
  if (argc != 3) return 2;
  strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
  alarm(60);
  if (bind(listener, (void *)&address, sizeof address) < 0 || listen(listener, 1) < 0) return perror("bind"), 1;
  puts("ready");
  fflush(stdout);
  int agent = accept(listener, 0, 0);
  long n = recvmsg(agent, &message, 0);
  struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  if (n < 0 || !rights || rights->cmsg_type != SCM_RIGHTS) return fputs("no descriptor\n", stderr), 1;
  memcpy(&filter, CMSG_DATA(rights), sizeof filter);
  printf("%.*s\n", (int)n, text);
  memset(&call, 0, sizeof call);
  if (ioctl(filter, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) return perror("receive"), 1;
  printf("call %d\n", call.data.nr);
  memset(&answer, 0, sizeof answer);
  answer.id = call.id;
  answer.val = atoi(argv[2]);
  return ioctl(filter, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0 ? (perror("answer"), 1) : 0;
}
