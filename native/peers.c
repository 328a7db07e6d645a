/* The protocol with daemons: the connection that brought the plan, and those that come over the listening socket. */
#include "shim.h"

#define MAX_MESSAGE 256
#define TRACE_BATCH 256

int op_listen(struct task *task, const struct op *op) {
  AUTO_FD fd = (int)sys(socket, AF_UNIX, SOCK_SEQPACKET | O_CLOEXEC | O_NONBLOCK, 0);
  if (fd < 0) return fd;
  /* Before it has a name: the socket's file takes the mode from here. */
  sys(fchmod, fd, 0600);
  int error = unix_address(fd, arg_str(op, 0), 0);
  if (error < 0) return error;
  task->listen_path = arg_str(op, 0);
  if ((error = (int)sys(listen, fd, MAX_PEERS)) < 0) return error;
  task->listen_fd = take_fd(&fd);
  return 0;
}

int send_message(int fd, u32 type, u32 seq, const void *payload, size_t n) {
  u32 header[2] = {type, seq};
  struct iovec parts[2] = {{header, sizeof header}, {(void *)(uintptr_t)payload, n}};
  struct msghdr_k message = {0};
  message.iov = parts;
  message.iovlen = 2;
  for (;;) {
    long sent = sys(sendmsg, fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == -EINTR) continue;
    if (sent != -EAGAIN) return (int)sent;
    /* A daemon that reads nothing for a second loses the message; the exit record is on disk. */
    struct pollfd poll = {fd, POLLOUT, 0};
    struct timespec second = {1, 0};
    if (sys(ppoll, &poll, 1, &second, 0, 8) == 0) return -EAGAIN;
  }
}

void tell_all(struct shim *shim, u32 type, const void *payload, size_t n) {
  for (int i = 0; i < MAX_PEERS; i++)
    if (shim->peers[i].fd >= 0 && shim->peers[i].subscribed) send_message(shim->peers[i].fd, type, i == 0 ? shim->seq : 0, payload, n);
}

static void tell(struct shim *shim, int peer, u32 type, const void *payload, size_t n) {
  if (peer < 0) tell_all(shim, type, payload, n);
  else send_message(shim->peers[peer].fd, type, 0, payload, n);
}

struct birth {
  i32 pid;
  u32 zero;
  u64 time;
};

void tell_created(struct shim *shim, int peer) {
  struct birth birth = {shim->task.child, 0, shim->created_ns};
  tell(shim, peer, MSG_CREATED, &birth, sizeof birth);
}

void tell_started(struct shim *shim, int peer) {
  struct birth birth = {shim->task.child, 0, shim->started_ns};
  tell(shim, peer, MSG_STARTED, &birth, sizeof birth);
}

void tell_exited(struct shim *shim) {
  i32 signal = shim->status & 0x7f;
  struct { i32 code, signal; u32 ooms, core; u64 time; } death = {
      signal ? 0 : shim->status >> 8 & 0xff, signal, shim->ooms, (shim->status & 0x80) != 0, shim->ended_ns,
  };
  tell_all(shim, MSG_EXITED, &death, sizeof death);
}

/* In batches that fit into a socket's queue. */
void tell_trace(struct shim *shim) {
  struct board *board = shim->task.board;
  if (!board || shim->peers[0].fd < 0) return;
  for (u32 done = 0, n; done < board->stamps; done += n) {
    struct { u32 count, zero; struct stamp stamp[TRACE_BATCH]; } batch;
    n = MIN(board->stamps - done, (u32)TRACE_BATCH);
    batch.count = n;
    batch.zero = 0;
    memcpy(batch.stamp, board->stamp + done, n * sizeof(struct stamp));
    send_message(shim->peers[0].fd, MSG_TRACE, shim->seq, &batch, 8 + n * sizeof(struct stamp));
  }
  board->stamps = 0;
}

void tell_attach(struct shim *shim, const struct client *client, u32 type, u32 reason) {
  if (client->peer >= 0 && shim->peers[client->peer].fd >= 0)
    send_message(shim->peers[client->peer].fd, type, client->seq, &reason, type == MSG_ATTACH_END ? sizeof reason : 0);
}

