/* Attached clients: their input, and a share of every chunk of output. */
#include "shim.h"

static void forget_output(struct shim *shim, struct client *client) {
  for (int s = 1; s <= 2; s++)
    if (client->todo >> s & 1 && --shim->streams[s].waiting == 0) shim->streams[s].size = 0;
  client->todo = 0;
}

void client_end(struct shim *shim, struct client *client, enum attach_end reason) {
  forget_output(shim, client);
  /* When nothing was started, whoever handed the client over still has to tell it why. */
  if (shim->started) sys(shutdown, client->fd, SHUT_WR);
  close_quietly(&client->fd);
  tell_attach(shim, client, MSG_ATTACH_END, reason);
  if ((client->flags & ATTACH_STDIN) && !client->input_ended &&
      (shim->task.stdin_mode == STDIN_ONCE || (reason == END_CLIENT && (client->flags & ATTACH_CLOSE_STDIN))))
    stdio_close_input(shim);
  *client = shim->clients[--shim->clients_count];
}

void clients_end_all(struct shim *shim, enum attach_end reason) {
  while (shim->clients_count > 0) client_end(shim, &shim->clients[0], reason);
}

void client_add(struct shim *shim, int peer, u32 seq, int fd, u32 flags, const u8 *keys, size_t keys_size) {
  if (shim->clients_count == MAX_CLIENTS || keys_size > MAX_KEYS) {
    struct client refused = {0};
    refused.peer = peer;
    refused.seq = seq;
    tell_attach(shim, &refused, MSG_ATTACH_END, END_ERROR);
    sys(close, fd);
    return;
  }
  struct client *client = &shim->clients[shim->clients_count++];
  memset(client, 0, sizeof *client);
  client->fd = fd;
  client->peer = peer;
  client->seq = seq;
  client->flags = flags;
  client->keys_size = (u8)keys_size;
  memcpy(client->keys, keys, keys_size);
  stdio_begin(shim);
  if (!(flags & ATTACH_UNANSWERED)) tell_attach(shim, client, MSG_ATTACHED, 0);
}

/* Feeds one byte to the search for the detach keys; bytes that turn out not to belong to them go to out. 1: found. */
static int search_keys(struct client *client, u8 byte, u8 *out, u32 *n) {
  u8 seen[MAX_KEYS + 1];
  u32 size = client->keys_matched;
  memcpy(seen, client->keys, size);
  seen[size++] = byte;
  u32 skip = 0;
  while (skip < size && memcmp(seen + skip, client->keys, size - skip) != 0) skip++;
  memcpy(out + *n, seen, skip);
  *n += skip;
  client->keys_matched = (u8)(size - skip);
  if (client->keys_matched < client->keys_size) return 0;
  client->keys_matched = 0;
  return 1;
}

static long receive(struct client *client, u8 *bytes, size_t n) {
  long got = client->not_a_socket ? sys(read, client->fd, bytes, n)
                                  : sys(recvfrom, client->fd, bytes, n, MSG_DONTWAIT, 0, 0);
  if (got == -ENOTSOCK) {
    client->not_a_socket = 1;
    got = sys(read, client->fd, bytes, n);
  }
  return got;
}

static void input_ended(struct shim *shim, struct client *client) {
  int wants = client->flags & ATTACH_STDIN;
  client->input_ended = 1;
  if (wants && client->keys_matched > 0) {
    /* The beginning of the keys, and then nothing: it was input after all. */
    shim->input_offset = 0;
    shim->input_size = shim->input < 0 ? 0 : client->keys_matched;
    memcpy(shim->input_chunk, client->keys, client->keys_matched);
    client->keys_matched = 0;
    stdio_write_input(shim);
  }
  if (wants && (shim->task.stdin_mode == STDIN_ONCE || (client->flags & ATTACH_CLOSE_STDIN))) stdio_close_input(shim);
  if (!(client->flags & (ATTACH_STDOUT | ATTACH_STDERR))) client_end(shim, client, END_CLIENT);
}

static void client_read(struct shim *shim, struct client *client) {
  /* In place: what the keys hold back was read before, so the output never overtakes the input by more than MAX_KEYS. */
  u8 *in = shim->input_chunk + MAX_KEYS, *out = shim->input_chunk;
  long got = receive(client, in, client->keys_size ? CHUNK / 8 : CHUNK);
  if (got == -EAGAIN || got == -EINTR) return;
  if (got < 0) {
    client_end(shim, client, END_CLIENT);
    return;
  }
  if (got == 0) {
    input_ended(shim, client);
    return;
  }
  shim->buffers_used = 1;
  u32 n = 0;
  int found = 0;
  if (client->keys_size == 0) {
    memcpy(out, in, (size_t)got);
    n = (u32)got;
  } else {
    for (long i = 0; i < got && !found; i++) found = search_keys(client, in[i], out, &n);
  }
  shim->input_offset = 0;
  shim->input_size = shim->input < 0 ? 0 : n;
  stdio_write_input(shim);
  if (found) client_end(shim, client, END_DETACHED);
}

