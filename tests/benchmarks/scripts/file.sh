#!/bin/sh
# The bare commands where a file lends the space, and none that could be left out (vgextend makes the PV).
set -e
file=/media/other_partition/tmp_space.tmp
fallocate -l 4G "$file"
loop=$(losetup --find --show --direct-io=on "$file")
vgextend -qq -y lvm_server_vg "$loop"
lvcreate -qq -y -s -l 100%PVS -n snap1 lvm_server_vg/system "$loop"
mount -o ro /dev/lvm_server_vg/snap1 /media/system_snapshot
umount /media/system_snapshot
lvremove -qq -y lvm_server_vg/snap1
vgreduce -qq -y lvm_server_vg "$loop"
losetup -d "$loop"
rm "$file"
