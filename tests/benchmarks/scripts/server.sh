#!/bin/sh
# Makes the server of the measurements that share one: a volume of 8 GiB with files in it, room in its group, and a
# disk of its own for the file that lends space; and what the programs beside lvmsnap want to be there.
set -e
vgcreate -qq -y lvm_server_vg /dev/ubda
lvcreate -qq -y -L 8G -n system lvm_server_vg
mkfs.ext4 -q -E lazy_itable_init=1 /dev/lvm_server_vg/system
mkfs.ext4 -q -E lazy_itable_init=1 /dev/ubdb
mkdir -p /srv/system /media/other_partition /media/system_snapshot /etc/lvmsnap /boot/loader/entries /backup
install -d -m 700 /run/snapm
mkdir -p /etc/snapm/schedule.d /etc/snapm/plugins.d
# snapm has the journal flushed first; here there is none, and this takes no time.
ln -sf /bin/true /usr/local/bin/journalctl
mount -o noinit_itable /dev/lvm_server_vg/system /srv/system
mount -o noinit_itable /dev/ubdb /media/other_partition
cp -r /usr/share/doc/lvm2 /srv/system
cat > /etc/lvmsnap/space.yaml << EOF
volumes: [{origin: lvm_server_vg/system, snapshot: snap1, size: 256MiB, mountpoint: /media/system_snapshot}]
EOF
cat > /etc/lvmsnap/file.yaml << EOF
volumes: [{origin: lvm_server_vg/system, snapshot: snap1, size: 100%PVS, mountpoint: /media/system_snapshot}]
backing_file: {path: /media/other_partition/tmp_space.tmp, size: 4GiB}
EOF
