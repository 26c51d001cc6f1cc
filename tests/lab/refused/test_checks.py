"""Every check that is not about the backing file, made to fail on a real machine: refused, explained, nothing changed.

The situations share one volume group and put back themselves what they change; a full comparison at the module's end
and a cheap one after each refusal see to it that nothing is left. Those that need the machine for themselves are in
`test_unusable_groups`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.lab.helpers import fingerprint, make_vg, wipe
from tests.lab.machine import Machine
from tests.lab.refusals import Refuser, Situation
from tests.lab.support import lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def machine(shared_machine: Machine) -> Iterator[Machine]:
    """One group with every kind of volume; at the end it must be as it was at the start."""
    if not shared_machine.is_running():
        shared_machine.boot()
    wipe(shared_machine)
    make_vg(
        shared_machine,
        volumes={"system": "64M", "swap": "8M", "blank": "8M", "btrfs": "120M", "crypt": "20M"},
        filesystems={"system": "ext4", "btrfs": "btrfs"},
        mounts={"system": "/media/system"},
    )
    shared_machine.run(
        """set -e
        mkswap /dev/vg0/swap; echo secret | cryptsetup -q luksFormat --type luks1 --iter-time 1 /dev/vg0/crypt
        lvm <<END
lvcreate -q -y -Wn -Zn -an -L 8M -n cold vg0
lvcreate -q -y -s -L 8M -n older vg0/system
lvcreate -q -y -L 8M -n merging vg0
lvcreate -q -y -s -L 8M -n merged vg0/merging
lvchange -q -an vg0/merging
lvconvert -q --merge vg0/merged
lvcreate -q -y -L 16M -T vg0/pool
END
        udevadm settle; mkdir -p /media/link-to /etc/lvmsnap; ln -s link-to /media/link""",
    )
    before = fingerprint(shared_machine, ("/var/lib/lvmsnap", "/media", "/mnt"))
    yield shared_machine
    assert fingerprint(shared_machine, ("/var/lib/lvmsnap", "/media", "/mnt")) == before


@pytest.fixture(scope="module")
def up(machine: Machine) -> Refuser:
    """What runs `up` in the guest."""
    return Refuser(machine)


GROUPS_AND_ORIGINS = (
    Situation(
        "a misspelt group",
        ("there is no volume group vg9: known are: vg0", "correct `origin` in /etc/lvmsnap/check.yaml"),
        origin="vg9/system",
    ),
    Situation("a misspelt origin", ("there is no origin vg0/sytem: vg0 has:", "system"), origin="vg0/sytem"),
    Situation(
        "an inactive origin",
        ("vg0/cold is inactive", "lvchange --activate y vg0/cold"),
        origin="vg0/cold",
    ),
    Situation(
        "an origin that is a snapshot",
        ("vg0/older cannot be snapshotted: it is a snapshot itself",),
        origin="vg0/older",
    ),
    Situation(
        "an origin that is a thin pool", ("vg0/pool cannot be snapshotted: it is a thin pool",), origin="vg0/pool"
    ),
    Situation(
        "an origin that a snapshot is being merged into",
        ("vg0/merging cannot be snapshotted: a snapshot is being merged into it",),
        origin="vg0/merging",
        refusals=2,  # LVM merges at the next activation, so it is inactive too
    ),
    Situation(
        "a suspended origin",
        ("vg0/system is suspended: vg0-system",),
        before="dmsetup suspend vg0-system",
        after="dmsetup resume vg0-system",
    ),
    Situation(
        "more space than there is",
        (
            "not enough space for the snapshot:",
            "MiB needed, ",
            "give a smaller `size`, at most ",
            "MiB, or a `backing_file`",
        ),
        origin="vg0/big",
        before="lvcreate -q -y -Wn -Zn -L 500M -n big vg0",
        after="lvremove -q -y vg0/big",
        settings={"size": "450MiB"},
    ),
)

FILESYSTEMS = (
    Situation(
        "swap",
        ("vg0/swap's filesystem cannot be mounted from a snapshot: swap: swap holds no files", "`mountpoint: null`"),
        origin="vg0/swap",
        settings={"mountpoint": "/run/lvmsnap/check"},
    ),
    Situation(
        "btrfs",
        ("filesystem cannot be mounted from a snapshot: btrfs: btrfs refuses two filesystems with one fsid",),
        origin="vg0/btrfs",
        settings={"mountpoint": "/run/lvmsnap/check"},
    ),
    Situation(
        "LUKS",
        ("filesystem cannot be mounted from a snapshot: crypto_LUKS: it is encrypted",),
        origin="vg0/crypt",
        settings={"mountpoint": "/run/lvmsnap/check"},
    ),
    Situation(
        "no filesystem at all",
        ("filesystem cannot be mounted from a snapshot: no filesystem found",),
        origin="vg0/blank",
        settings={"mountpoint": "/run/lvmsnap/check"},
    ),
)

NAMES = (
    Situation(
        "a volume of that name, which is no snapshot",
        ("name vg0/swap is taken: by a volume that is not this profile's", "lvs -o+tags,origin vg0/swap"),
        settings={"snapshot": "swap"},
    ),
    Situation(
        "a snapshot of the same origin, made by somebody else",
        ("name vg0/older is taken: by a snapshot of vg0/system that is not this profile's", "lvremove vg0/older"),
        settings={"snapshot": "older"},
    ),
    Situation(
        "a plain device-mapper device of that name",
        ("device name vg0-my--snap is taken: vg0-my--snap exists", "dmsetup info vg0-my--snap"),
        before="dmsetup create vg0-my--snap --table '0 8 zero'",
        after="dmsetup remove vg0-my--snap",
        settings={"snapshot": "my-snap"},
    ),
)

MOUNTPOINTS = (
    Situation(
        "a file",
        ("mountpoint /mnt/point cannot be used: it is a file, not a directory",),
        before="echo x > /mnt/point",
        after="rm /mnt/point",
    ),
    Situation(
        "a symlink",
        ("mountpoint /mnt/point cannot be used: it is a symlink",),
        before="ln -s /media/link-to /mnt/point",
        after="rm /mnt/point",
    ),
    Situation(
        "a dangling symlink",
        ("mountpoint /mnt/point cannot be used: it is a symlink",),
        before="ln -s /nowhere /mnt/point",
        after="rm /mnt/point",
    ),
    Situation(
        "a symlink on the way to it",
        ("a symlink leads to /media/link/point: it resolves to /media/link-to/point", "write /media/link-to/point"),
        settings={"mountpoint": "/media/link/point"},
    ),
    Situation(
        "a directory with a file in it",
        ("mountpoint /mnt/point cannot be used: the directory is not empty",),
        before="mkdir /mnt/point; touch /mnt/point/.hidden",
        after="rm -r /mnt/point",
    ),
    Situation(
        "a mount",
        ("mountpoint /mnt/point cannot be used: something is mounted there", "findmnt /mnt/point"),
        before="mkdir /mnt/point; mount -t tmpfs t /mnt/point",
        after="umount /mnt/point; rmdir /mnt/point",
    ),
    Situation(
        "a directory whose parent is missing",
        ("mountpoint /mnt/no/point cannot be used: its parent directory does not exist",),
        settings={"mountpoint": "/mnt/no/point"},
    ),
    Situation(
        "a line of fstab",
        ("/etc/fstab mounts on /mnt/my point too",),
        before=r"printf 'LABEL=x /mnt/my\\040point ext4 noauto 0 0\n' > /etc/fstab",
        after=": > /etc/fstab",
        settings={"mountpoint": "/mnt/my point"},
    ),
    Situation(
        "a mount unit of systemd",
        (r"/etc/systemd/system/mnt-my\x2dpoint.mount mounts on /mnt/my-point too",),
        before=r"touch '/etc/systemd/system/mnt-my\x2dpoint.mount'",
        after=r"rm '/etc/systemd/system/mnt-my\x2dpoint.mount'",
        settings={"mountpoint": "/mnt/my-point"},
    ),
)


@pytest.mark.parametrize("situation", GROUPS_AND_ORIGINS, ids=lambda situation: situation.name)
def test_up_refuses_a_group_or_an_origin_that_cannot_be_snapshotted(up: Refuser, situation: Situation) -> None:
    up.refuse(situation)


@pytest.mark.parametrize("situation", FILESYSTEMS, ids=lambda situation: situation.name)
def test_up_refuses_a_filesystem_that_cannot_be_mounted_beside_its_origin(up: Refuser, situation: Situation) -> None:
    up.refuse(situation)


@pytest.mark.parametrize("situation", NAMES, ids=lambda situation: situation.name)
def test_up_refuses_a_name_that_is_taken(up: Refuser, situation: Situation) -> None:
    up.refuse(situation)


@pytest.mark.parametrize("situation", MOUNTPOINTS, ids=lambda situation: situation.name)
def test_up_looks_at_the_mountpoint_before_it_takes_the_snapshot(up: Refuser, situation: Situation) -> None:
    settings = {"mountpoint": "/mnt/point", **situation.settings}
    up.refuse(replace(situation, settings=settings))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"snapshot": "snapshot1"}, 'begins with "snapshot", which LVM reserves'),
        ({"snapshot": "a_tdata"}, 'contains "_tdata"'),
        ({"snapshot": "s" * 121}, "is too long: device-mapper's name"),
        ({"snapshot": "'-x'"}, "without a leading dash, found '-x'"),
        ({"mountpoint": "mnt/point"}, "absolute"),
        ({"mont_options": "[noexec]"}, "mount_options"),
    ],
    ids=["reserved prefix", "reserved substring", "too long", "leading dash", "relative mountpoint", "misspelt key"],
)
def test_what_is_wrong_in_the_profile_itself_is_exit_2_before_anything_is_read(
    up: Refuser, settings: dict[str, Any], complaint: str
) -> None:
    result = up.run("up check", profile_text(**settings))

    assert result.returncode == 2
    assert complaint in result.stderr
    assert "/etc/lvmsnap/check.yaml:" in result.stderr


def test_a_mistyped_option_is_refused(up: Refuser) -> None:
    result = up.run("up check --dry-rum", profile_text(size="8MiB", mountpoint=None))

    assert result.returncode == 2
    assert "--dry-rum" in result.stderr


def test_all_failing_checks_of_one_profile_are_reported_together(up: Refuser) -> None:
    everything = Situation(
        "everything at once",
        (
            "vg0/older cannot be snapshotted: it is a snapshot itself",
            "name vg0/swap is taken",
            "/media/lent exists already",
            " /media can be changed by others",
            "mountpoint /media/link can be changed by others",
            "/media/link is more open than vg0/older",
            "mountpoint /media/link cannot be used: it is a symlink",
            "/etc/fstab mounts on /media/link too",
        ),
        origin="vg0/older",
        before="ln -s nowhere /media/lent; chmod o+w /media; echo 'x /media/link ext4 noauto' > /etc/fstab",
        after="rm /media/lent; chmod o-w /media; : > /etc/fstab",
        settings={
            "snapshot": "swap",
            "mountpoint": "/media/link",
            "backing_file": {"path": "/media/lent"},
        },
        refusals=9,  # and the filesystem of the guest's root, which is an overlay
    )
    up.refuse(everything)


def test_a_missing_program_is_named_with_its_package(machine: Machine, up: Refuser) -> None:
    program = machine.run("command -v dmsetup").stdout.strip()
    missing = Situation(
        "a missing program",
        ("programs are missing: dmsetup", "install dmsetup"),
        before=f"mv {program} {program}.off",
        after=f"mv {program}.off {program}",
    )
    up.refuse(missing)


def test_a_missing_lvm_is_said_in_one_line(machine: Machine) -> None:
    program = machine.run("command -v lvm").stdout.strip()
    write_profile(machine, "check", profile_text(size="8MiB", mountpoint=None))
    machine.run(f"mv {program} {program}.off")
    try:
        result = lvmsnap(machine, "up check", code=3)
    finally:
        machine.run(f"mv {program}.off {program}")

    assert "error: lvm is not installed" in result.stderr
    assert "what to do: install lvm2" in result.stderr
    assert "fullreport" not in result.stderr
