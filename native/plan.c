/* Compiles hosted too (fuzz/): no system calls here. */
#include "plan.h"

static const char *const kinds[OP_CODES] = {
#define X(name, code, args) [code] = args,
    OP_LIST(X)
#undef X
};

const char *op_kinds(uint32_t code) { return code < OP_CODES ? kinds[code] : NULL; }

struct header {
  uint32_t magic;
  uint16_t version, flags;
  uint32_t total, count;
};

static int has_nul(const uint8_t *bytes, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (bytes[i] == 0) return 1;
  return 0;
}

static enum plan_reason check_arg(const struct op *op, char kind, uint64_t value) {
  if (kind == 'i') return PLAN_OK;
  if (kind == 'd') return value < SLOTS || value == UINT64_MAX ? PLAN_OK : PLAN_BAD_SLOT;
  uint64_t offset = (uint32_t)value, length = value >> 32;
  const uint8_t *data = (const uint8_t *)op + offset;
  if (offset < sizeof *op + op->nargs * 8u || offset + length > op->bytes) return PLAN_BAD_RANGE;
  switch (kind) {
    case 's':
      if (offset + length + 1 > op->bytes) return PLAN_BAD_RANGE;
      return data[length] != 0 || has_nul(data, length) ? PLAN_BAD_STRING : PLAN_OK;
    case 'l':
      return length > 0 && data[length - 1] != 0 ? PLAN_BAD_STRING : PLAN_OK;
    case 'u':
      return offset % 4 || length % 4 ? PLAN_BAD_RANGE : PLAN_OK;
    default:
      return PLAN_OK;
  }
}

static enum plan_reason check_op(const struct op *op) {
  const char *args = op_kinds(op->code);
  if (!args) return PLAN_UNKNOWN_OP;
  if (op->section >= SECTIONS || op->reserved != 0) return PLAN_BAD_OP;
  for (uint32_t i = 0; i < op->nargs; i++) {
    if (!args[i]) return PLAN_BAD_OP;
    enum plan_reason reason = check_arg(op, args[i], op->args[i]);
    if (reason != PLAN_OK) return reason;
  }
  return args[op->nargs] ? PLAN_BAD_OP : PLAN_OK;
}

/* Where an operation may stand, as far as executing it elsewhere would break the executor itself. */
static int in_its_place(const struct op *op) {
  switch (op->code) {
    case OP_stdio: case OP_log: case OP_exit_file: case OP_listen: case OP_oom_watch: case OP_shim: case OP_pid_file:
    case OP_clone:
      return op->section == SECTION_PREPARE;
    case OP_reclone: case OP_reclone_into: case OP_init: case OP_await: case OP_exec: case OP_pty: case OP_tty: case OP_master: case OP_inherit:
    case OP_pivot: case OP_move_root: case OP_chroot: case OP_wait_parent:
      return op->section == SECTION_CHILD;
    default:
      return 1;
  }
}

int plan_decode(struct plan *plan, const void *bytes, size_t size, struct plan_error *error) {
  const struct header *header = bytes;
  enum plan_reason reason = PLAN_HEADER;
  uint32_t index = UINT32_MAX, offset = sizeof *header, clones = 0;
  const struct op *last[SECTIONS] = {0};

  *plan = (struct plan){0};
  if (size < sizeof *header || size > PLAN_MAX_BYTES || header->magic != PLAN_MAGIC || header->version != PLAN_VERSION ||
      (header->flags & ~PLAN_TRACE) || header->total != size)
    goto bad;
  *plan = (struct plan){bytes, header->total, header->count, header->flags, 0, NULL, {0}, 0};

  for (index = 0; index < plan->count; index++) {
    const struct op *op = (const struct op *)(plan->bytes + offset);
    reason = PLAN_TRUNCATED;
    if (plan->size - offset < sizeof *op || op->bytes % 8 || op->bytes > plan->size - offset ||
        op->bytes < sizeof *op + op->nargs * 8u)
      goto bad;
    if ((reason = check_op(op)) != PLAN_OK) goto bad;
    reason = PLAN_BAD_ORDER;
    if (!in_its_place(op)) goto bad;
    /* The clone ends its section; an exec ends the child's. */
    const struct op *before = last[op->section];
    if (before && (before->code == OP_clone || before->code == OP_exec)) goto bad;
    last[op->section] = op;
    if (op->code == OP_clone) {
      clones++;
      plan->clone = index;
      plan->clone_op = op;
    }
    if (op->code == OP_wait_parent && plan->waits++) goto bad;
    plan->in[op->section]++;
    offset += op->bytes;
  }
  reason = PLAN_BAD_ORDER;
  if (clones != 1) goto bad;
  reason = PLAN_TRUNCATED;
  if (offset != plan->size) goto bad;
  return 0;
bad:
  *error = (struct plan_error){index, reason};
  *plan = (struct plan){0};
  return -1;
}
