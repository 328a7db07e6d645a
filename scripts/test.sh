#!/bin/sh
# npm test: installs what the tests need (Debian packages, fixture images), builds, and runs everything.
set -u
cd "$(dirname "$0")/.." || exit 1
need=""
for package in busybox-static debootstrap skopeo umoci docker-registry iproute2 iputils-ping bind9-dnsutils nftables strace python3-docker python3-nacl docker-compose openssl bsdutils curl clang libclang-rt-14-dev e2fsprogs podman buildah chromium catatonit containerd criu systemd dbus uidmap zsh fish $(case "$(uname -m)" in x86_64) echo qemu-system-x86 ;; *) echo qemu-system-arm ;; esac); do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || need="$need $package"
done
command -v docker >/dev/null 2>&1 && command -v dockerd >/dev/null 2>&1 || need="$need docker.io"
if [ -n "$need" ]; then
  echo "installing test packages:$need" >&2
  log=$(mktemp)
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $need; } >"$log" 2>&1 ||
    { cat "$log" >&2; echo "apt-get could not install:$need" >&2; echo "0 passed, 1 failed"; exit 1; }
  rm -f "$log"
fi
if [ ! -d test/clients/node_modules ] || [ test/clients/package-lock.json -nt test/clients/node_modules ]; then
  echo "installing the clients that the tests drive (pinned in test/clients/package-lock.json)" >&2
  (cd test/clients && npm ci --ignore-scripts --no-audit --no-fund >/dev/null) && touch test/clients/node_modules || { echo "0 passed, 1 failed"; exit 1; }
fi
sh scripts/setup.sh build || { echo "0 passed, 1 failed"; exit 1; }
case "$(uname -m)" in x86_64) bun=node_modules/@oven/bun-linux-x64/bin/bun ;; *) bun=node_modules/@oven/bun-linux-aarch64/bin/bun ;; esac
exec "$bun" scripts/test.ts "$@"
