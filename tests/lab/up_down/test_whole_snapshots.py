"""A mounted snapshot shows what a crashed and recovered server would show, and its overflow never stops the server."""

from __future__ import annotations

import pytest

from tests.lab import looking
from tests.lab.helpers import make_vg
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab

# Mounts vg0/data as a virtual machine does: by another device over the same blocks, which LVM cannot freeze.
MOUNT_AS_GUEST = """set -e
table=$(dmsetup table vg0-data)
dmsetup create guest --table "$table"
mkdir -p /mnt/guest
mount /dev/mapper/guest /mnt/guest"""

# `old` is on the disk as a whole; what comes after is in the journal alone, and `new` takes the blocks of `old`.
WRITE_AND_FSYNC = """
import os, pathlib
def write(name, data):
    with open(f"/mnt/guest/{name}", "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
os.unlink("/mnt/guest/old")
for number in range(30):
    write(f"fsynced{number}", os.urandom(50_000))
write("new", b"n" * 25_000_000)
os.mkdir("/mnt/guest/folder")
write("folder/last", b"last")
pathlib.Path("/mnt/guest/unsynced").write_bytes(b"u" * 100_000)
"""
SUMS = "cd {} && find . -type f -print0 | sort -z | xargs -0 md5sum; find . | sort"


def test_an_origin_that_another_machine_has_mounted_is_shown_as_after_a_crash_and_its_recovery(lab: Machine) -> None:
    make_vg(lab, volumes={"data": "48M"})
    lab.run("mkfs.ext4 -q -J size=8 /dev/vg0/data; mkfs.ext4 -q /dev/ubdb; mkdir /mnt/copy /media/b")
    lab.run(
        f"{MOUNT_AS_GUEST}; mount /dev/ubdb /media/b; head -c 25000000 /dev/zero | tr '\\0' o > /mnt/guest/old; sync"
    )
    # What is not synced stays in memory, so that the disk is the same for as long as it is looked at.
    lab.run("echo 0 > /proc/sys/vm/dirty_writeback_centisecs; umount /mnt/guest")
    lab.run("mount -o commit=3600 /dev/mapper/guest /mnt/guest")
    lab.run(["python3", "-c", WRITE_AND_FSYNC])
    fsynced = lab.run(SUMS.format("/mnt/guest")).stdout.splitlines()
    write_profile(lab, "small", profile_text("vg0/data", size="4MiB"))
    write_profile(lab, "p", profile_text("vg0/data", size="40MiB"))

    lab.run("dd if=/dev/vg0/data of=/media/b/crashed bs=1M iflag=direct status=none")
    shown = lvmsnap(lab, "plan small").stdout
    top = lvmsnap(lab, "up p").stdout.strip()
    seen = lab.run(SUMS.format(top)).stdout.splitlines()
    lab.run("mount /media/b/crashed /mnt/copy")
    recovered = lab.run(SUMS.format("/mnt/copy")).stdout.splitlines()
    lab.run("umount /mnt/copy; e2fsck -fn /dev/vg0/data-lvmsnap-p; echo 500 > /proc/sys/vm/dirty_writeback_centisecs")
    options = looking.mount_options(lab, top)
    lvmsnap(lab, "down p")

    assert seen == recovered
    assert [line for line in fsynced if "unsynced" not in line and line not in seen] == []
    assert "./old" not in seen
    assert {"ro", "nosuid", "nodev"} <= set(options)
    assert "norecovery" not in options
    assert "no room for vg0/data's journal: 4 MiB, less than its journal of 8 MiB" in shown
    lab.run("umount /mnt/guest; e2fsck -fp /dev/vg0/data")


def test_an_origin_mounted_in_another_mount_namespace_costs_no_space_and_no_warning(lab: Machine) -> None:
    make_vg(lab, volumes={"data": "48M"})
    lab.run("mkfs.ext4 -q -J size=8 -E lazy_itable_init=0 /dev/vg0/data")
    write_profile(lab, "p", profile_text("vg0/data", size="4MiB"))
    private = lab.start("unshare -m sh -c 'mount /dev/vg0/data /mnt; echo x > /mnt/file; touch /run/ready; sleep 100'")
    lab.run("while ! [ -e /run/ready ]; do sleep 0.1; done; rm /run/ready; ! grep -q vg0-data /proc/mounts")

    up = lvmsnap(lab, "up p")

    assert "warning" not in up.stderr
    assert lab.run(f"cat {up.stdout.strip()}/file").stdout == "x\n"
    # Besides its header, the snapshot holds nothing: no journal was replayed into it.
    assert int(lab.run("dmsetup status vg0-data--lvmsnap--p").stdout.split()[3].partition("/")[0]) < 100
    lvmsnap(lab, "down p")
    private.kill(9)


