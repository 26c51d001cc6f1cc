#!/bin/sh
# Makes a server whose group has no room but on one disk; another disk of that size has a filesystem on it. The origin
# has a file of $1 MiB.
set -e
# Disks of the throw-away machine are sparse files, where the first write to a block takes twice as long: a new backing
# file would have new blocks each time, and the plain PV those of the last time.
for disk in /dev/ubdb /dev/ubdc; do
    dd if=/dev/zero of=$disk bs=1M count=4096 conv=fsync status=none
done
vgcreate -qq -y lvm_server_vg /dev/ubda
lvcreate -qq -y -l 100%FREE -n system lvm_server_vg
vgextend -qq -y lvm_server_vg /dev/ubdc
mkfs.ext4 -q -E lazy_itable_init=1 /dev/lvm_server_vg/system
mkfs.ext4 -q -E lazy_itable_init=1,nodiscard /dev/ubdb 4G
mkdir -p /srv/system /media/other_partition /etc/lvmsnap
mount -o noinit_itable /dev/lvm_server_vg/system /srv/system
mount -o noinit_itable /dev/ubdb /media/other_partition
dd if=/dev/zero of=/srv/system/old bs=1M count="$1" conv=fsync status=none
cat > /etc/lvmsnap/plain.yaml << EOF
volumes: [{origin: lvm_server_vg/system, size: 2GiB}]
EOF
cat > /etc/lvmsnap/file.yaml << EOF
volumes: [{origin: lvm_server_vg/system, size: 2GiB}]
backing_file: {path: /media/other_partition/tmp_space.tmp}
EOF
