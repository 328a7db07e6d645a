/* The shim: what lives as long as the container. One file for each duty; shim.c turns the wheel. */
#ifndef NARU_SHIM_H
#define NARU_SHIM_H

#include "task.h"

enum message_type {
  MSG_SPAWN = 1, MSG_ATTACH, MSG_RESIZE, MSG_SIGNAL, MSG_START, MSG_CLOSE_STDIN, MSG_SUBSCRIBE,
  MSG_STARTED = 101, MSG_FAILED, MSG_EXITED, MSG_ATTACH_END, MSG_OOM, MSG_TRACE, MSG_CREATED, MSG_ATTACHED,
};
/* The section of a FAILED that no operation caused: the plan was refused (index: where, extra: enum plan_reason). */
#define NO_SECTION UINT32_MAX

enum attach_flags { ATTACH_STDIN = 1, ATTACH_STDOUT = 2, ATTACH_STDERR = 4, ATTACH_FRAMED = 8, ATTACH_CLOSE_STDIN = 16, ATTACH_UNANSWERED = 32 };
enum attach_end { END_CLIENT, END_DETACHED, END_ERROR, END_EXITED };

#define MAX_PEERS 9 /* the first is the connection that came with the plan */
#define MAX_CLIENTS 64
#define MAX_KEYS 32
#define CHUNK 65536
#define STALL_NS 10000000000ull
/* After the last output a client is kept so long for the process to end: its end is told before the client's is seen. */
#define LINGER_NS 100000000ull

/* Where ppoll reported on something: an index into shim.polls, 0 for not asked. */
typedef u8 poll_index;

struct peer {
  int fd;
  u8 subscribed;
  poll_index poll;
};

struct client {
  int fd, peer; /* peer: who attached it, as an index; -1 when that one has gone */
  u32 seq, flags;
  u8 not_a_socket, input_ended, hung_up;
  /* Bit s: the chunk of stream s is still to be sent; `current`: the stream of which a part was sent. */
  u8 todo, current;
  u32 offset; /* into the current chunk, its frame's header included */
  u8 keys_size, keys_matched, keys[MAX_KEYS];
  poll_index poll;
};

/* Streams 1 and 2 as in Docker's framing; a pty is stream 1. */
struct stream {
  int fd;
  u32 size; /* of the chunk that is being given to clients */
  u32 waiting; /* clients that have not taken all of it */
  u32 full_reads;
  u64 budget; /* bytes still read after the process ended */
  u8 *chunk;
  poll_index poll;
};

struct shim {
  struct task task;
  struct peer peers[MAX_PEERS];
  u32 seq; /* of the SPAWN */
  int signals;
  poll_index poll_listen, poll_sync, poll_target, poll_signals, poll_oom, poll_input;

  struct stream streams[3]; /* 0 is not used */
  int input; /* the container's stdin: a pipe, the pty's master, or -1 */
  u32 input_size, input_offset;
  u8 *input_chunk; /* CHUNK + MAX_KEYS */
  u8 *buffers;
  u8 buffers_used, close_input; /* once what is buffered was written */
  struct winsize size; /* asked for before the pty was there */

  u8 created, start_asked, awaiting, ahead, started, ended, cleaned; /* ahead: made before anybody asked for its start */
  u64 created_ns, started_ns, ended_ns, deadline, linger; /* linger: 0, or when clients without output are let go */
  i32 status;
  u32 ooms;

  u8 *keep; /* strings and the cleanup section, once the plan was given back */
  size_t keep_bytes;
  const struct op *cleanup;
  const u32 *cleanup_index; /* in the plan, for the trace */
  u32 cleanup_count;

  u32 clients_count, polls_count;
  struct pollfd polls[MAX_PEERS + MAX_CLIENTS + 9];
  struct client clients[MAX_CLIENTS]; /* last: untouched until somebody attaches */
};

/* shim.c. Takes every descriptor; never returns. */
_Noreturn void shim_main(int conn, int plan, const int *slots, size_t count, int target_pidfd, u32 seq);
short polled(const struct shim *shim, poll_index index);
poll_index poll_add(struct shim *shim, int fd, short events);
/* Fork a shim for a SPAWN; keeps none of the descriptors here. */
void spawn_shim(const int *fds, size_t count, int target_pidfd, u32 seq);

/* peers.c */
void peers_poll(struct shim *shim);
void peers_serve(struct shim *shim);
void peers_drain(struct shim *shim);
/* shim.c. Nobody wants any more what was made ahead. */
_Noreturn void withdraw(struct shim *shim);
/* What happened, to the first connection and to every subscriber. */
void tell_all(struct shim *shim, u32 type, const void *payload, size_t n);
void tell_created(struct shim *shim, int peer);
void tell_started(struct shim *shim, int peer);
void tell_exited(struct shim *shim);
void tell_trace(struct shim *shim);
void tell_attach(struct shim *shim, const struct client *client, u32 type, u32 reason);
int send_message(int fd, u32 type, u32 seq, const void *payload, size_t n);

/* attach.c */
void client_add(struct shim *shim, int peer, u32 seq, int fd, u32 flags, const u8 *keys, size_t keys_size);
void client_end(struct shim *shim, struct client *client, enum attach_end reason);
void clients_poll(struct shim *shim);
void clients_read(struct shim *shim);
/* Give a new chunk of stream s to everybody who wants it. */
void clients_offer(struct shim *shim, int s);
void clients_write(struct shim *shim);
void clients_end_all(struct shim *shim, enum attach_end reason);

/* stdio.c */
void stdio_begin(struct shim *shim);
void stdio_take_master(struct shim *shim, int fd);
void stdio_poll(struct shim *shim);
/* Reads the streams that ppoll (or all: everything) says, into the log and to the clients. */
void stdio_pump(struct shim *shim, int all);
/* The process is gone: from now on only what it left behind is read. */
void stdio_ended(struct shim *shim);
void stdio_write_input(struct shim *shim);
void stdio_close_input(struct shim *shim);
void stdio_resize(struct shim *shim, u32 rows, u32 columns);
int stdio_drained(const struct shim *shim);

/* log.c */
void log_record(struct task *task, int stream, const u8 *bytes, u32 n);

/* exit.c */
void write_exit_record(struct shim *shim);
void sync_exit_record(const struct shim *shim);
void write_pid_file(struct task *task);

/* oom.c */
/* Reads the count; says OOM when it has grown. */
void oom_look(struct shim *shim);
void oom_poll(struct shim *shim);
void oom_serve(struct shim *shim);

#endif
