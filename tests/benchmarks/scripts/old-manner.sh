#!/bin/sh
# The same as such scripts used to do it: the file is written, and each check is a question of its own.
set -e
file=/media/other_partition/tmp_space.tmp
vgs lvm_server_vg > /dev/null
lvs lvm_server_vg/system > /dev/null
[ -z "$(lvs --noheadings -o lv_name lvm_server_vg | grep -w snap1)" ]
[ "$(lvs --noheadings -o lv_active lvm_server_vg/system | tr -d ' ')" = active ]
[ ! -e "$file" ]
[ "$(df --output=avail -BM /media/other_partition | tail -n 1 | tr -d ' M')" -gt 4096 ]
! mountpoint -q /media/system_snapshot
dd if=/dev/zero of="$file" bs=1M count=4096 status=none
loop=$(losetup --find --show "$file")
pvcreate -qq -y "$loop"
pvs "$loop" > /dev/null
vgextend -qq -y lvm_server_vg "$loop"
vgs --noheadings -o vg_free lvm_server_vg > /dev/null
lvcreate -qq -y -s -l 100%PVS -n snap1 lvm_server_vg/system "$loop"
lvs lvm_server_vg/snap1 > /dev/null
mount -o ro /dev/lvm_server_vg/snap1 /media/system_snapshot
mountpoint -q /media/system_snapshot
umount /media/system_snapshot
lvs lvm_server_vg/snap1 > /dev/null
lvremove -qq -y lvm_server_vg/snap1
pvs "$loop" > /dev/null
vgreduce -qq -y lvm_server_vg "$loop"
pvremove -qq -y "$loop"
losetup -d "$loop"
rm "$file"
