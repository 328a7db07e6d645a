#!/bin/sh
# npm run bench [-- metric ...]: builds, then prints naru's figures beside the floor, and beside Docker where dockerd is installed.
cd "$(dirname "$0")/.." || exit 1
sh scripts/setup.sh build || exit 1
case "$(uname -m)" in x86_64) bun=node_modules/@oven/bun-linux-x64/bin/bun ;; *) bun=node_modules/@oven/bun-linux-aarch64/bin/bun ;; esac
mkdir -p dist/obj
cc -O2 -static -Wno-format-truncation -o dist/obj/floor bench/floor.c || exit 1
cc -O2 -static -o dist/obj/exec-client bench/exec-client.c || exit 1
cc -O2 -static -o dist/obj/tiny-http bench/tiny-http.c || exit 1
cc -O2 -static -o dist/obj/net-path bench/net-path.c || exit 1
cc -O2 -static -o dist/obj/dns-client bench/dns-client.c || exit 1
cc -O2 -static -o dist/obj/dns-floor bench/dns-floor.c || exit 1
cc -O2 -static -o dist/obj/hide-cgroup2 bench/hide-cgroup2.c || exit 1
exec "$bun" bench/run.ts "$@"
