/* Any bytes at all go through the decoder; a plan that it accepts is then read as the executor would read it. The first
 * byte says whether the header is repaired, so that the fuzzer gets past the magic number. */
#include <stdlib.h>
#include <string.h>

#include "plan.h"

static volatile unsigned sink;

static void read_arg(const struct op *op, int i, char kind) {
  size_t n;
  const uint8_t *bytes = arg_bytes(op, i, &n);
  switch (kind) {
    case 'i':
      sink += (unsigned)arg_int(op, i);
      return;
    case 'd':
      if (arg_int(op, i) != UINT64_MAX && arg_int(op, i) >= SLOTS) abort();
      return;
    case 's':
      if (strlen(arg_str(op, i)) != n) abort();
      return;
    case 'l':
      for (size_t at = 0; at < n;) at += strlen((const char *)bytes + at) + 1;
      return;
    default:
      for (size_t k = 0; k < n; k++) sink += bytes[k];
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  /* malloc gives the alignment that a page would, and ASan watches its end. */
  uint8_t *bytes = malloc(size);
  size_t n = size - 1;
  memcpy(bytes, data + 1, n);
  if ((data[0] & 1) && n >= 16) {
    uint32_t magic = PLAN_MAGIC, total = (uint32_t)n, version = PLAN_VERSION;
    memcpy(bytes, &magic, 4);
    memcpy(bytes + 4, &version, 4);
    memcpy(bytes + 8, &total, 4);
  }
  struct plan plan;
  struct plan_error error;
  if (plan_decode(&plan, bytes, n, &error) == 0) {
    const struct op *op = plan_first(&plan);
    for (uint32_t i = 0; i < plan.count; i++, op = plan_next(op))
      for (int a = 0; a < op->nargs; a++) read_arg(op, a, op_kinds(op->code)[a]);
  }
  free(bytes);
  return 0;
}