/* Input is read only when there is room for it: before the pty exists, or while the container does not read, it waits. */
static int may_read(const struct shim *shim, const struct client *client) {
  if (client->input_ended || !(client->flags & ATTACH_STDIN)) return 0;
  if (shim->input_size > 0) return 0;
  return shim->input >= 0 || shim->task.stdio_mode != STDIO_PTY || shim->started;
}

void clients_poll(struct shim *shim) {
  for (u32 i = 0; i < shim->clients_count; i++) {
    struct client *client = &shim->clients[i];
    short events = (short)((may_read(shim, client) ? POLLIN : 0) | (client->todo ? POLLOUT : 0));
    /* A hang-up is reported for ever, wanted or not, while there is no room yet for the input that came before it. */
    client->poll = events || !client->hung_up ? poll_add(shim, client->fd, events) : 0;
  }
}

void clients_read(struct shim *shim) {
  for (u32 i = 0; i < shim->clients_count; i++) {
    struct client *client = &shim->clients[i];
    short events = polled(shim, client->poll);
    client->poll = 0;
    if (!events) continue;
    u32 before = shim->clients_count;
    int reads = (client->flags & ATTACH_STDIN) && !client->input_ended;
    if ((events & (POLLIN | POLLHUP | POLLERR)) && may_read(shim, client)) client_read(shim, client);
    else if (((events & POLLHUP) && !reads) || (events & POLLERR)) client_end(shim, client, END_CLIENT);
    else if (events & POLLHUP) client->hung_up = 1;
    if (shim->clients_count < before) i--; /* the last one took its place */
  }
}

static long transmit(struct client *client, struct iovec *parts, size_t count) {
  struct msghdr_k message = {0};
  message.iov = parts;
  message.iovlen = count;
  long sent = client->not_a_socket ? -ENOTSOCK : sys(sendmsg, client->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent != -ENOTSOCK) return sent;
  client->not_a_socket = 1;
  /* Not our description to make non-blocking: a pipe that polls writable takes one page. */
  struct pollfd poll = {client->fd, POLLOUT, 0};
  struct timespec now = {0, 0};
  if (sys(ppoll, &poll, 1, &now, 0, 8) <= 0) return -EAGAIN;
  if (count == 2 && parts[0].len == 0) parts++, count--;
  parts[count - 1].len = MIN(parts[count - 1].len, PAGE - 8);
  return sys(writev, client->fd, parts, count);
}

/* Everything of the pending chunks that this client takes now. 1 when it was removed. */
static int client_write(struct shim *shim, struct client *client) {
  while (client->todo) {
    if (!client->current) {
      client->current = client->todo & 2 ? 1 : 2;
      client->offset = 0;
    }
    int s = client->current;
    struct stream *stream = &shim->streams[s];
    u32 framing = client->flags & ATTACH_FRAMED ? 8 : 0, n = stream->size;
    u8 frame[8] = {(u8)s, 0, 0, 0, (u8)(n >> 24), (u8)(n >> 16), (u8)(n >> 8), (u8)n};
    u32 head = client->offset < framing ? framing - client->offset : 0;
    u32 body = client->offset > framing ? client->offset - framing : 0;
    struct iovec parts[2] = {{frame + framing - head, head}, {stream->chunk + body, n - body}};
    long sent = transmit(client, parts, 2);
    if (sent == -EAGAIN || sent == -EINTR) return 0;
    if (sent < 0) {
      /* It may have gone after saying all it had to say. */
      if ((client->flags & ATTACH_STDIN) && !client->input_ended) {
        forget_output(shim, client);
        client->flags &= ~(u32)(ATTACH_STDOUT | ATTACH_STDERR);
        return 0;
      }
      client_end(shim, client, END_CLIENT);
      return 1;
    }
    client->offset += (u32)sent;
    if (client->offset < framing + n) continue;
    client->todo &= (u8) ~(1 << s);
    client->current = 0;
    if (--stream->waiting == 0) stream->size = 0;
  }
  return 0;
}

void clients_offer(struct shim *shim, int s) {
  for (u32 i = 0; i < shim->clients_count; i++) {
    struct client *client = &shim->clients[i];
    if (!(client->flags & (s == 1 ? ATTACH_STDOUT : ATTACH_STDERR))) continue;
    client->todo |= (u8)(1 << s);
    shim->streams[s].waiting++;
  }
  clients_write(shim);
  if (shim->streams[s].waiting == 0) shim->streams[s].size = 0;
}

/* 1 when nothing that the client could still get is left, and its process had its moment to end. */
static int output_over(struct shim *shim, const struct client *client) {
  u32 wants = client->flags & (ATTACH_STDOUT | ATTACH_STDERR);
  if (!shim->started || !wants || client->todo) return 0;
  if ((wants & ATTACH_STDOUT && shim->streams[1].fd >= 0) || (wants & ATTACH_STDERR && shim->streams[2].fd >= 0)) return 0;
  u64 now = now_ns(CLOCK_MONOTONIC);
  if (shim->linger == 0) shim->linger = now + LINGER_NS;
  return now >= shim->linger;
}

void clients_write(struct shim *shim) {
  for (u32 i = 0; i < shim->clients_count; i++) {
    struct client *client = &shim->clients[i];
    if (client_write(shim, client)) i--;
    else if (output_over(shim, client)) client_end(shim, client, END_EXITED), i--;
  }
}
