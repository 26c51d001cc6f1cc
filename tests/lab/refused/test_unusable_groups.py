"""Kernels, groups and filesystems of which no snapshot can be taken: each test has the whole machine for itself."""

from __future__ import annotations

import shlex

import pytest

from tests.lab import kernel
from tests.lab.helpers import fingerprint, make_vg
from tests.lab.machine import Machine
from tests.lab.refusals import Refuser, Situation
from tests.lab.support import lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab


def test_a_kernel_without_snapshots_is_refused(lab: Machine) -> None:
    make_vg(lab, volumes={"system": "32M"})
    modules = lab.run("echo /lib/modules/$(uname -r)").stdout.strip()
    no_modules = Situation(
        "no modules",
        ("the kernel has no dm-snapshot", "modprobe dm-snapshot, or boot a kernel that has it"),
        before=f"! [ -e /sys/module/dm_snapshot ] || rmmod dm-snapshot; mv {modules} {modules}.off",
        after=f"mv {modules}.off {modules}",
    )
    Refuser(lab).refuse(no_modules)


def test_a_group_that_is_exported_foreign_or_not_whole_is_refused(lab: Machine) -> None:
    # ubdb is split in two by device-mapper, so that one half can be taken away.
    lab.run(
        """set -e
        echo '0 262144 linear /dev/ubdb 2048' | dmsetup create half1
        echo '0 262144 linear /dev/ubdb 264192' | dmsetup create half2
        lvm <<END
vgcreate -q -y torn /dev/mapper/half1 /dev/mapper/half2
lvcreate -q -y -L 16M -n data torn /dev/mapper/half1
vgcreate -q -y other /dev/ubdc
lvcreate -q -y -L 16M -n data other
END
        udevadm settle"""
    )
    exported = Situation(
        "exported",
        ("other is exported", "vgimport other"),
        before="vgchange -q -an other; vgexport -q other",
        after="vgimport -q other",
        origin="other/data",
        refusals=2,  # such a group has no active volumes
    )
    of_other_host = Situation(
        "foreign",
        ("there is no volume group other: known are: torn", "`vgs --foreign`"),
        before="vgchange -q -y --systemid elsewhere other",
        origin="other/data",
    )
    torn = Situation(
        "torn",
        ("torn is incomplete: 1 PV missing", "bring the disk back"),
        before="dmsetup remove half2",
        origin="torn/data",
    )

    for situation in (exported, of_other_host, torn):
        Refuser(lab).refuse(situation)


def test_a_frozen_filesystem_fails_the_snapshot_where_the_kernel_freezes_only_once_and_then_all_is_as_before(
    lab: Machine,
) -> None:
    make_vg(
        lab,
        volumes={"system": "64M"},
        filesystems={"system": "ext4", "/dev/ubdb": "ext4"},
        mounts={"system": "/media/system", "/dev/ubdb": "/media/store"},
    )
    lab.run("touch /media/system/file; mkdir -p -m 700 /var/lib/lvmsnap /run/lvmsnap")
    backing = {"path": "/media/store/lent"}
    write_profile(lab, "frozen", profile_text(size="8MiB", mountpoint="/mnt/snap", backing_file=backing))
    folders = ("/media", "/mnt", "/var/lib/lvmsnap")
    before = fingerprint(lab, folders)

    lab.run("fsfreeze -f /media/system")
    try:
        result = lvmsnap(lab, "up frozen", code=0 if does_freeze_nest() else 1)
    finally:
        lab.run("fsfreeze -u /media/system")

    if does_freeze_nest():
        lab.run("test -e /mnt/snap/file")
        lvmsnap(lab, "down frozen")
    else:
        assert "fsfreeze --unfreeze" in result.stderr
    assert fingerprint(lab, folders) == before
    lab.run(f"echo {shlex.quote('still writable')} > /media/system/file && sync -f /media/system/file")


def does_freeze_nest() -> bool:
    """Tell whether the guest's kernel lets LVM freeze what is frozen already (include/linux/fs.h, FREEZE_MAY_NEST)."""
    return tuple(map(int, kernel.modules().name.split(".")[:2])) >= (6, 8)
