/* The container's three streams, on the shim's side. */
#include "shim.h"

/* How many full reads in a row make a pipe worth 1 MiB of kernel memory. */
#define GROW_AFTER 4
#define PIPE_BYTES (1 << 20)
/* A grandchild that goes on writing must not keep the shim for ever: a full pipe was there at the end, no more. */
#define FINAL_BYTES (PIPE_BYTES + CHUNK)
#define ROUNDS 16

static int pipe_for(struct task *task, int i) {
  int ends[2];
  int error = (int)sys(pipe2, ends, O_CLOEXEC);
  if (error < 0) return error;
  int ours = i == 0 ? 1 : 0;
  task->io[i] = ends[ours];
  task->child_io[i] = ends[!ours];
  return (int)sys(fcntl, ends[ours], F_SETFL, O_NONBLOCK | (i == 0 ? O_WRONLY : O_RDONLY));
}

int op_stdio(struct task *task, const struct op *op) {
  task->stdio_mode = (u8)arg_int(op, 0);
  task->stdin_mode = (u8)arg_int(op, 1);
  if (task->stdio_mode > STDIO_INHERIT || task->stdin_mode > STDIN_ONCE) return -EINVAL;
  if (task->stdio_mode != STDIO_PIPES) return 0;
  for (int i = task->stdin_mode == STDIN_NONE ? 1 : 0; i < 3; i++) {
    int error = pipe_for(task, i);
    if (error < 0) return error;
  }
  return 0;
}

void stdio_begin(struct shim *shim) {
  if (shim->buffers) return;
  shim->buffers = pages(3 * CHUNK + PAGE);
  if (!shim->buffers) quit(1);
  shim->streams[1].chunk = shim->buffers;
  shim->streams[2].chunk = shim->buffers + CHUNK;
  shim->input_chunk = shim->buffers + 2 * CHUNK;
}

void stdio_take_master(struct shim *shim, int fd) {
  close_quietly(&shim->task.master);
  shim->task.master = shim->streams[1].fd = fd;
  shim->input = shim->task.stdin_mode == STDIN_NONE ? -1 : fd;
  if (fd >= 0 && (shim->size.rows | shim->size.columns)) sys(ioctl, fd, TIOCSWINSZ, &shim->size);
}

void stdio_resize(struct shim *shim, u32 rows, u32 columns) {
  shim->size = (struct winsize){(u16)rows, (u16)columns, 0, 0};
  if (shim->task.master >= 0) sys(ioctl, shim->task.master, TIOCSWINSZ, &shim->size);
}

void stdio_poll(struct shim *shim) {
  for (int s = 1; s <= 2; s++) {
    struct stream *stream = &shim->streams[s];
    /* A chunk that somebody has not taken yet blocks its stream, and so the container. */
    stream->poll = stream->fd >= 0 && stream->size == 0 ? poll_add(shim, stream->fd, POLLIN) : 0;
  }
  shim->poll_input = shim->input >= 0 && shim->input_size > 0 ? poll_add(shim, shim->input, POLLOUT) : 0;
}

static void stream_over(struct shim *shim, int s) {
  /* The pty's master stays open: closing it would hang up the session. */
  if (shim->streams[s].fd == shim->task.master) shim->streams[s].fd = -1;
  else close_quietly(&shim->streams[s].fd);
}

/* One read. 0: nothing there. */
static int pump_once(struct shim *shim, int s) {
  struct stream *stream = &shim->streams[s];
  u64 room = shim->ended ? MIN(stream->budget, (u64)CHUNK) : CHUNK;
  long n = room ? sys(read, stream->fd, stream->chunk, room) : 0;
  if (n == -EINTR) return 1;
  if (n == -EAGAIN && !shim->ended) return 0;
  if (n <= 0) { /* the end; EIO from a pty that was hung up; or all that was left behind */
    stream_over(shim, s);
    return 0;
  }
  shim->buffers_used = 1;
  if (shim->ended) stream->budget -= (u64)n;
  log_record(&shim->task, s, stream->chunk, (u32)n);
  stream->size = (u32)n;
  clients_offer(shim, s);
  stream->full_reads = n == CHUNK ? stream->full_reads + 1 : 0;
  if (stream->full_reads == GROW_AFTER) sys(fcntl, stream->fd, F_SETPIPE_SZ, PIPE_BYTES);
  return n == CHUNK || shim->ended;
}

void stdio_pump(struct shim *shim, int all) {
  for (int s = 1; s <= 2; s++) {
    struct stream *stream = &shim->streams[s];
    if (!all && !polled(shim, stream->poll)) continue;
    stdio_begin(shim);
    for (int round = 0; stream->fd >= 0 && stream->size == 0 && (all || round < ROUNDS); round++)
      if (!pump_once(shim, s)) break;
  }
}

void stdio_ended(struct shim *shim) { shim->streams[1].budget = shim->streams[2].budget = FINAL_BYTES; }

int stdio_drained(const struct shim *shim) {
  for (int s = 1; s <= 2; s++)
    if (shim->streams[s].fd >= 0 || shim->streams[s].size > 0) return 0;
  return 1;
}

void stdio_write_input(struct shim *shim) {
  while (shim->input_size > shim->input_offset) {
    long n = shim->input < 0 ? -EPIPE
                             : sys(write, shim->input, shim->input_chunk + shim->input_offset, shim->input_size - shim->input_offset);
    if (n == -EINTR) continue;
    if (n == -EAGAIN) return;
    if (n < 0) { /* nobody will ever read it */
      shim->close_input = 1;
      break;
    }
    shim->input_offset += (u32)n;
  }
  shim->input_size = 0;
  if (shim->close_input) stdio_close_input(shim);
}

void stdio_close_input(struct shim *shim) {
  shim->close_input = 1;
  if (shim->input_size > 0) return;
  shim->close_input = 0;
  /* A terminal's input has no end that could be sent. */
  if (shim->input < 0 || shim->input == shim->task.master) return;
  shim->input = -1;
  close_quietly(&shim->task.io[0]);
}
