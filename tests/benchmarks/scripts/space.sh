#!/bin/sh
# The bare commands: a snapshot in the group's free space, mounted, and taken down again. Arguments are options of
# lvcreate.
set -e
lvcreate -qq -y -s -L 256M -n snap1 "$@" lvm_server_vg/system
mount -o ro /dev/lvm_server_vg/snap1 /media/system_snapshot
umount /media/system_snapshot
lvremove -qq -y lvm_server_vg/snap1