OVERFLOW = """head -c 20000000 /dev/urandom > /mnt/more; for d in /mnt/d*; do touch $d/new; done; sync
echo 3 > /proc/sys/vm/drop_caches
dmsetup status vg0-data--lvmsnap--p | grep -q Invalid || exit 77
cat "$LVMSNAP_MOUNTPOINT"/d1/old || ls -lR "$LVMSNAP_MOUNTPOINT" """


@pytest.mark.parametrize("kind", ["ext2", "ext4", "xfs"])
def test_an_overflow_gives_io_errors_and_never_a_panic(lab: Machine, kind: str) -> None:
    make_vg(lab, volumes={"data": "300M" if kind == "xfs" else "64M"})
    # The kernel's own thread would fill the snapshot with inode tables that mkfs left to it.
    whole = "" if kind == "xfs" else "-E lazy_itable_init=0"
    tune = "" if kind == "xfs" else "tune2fs -e panic /dev/vg0/data >&2; "
    lab.run(f"set -e; mkfs.{kind} -q {whole} /dev/vg0/data; {tune}mount /dev/vg0/data /mnt")
    lab.run("for n in 1 2 3 4; do mkdir /mnt/d$n; echo old > /mnt/d$n/old; done; sync")
    write_profile(lab, "p", profile_text("vg0/data", size="4MiB") + "overflow: {extend_at: 100%, warn_at: 99%}\n")
    boot_id = lab.read_file("/proc/sys/kernel/random/boot_id")
    lab.run(f"cat > /run/overflow <<'END'\n{OVERFLOW}\nEND")

    ended = lvmsnap(lab, "run p -- sh /run/overflow", code=124)

    assert "Input/output error" in ended.stderr
    assert lab.read_file("/proc/sys/kernel/random/boot_id") == boot_id
    assert lab.run("ls /dev/vg0").stdout == "data\n"
    lab.run("umount /mnt")
    lab.run("xfs_repair -n /dev/vg0/data" if kind == "xfs" else "e2fsck -fn /dev/vg0/data")


def test_a_journal_on_another_device_is_never_replayed_from_the_snapshot(lab: Machine) -> None:
    make_vg(lab, volumes={"ext": "48M", "xfs": "300M", "old": "16M"})
    lab.run(
        """set -e
        mke2fs -q -O journal_dev -b 4096 /dev/ubdb 4096
        mkfs.ext4 -q -b 4096 -J device=/dev/ubdb /dev/vg0/ext
        mkfs.xfs -q -l logdev=/dev/ubdc,size=64m /dev/vg0/xfs
        mkfs.ext2 -q /dev/vg0/old
        mkdir /mnt/ext /mnt/xfs /mnt/old
        mount /dev/vg0/ext /mnt/ext; mount -o logdev=/dev/ubdc /dev/vg0/xfs /mnt/xfs
        echo x > /mnt/ext/file"""
    )
    for name in ("ext", "xfs", "old"):
        write_profile(lab, name, profile_text(f"vg0/{name}", size="8MiB"))

    # Frozen by LVM it has nothing to replay, and needs no journal.
    top = lvmsnap(lab, "up ext").stdout.strip()
    assert lab.run(f"cat {top}/file").stdout == "x\n"
    lvmsnap(lab, "down ext")
    lab.run("umount /mnt/ext; sync")
    before = lab.run("md5sum /dev/ubdb").stdout
    for name in ("ext", "xfs"):
        refused = lvmsnap(lab, f"up {name}", code=3).stderr
        assert (
            f"vg0/{name}'s filesystem does not lie entirely on vg0/{name}: its journal, or other data, is on another"
            in refused
        )
        assert "`mountpoint: null`" in refused
    assert lab.run("md5sum /dev/ubdb").stdout == before
    lab.run("umount /mnt/xfs; mount -o logdev=/dev/ubdc /dev/vg0/xfs /mnt/xfs")
    lab.run("mount /dev/vg0/ext /mnt/ext; cat /mnt/ext/file")

    # Without a journal nothing makes whole what another machine has half-written.
    lab.run('dmsetup create guest --table "$(dmsetup table vg0-old)"; mount /dev/mapper/guest /mnt/old; sync')
    assert "vg0/old's filesystem is not consistent: it has no journal" in lvmsnap(lab, "up old", code=3).stderr
    lab.run("umount /mnt/old; dmsetup remove guest")
    lvmsnap(lab, "up old")
    lvmsnap(lab, "down old")
