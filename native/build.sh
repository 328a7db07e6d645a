#!/bin/sh
# build.sh OUTDIR [CC]: compiles OUTDIR/naru-helper; OUTDIR/ops.h (scripts/gen-ops.ts) must be there. HELPER_CFLAGS is added:
# '-fsanitize=undefined -fsanitize-undefined-trap-on-error' (gcc) makes a helper that traps where behaviour is undefined.
# build.sh OUTDIR CLANG fuzz: OUTDIR/fuzz-plan instead, the plan decoder under libFuzzer, ASan and UBSan.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
cc=${2:-cc}
[ -f "$out/ops.h" ] || { echo "build.sh: $out/ops.h is missing: run scripts/gen-ops.ts" >&2; exit 1; }

if [ "${3:-}" = fuzz ]; then
  exec "$cc" -std=c11 -g -O1 -Wall -Wextra -I "$out" -I "$here" -fsanitize=fuzzer,address,undefined \
    -fno-sanitize-recover=undefined "$here/fuzz/fuzz-plan.c" "$here/plan.c" -o "$out/fuzz-plan"
fi

try() { printf 'int x;' | "$cc" "$@" -Werror -x c -c -o /dev/null - 2>/dev/null; }
guard=-fno-stack-protector
# Without thread-local storage the guard must be a global; main.c seeds it.
if try -fstack-protector-strong -mstack-protector-guard=global; then
  guard='-fstack-protector-strong -mstack-protector-guard=global'
fi
fcf=
if try -fcf-protection=none; then fcf=-fcf-protection=none; fi

# shellcheck disable=SC2086
"$cc" -std=c11 -Os -Wall -Wextra -I "$out" -I "$here" \
  -ffreestanding -fno-builtin -nostdlib -static -fno-pie -no-pie -mgeneral-regs-only $guard $fcf \
  -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-ident -ffunction-sections -fdata-sections \
  -fno-strict-aliasing -fwrapv ${HELPER_CFLAGS:-} \
  -Wl,--gc-sections,--build-id=none,-z,noexecstack,-z,norelro,-s \
  "$here"/*.c -o "$out/naru-helper.new"
mv "$out/naru-helper.new" "$out/naru-helper"
