/* The plan as a value: see README.md for its bytes. */
#ifndef NARU_PLAN_H
#define NARU_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "ops.h"

struct op;

struct plan {
  const uint8_t *bytes;
  uint32_t size, count;
  uint16_t flags;
  uint32_t clone; /* the index of the clone */
  const struct op *clone_op;
  uint32_t in[SECTIONS]; /* operations in each section */
  uint32_t waits; /* 1: the child waits for the parent's section where its wait_parent is */
};

struct op {
  uint16_t code;
  uint8_t section, nargs;
  uint32_t bytes;
  uint16_t tolerate[2], skip, reserved;
  uint64_t args[];
};

struct plan_error {
  uint32_t index; /* of the operation; UINT32_MAX: the header */
  uint32_t reason;
};

enum plan_reason {
  PLAN_OK, PLAN_HEADER, PLAN_TRUNCATED, PLAN_UNKNOWN_OP, PLAN_BAD_OP, PLAN_BAD_SLOT, PLAN_BAD_STRING, PLAN_BAD_RANGE,
  PLAN_BAD_ORDER,
};

/* Checks everything; 0 or -1 with *error. `bytes` must be aligned to 8 and outlive the plan. */
int plan_decode(struct plan *plan, const void *bytes, size_t size, struct plan_error *error);

static inline const struct op *plan_first(const struct plan *plan) { return (const struct op *)(plan->bytes + 16); }
static inline const struct op *plan_next(const struct op *op) {
  return (const struct op *)((const uint8_t *)op + op->bytes);
}

/* Arguments by position; a checked plan makes them safe. */
static inline uint64_t arg_int(const struct op *op, int i) { return op->args[i]; }
static inline const char *arg_str(const struct op *op, int i) { return (const char *)op + (uint32_t)op->args[i]; }
static inline const void *arg_bytes(const struct op *op, int i, size_t *n) {
  *n = op->args[i] >> 32;
  return (const uint8_t *)op + (uint32_t)op->args[i];
}
/* The argument kinds of a code ('i' int, 'd' slot, 's' str, 'l' list, 'b' bytes, 'u' ints), or NULL. */
const char *op_kinds(uint32_t code);

#endif