/* A socket closed with messages unread resets the other end, which then never reads what it was told last (FAILED, EXITED). */
void peers_drain(struct shim *shim) {
  u8 message[MAX_MESSAGE];
  for (int i = 0; i < MAX_PEERS; i++) {
    int fd = shim->peers[i].fd;
    if (fd < 0) continue;
    sys(shutdown, fd, SHUT_RD);
    for (long n = 1; n > 0 || n == -EINTR;) n = sys(recvfrom, fd, message, sizeof message, MSG_DONTWAIT, 0, 0);
  }
}

static void peer_close(struct shim *shim, int i) {
  close_quietly(&shim->peers[i].fd);
  shim->peers[i].subscribed = 0;
  for (u32 c = 0; c < shim->clients_count; c++)
    if (shim->clients[c].peer == i) shim->clients[c].peer = -1;
}

static void start(struct shim *shim) {
  shim->start_asked = 1;
  shim->ahead = 0;
  if (!shim->awaiting) return;
  shim->awaiting = 0;
  sync_send(&shim->task, SYNC_GO, 0, -1);
}

static void subscribe(struct shim *shim, int peer) {
  shim->peers[peer].subscribed = 1;
  if (shim->created) tell_created(shim, peer);
  if (shim->started) tell_started(shim, peer); /* EXITED, if it has come to that, is still to be told to all */
}

static void serve(struct shim *shim, int peer, const u32 *words, size_t n, int *fds, size_t nfds) {
  u32 seq = words[1];
  size_t payload = n - 8;
  int pidfd = shim->task.slots[SLOT_CHILD_PIDFD];
  switch (words[0]) {
    case MSG_SPAWN:
      if (nfds >= 2) spawn_shim(fds, nfds, pidfd, seq);
      break;
    case MSG_ATTACH:
      if (nfds < 1 || payload < 8 || words[3] > payload - 8) break;
      client_add(shim, peer, seq, fds[0], words[2], (const u8 *)(words + 4), words[3]);
      fds[0] = -1;
      break;
    case MSG_RESIZE:
      if (payload >= 8) stdio_resize(shim, words[2], words[3]);
      break;
    case MSG_SIGNAL:
      if (payload >= 4 && pidfd >= 0 && !shim->ended) sys(pidfd_send_signal, pidfd, words[2], 0, 0);
      break;
    case MSG_START:
      start(shim);
      break;
    case MSG_CLOSE_STDIN:
      stdio_close_input(shim);
      break;
    case MSG_SUBSCRIBE:
      subscribe(shim, peer);
      break;
    default:
      break;
  }
}

static void peer_serve(struct shim *shim, int i) {
  while (shim->peers[i].fd >= 0) {
    u32 message[MAX_MESSAGE / 4];
    int fds[MAX_FDS];
    size_t nfds = MAX_FDS;
    long n = recv_fds(shim->peers[i].fd, message, sizeof message, fds, &nfds, MSG_DONTWAIT);
    if (n == -EAGAIN) return;
    if (n == -EPROTO) continue;
    if (n <= 0) {
      peer_close(shim, i);
      if (i == 0 && shim->ahead) withdraw(shim);
      return;
    }
    if (n >= 8) serve(shim, i, message, (size_t)n, fds, nfds);
    for (size_t k = 0; k < nfds; k++) close_quietly(&fds[k]);
  }
}

static void peer_accept(struct shim *shim) {
  for (int i = 1; i < MAX_PEERS; i++) {
    if (shim->peers[i].fd >= 0) continue;
    int fd = (int)sys(accept4, shim->task.listen_fd, 0, 0, O_CLOEXEC);
    if (fd < 0) return;
    shim->peers[i].fd = fd;
    shim->peers[i].poll = 0;
    peer_serve(shim, i);
  }
}

void peers_poll(struct shim *shim) {
  int room = 0;
  for (int i = 0; i < MAX_PEERS; i++) {
    struct peer *peer = &shim->peers[i];
    peer->poll = peer->fd >= 0 ? poll_add(shim, peer->fd, POLLIN) : 0;
    room |= i > 0 && peer->fd < 0;
  }
  shim->poll_listen = room && shim->task.listen_fd >= 0 ? poll_add(shim, shim->task.listen_fd, POLLIN) : 0;
}

void peers_serve(struct shim *shim) {
  for (int i = 0; i < MAX_PEERS; i++)
    if (polled(shim, shim->peers[i].poll)) peer_serve(shim, i);
  if (polled(shim, shim->poll_listen)) peer_accept(shim);
}
