#!/bin/busybox sh
# The initramfs's init: finds the disk and goes on there.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
for module in virtio_pci virtio_blk virtio_console; do $b modprobe $module; done
tries=0
until [ -b /dev/vda ] || [ $tries -ge 100 ]; do tries=$((tries + 1)); $b usleep 100000; done
$b mount -t ext4 -o rw /dev/vda /root || { echo "guest: no disk"; $b poweroff -f; }
$b umount /proc /sys
$b mount --move /dev /root/dev
exec $b switch_root /root /sbin/init
