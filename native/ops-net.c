/* Netlink batches and BPF. */
#include "task.h"

#define ALIGN_NL(n) ALIGN((n), 4u)
#define NLMSG_ERROR 2

static int ifindex(int socket, const char *name) {
  struct { char name[16]; int index; char rest[20]; } request = {{0}, 0, {0}};
  size_t n = strlen(name);
  if (n >= sizeof request.name) return -EINVAL;
  memcpy(request.name, name, n);
  int error = (int)sys(ioctl, socket, SIOCGIFINDEX, &request);
  return error < 0 ? error : request.index;
}

static const char *nth(const struct op *op, int i, u32 which) {
  size_t n;
  const char *list = arg_bytes(op, i, &n), *end = list + n;
  for (; list < end && which > 0; which--) list += strlen(list) + 1;
  return list < end ? list : NULL;
}

/* As it stands in the address: in network order. */
static int local_port(int socket) {
  u16 address[14];
  int n = sizeof address, error = (int)sys(getsockname, socket, address, &n);
  return error < 0 ? error : address[1];
}

static int patch(struct task *task, const struct op *op, int socket, u8 *batch, size_t size) {
  enum { PATCH_SLOT = 1, PATCH_IFINDEX, PATCH_PID, PATCH_PORT };
  size_t n;
  const u32 *patches = arg_bytes(op, 3, &n);
  for (n /= 4; n >= 3; n -= 3, patches += 3) {
    u32 offset = patches[1], operand = patches[2];
    i32 value = -EINVAL;
    size_t width = patches[0] == PATCH_PORT ? 2 : 4;
    if (size < 4 || offset > size - 4) return -ERANGE;
    if (patches[0] == PATCH_SLOT && operand < SLOTS) {
      value = task->slots[operand];
      if (value < 0) return -EBADF;
    } else if (patches[0] == PATCH_IFINDEX) {
      const char *name = nth(op, 4, operand);
      if (name) value = ifindex(socket, name);
    } else if (patches[0] == PATCH_PID) {
      value = host_pid(task);
    } else if (patches[0] == PATCH_PORT && operand < SLOTS) {
      value = local_port(task->slots[operand]);
    }
    if (value < 0) return value;
    memcpy(batch + offset, &value, width);
  }
  return n == 0 ? 0 : -EINVAL;
}

/* The index of the message with this sequence number. */
static u32 message_index(const u8 *batch, size_t size, u32 seq) {
  struct nlmsghdr_k header;
  u32 index = 0;
  for (size_t at = 0; at + sizeof header <= size; index++) {
    memcpy(&header, batch + at, sizeof header);
    if (header.seq == seq) return index;
    if (header.len < sizeof header) break;
    at += ALIGN_NL(header.len);
  }
  return UINT32_MAX;
}

static int read_acks(struct task *task, int socket, u64 acks, const u8 *batch, size_t size) {
  u8 reply[1024] __attribute__((aligned(8)));
  while (acks > 0) {
    /* The kernel has answered everything by the time the send returns: nothing to wait for. */
    long got = sys(recvfrom, socket, reply, sizeof reply, MSG_DONTWAIT, 0, 0);
    if (got == -EINTR) continue;
    if (got < 0) return got == -EAGAIN ? -EPROTO : (int)got;
    for (size_t at = 0; at + sizeof(struct nlmsghdr_k) + 4 <= (size_t)got;) {
      const struct nlmsghdr_k *header = (const void *)(reply + at);
      if (header->type == NLMSG_ERROR) {
        i32 error = *(const i32 *)(header + 1);
        if (error < 0) {
          task->extra = message_index(batch, size, header->seq);
          return error;
        }
        if (acks > 0) acks--;
      }
      if (header->len < sizeof *header) break;
      at += ALIGN_NL(header->len);
    }
  }
  return 0;
}

int op_netlink(struct task *task, const struct op *op) {
  size_t size;
  const void *bytes = arg_bytes(op, 2, &size);
  task->extra = UINT32_MAX;
  AUTO_FD socket = (int)sys(socket, AF_NETLINK, SOCK_RAW | O_CLOEXEC, arg_int(op, 0));
  if (socket < 0) return socket;
  /* The default would not hold the answers of a large batch. */
  if (arg_int(op, 1) > 64) {
    int room = 4 << 20;
    sys(setsockopt, socket, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  }
  u8 *batch = pages(size + 1);
  if (!batch) return -ENOMEM;
  memcpy(batch, bytes, size);
  int error = patch(task, op, socket, batch, size);
  if (error == 0) {
    long sent = sys(sendto, socket, batch, size, MSG_NOSIGNAL, 0, 0);
    error = sent < 0 ? (int)sent : read_acks(task, socket, arg_int(op, 1), batch, size);
  }
  pages_free(batch, size + 1);
  return error;
}

int op_socket(struct task *task, const struct op *op) {
  size_t n;
  const void *address = arg_bytes(op, 3, &n);
  AUTO_FD fd = (int)sys(socket, arg_int(op, 1), arg_int(op, 2) | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  int error = (int)sys(bind, fd, address, n);
  if (error == 0 && arg_int(op, 4) > 0) error = (int)sys(listen, fd, arg_int(op, 4));
  return error < 0 ? error : fill_slot(task, op, 0, take_fd(&fd));
}

int op_send_fds(struct task *task, const struct op *op) {
  int fds[MAX_FDS];
  size_t count, n;
  const u32 *slots = arg_bytes(op, 1, &count);
  const void *data = arg_bytes(op, 2, &n);
  count /= 4;
  if (count > MAX_FDS) return -EINVAL;
  for (size_t i = 0; i < count; i++) {
    if (slots[i] >= SLOTS) return -EINVAL;
    fds[i] = task->slots[slots[i]];
    if (fds[i] < 0) return -EBADF;
  }
  AUTO_FD socket = (int)sys(socket, AF_UNIX, SOCK_SEQPACKET | O_CLOEXEC | O_NONBLOCK, 0);
  if (socket < 0) return socket;
  int error = unix_address(socket, arg_str(op, 0), 1);
  if (error < 0) return error;
  long sent = send_fds(socket, data, n, fds, count, 0);
  return sent < 0 ? (int)sent : 0;
}

int op_bpf_device(struct task *task, const struct op *op) {
  enum { PROG_LOAD = 5, PROG_ATTACH = 8, TYPE_CGROUP_DEVICE = 15, ATTACH_CGROUP_DEVICE = 6 };
  (void)task;
  size_t n;
  const void *program = arg_bytes(op, 1, &n);
  struct {
    u32 type, count;
    u64 instructions, license;
    u32 log_level, log_size;
    u64 log;
    u32 version, flags;
  } load = {0};
  load.type = TYPE_CGROUP_DEVICE;
  load.count = (u32)(n / 8);
  load.instructions = (u64)(uintptr_t)program;
  load.license = (u64)(uintptr_t)"Apache-2.0";
  AUTO_FD prog = (int)sys(bpf, PROG_LOAD, &load, sizeof load);
  if (prog < 0) return prog;
  AUTO_FD cgroup = (int)sys(openat, AT_FDCWD, arg_str(op, 0), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (cgroup < 0) return cgroup;
  u32 attach[4] = {(u32)cgroup, (u32)prog, ATTACH_CGROUP_DEVICE, (u32)arg_int(op, 2)};
  return (int)sys(bpf, PROG_ATTACH, attach, sizeof attach);
}
