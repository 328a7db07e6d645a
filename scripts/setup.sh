#!/bin/sh
# setup.sh build: install the pinned npm packages, build the helper and dist/naru. Progress goes to stderr.
# setup.sh deps:  only the packages.
set -u
cd "$(dirname "$0")/.." || exit 1
say() { printf 'naru set-up: %s\n' "$*" >&2; }
missing=0
lack() { say "$*"; missing=1; }

[ "$(uname -s)" = Linux ] || lack "this is $(uname -s), but containers need a Linux kernel"
case "$(uname -m)" in x86_64|aarch64) ;; *) lack "the processor $(uname -m) is not supported (x86_64, aarch64)" ;; esac
if command -v node >/dev/null 2>&1; then
  node=$(node --version 2>/dev/null)
  version=${node#v}; version=${version%%.*}
  case "$version" in ''|*[!0-9]*) lack "node --version says '$node': install Node.js 20 or newer" ;; *) [ "$version" -ge 20 ] || lack "node $node is too old: install Node.js 20 or newer" ;; esac
else
  lack "node is missing: install Node.js 20 or newer"
fi
command -v npm >/dev/null 2>&1 || lack "npm is missing: it comes with Node.js"
CC=${CC:-cc}
command -v "$CC" >/dev/null 2>&1 || lack "no C compiler ($CC): apt-get install gcc, or set CC"
kernel=$(uname -r)
major=${kernel%%.*}; rest=${kernel#*.}; minor=${rest%%.*}
[ "$major" -gt 5 ] || { [ "$major" -eq 5 ] && [ "$minor" -ge 10 ]; } || lack "kernel $kernel is too old: 5.10 is the oldest that works"
[ $missing -eq 0 ] || exit 1

case "$(uname -m)" in x86_64) bun=node_modules/@oven/bun-linux-x64/bin/bun ;; *) bun=node_modules/@oven/bun-linux-aarch64/bin/bun ;; esac
if [ ! -x "$bun" ] || [ package-lock.json -nt node_modules/.naru-installed ]; then
  say "installing npm packages (pinned in package-lock.json) ..."
  log=$(mktemp)
  if ! npm ci --no-audit --no-fund >"$log" 2>&1; then cat "$log" >&2; rm -f "$log"; say "npm ci failed: see above"; exit 1; fi
  rm -f "$log"
  [ -x "$bun" ] || { say "npm did not bring $bun: optional dependencies must not be omitted"; exit 1; }
  touch node_modules/.naru-installed
fi
[ "${1:-build}" = build ] || exit 0

mkdir -p dist/obj
say "building the native helper with $CC ..."
"$bun" scripts/gen-ops.ts dist/obj/ops.h || exit 1
sh native/build.sh dist/obj "$CC" || { say "the helper did not compile"; exit 1; }
"$CC" -Os -static -nostdlib -ffreestanding -fno-builtin -fno-stack-protector -fno-asynchronous-unwind-tables -fno-pie -no-pie -s \
  -o dist/obj/hello native/hello/hello.c || { say "the hello program did not compile"; exit 1; }
say "building dist/naru ..."
"$bun" scripts/build.ts || { say "the executable could not be built"; exit 1; }
say "ready: dist/naru"
