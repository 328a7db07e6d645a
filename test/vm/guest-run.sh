#!/bin/sh
# The guest's only service: sets the machine up with cgroup v2 alone, runs the test files that the kernel's command line
# names after `naru.tests=`, and powers off. What the host shall read goes to the port `results`.
exec </dev/null >/dev/console 2>&1
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t tmpfs -o mode=755 tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t securityfs securityfs /sys/kernel/security
for module in overlay veth bridge dummy tun loop nf_tables bfq; do modprobe $module; done
ip link set lo up
hostname guest
ulimit -n 65536
for port in /sys/class/virtio-ports/*; do
  [ "$(cat $port/name)" = results ] && exec >/dev/${port##*/} 2>&1
done
tests=$(sed -n 's/.*naru\.tests=\([^ ]*\).*/\1/p' /proc/cmdline | tr , ' ')
export NARU_TEST_CACHE=/fixtures NARU_TEST_HELPER=/helper/naru-helper NARU_TEST_PROBE=/helper/probe NARU_TEST=1 NARU_TEST_SLOW=1
cd /naru || exit
echo "guest: $(uname -r), up $(cut -d' ' -f1 /proc/uptime) s"
# shellcheck disable=SC2086
node_modules/@oven/bun-linux-*/bin/bun test --timeout 180000 $tests
echo "guest: exit $?, up $(cut -d' ' -f1 /proc/uptime) s"
sync
poweroff -f
