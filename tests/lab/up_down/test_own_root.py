"""The root filesystem of the server itself: with LVM, Python and lvmsnap on it; and in LUKS, with /boot beside it."""

from __future__ import annotations

import pytest

from tests.lab import own_root
from tests.lab.luks import FAST, KEY_FILE, write_key
from tests.lab.machine import Machine

pytestmark = pytest.mark.lab

MAKE_LUKS = f"""set -e
vgcreate -q -y vg0 /dev/ubda; lvcreate -q -y -L 400M -n root vg0
cryptsetup luksFormat -q --type luks2 {FAST["luks2"]} --key-file {KEY_FILE} /dev/vg0/root
cryptsetup open --key-file {KEY_FILE} /dev/vg0/root system
mkfs.ext4 -q -E lazy_itable_init=0 /dev/mapper/system; mkfs.ext2 -q /dev/ubdb; mkfs.ext4 -q /dev/ubdc
mkdir /mnt/root; mount /dev/mapper/system /mnt/root"""
PROFILE = f"""volumes:
  - {{origin: vg0/root, size: 100MiB, luks: {{key_file: {KEY_FILE}}}}}
include: [/boot]
"""
# What is of other filesystems, or changed by lvmsnap and LVM themselves.
FOLDERS = ("dev", "proc", "run", "sys", "tmp", "srv/backup", "etc/lvm", "var/lib/lvmsnap")
OTHERS = " -o ".join(f"-path ./{name}" for name in FOLDERS)
FIND = f"find . ./boot -xdev \\( {OTHERS} \\) -prune -o"
LIST = f"cd %s && {{ {FIND} -printf '%%p %%y %%m %%U:%%G %%l\\n'; {FIND} -type f -exec md5sum {{}} +; }} | sort -u"
BACKUP = 'tar -C "$LVMSNAP_MOUNTPOINT" --numeric-owner -cf /srv/backup/system.tar .'
CHANGE = "echo later > /root/data; rm -r /usr/lib/udev; echo > /usr/bin/later; sync"


def test_a_root_in_luks_with_its_boot_partition_is_restored_as_it_was_synced_before(lab: Machine) -> None:
    write_key(lab)
    lab.run(MAKE_LUKS, timeout=120)
    own_root.fill(lab, "/mnt/root")
    lab.run(f"""set -e
        cd /mnt/root; mkdir -p boot srv/backup var/lib/lvmsnap; chmod 700 var/lib/lvmsnap
        mount /dev/ubdb boot; mount /dev/ubdc srv/backup; cp -a {KEY_FILE} root; cp -a /usr/lib/udev usr/lib
        head -c 3000000 /dev/urandom > boot/kernel; head -c 5000000 /dev/urandom > root/data
        printf %s '{PROFILE}' > etc/lvmsnap/system.yaml""")
    server = own_root.enter(lab, "/mnt/root")
    server.run("sync")
    synced = server.run(LIST % "/", timeout=120).stdout

    ended = server.lvmsnap(f"run system -- sh -c '{CHANGE}; {BACKUP}'")
    server.run("mkdir /srv/backup/restored; tar -C /srv/backup/restored --numeric-owner -xpf /srv/backup/system.tar")

    assert ended.stderr == ""
    assert server.run(LIST % "/srv/backup/restored", timeout=120).stdout == synced
    assert server.run("cat /root/data").stdout == "later\n"
    assert "lvmsnap-system" not in lab.run("lvs -a; dmsetup ls; findmnt; cat /proc/$(cat /run/keeper)/mountinfo").stdout
