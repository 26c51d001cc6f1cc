"""Every filesystem of the documentation on real LVM: snapshot beside its origin, and the origin sound afterwards."""

from __future__ import annotations

import json

import pytest

from tests.lab import looking
from tests.lab.helpers import fingerprint, make_vg
from tests.lab.machine import Machine, MiB
from tests.lab.support import lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab

CHECKS = {
    "ext2": "e2fsck -fn /dev/vg0/data",
    "ext3": "e2fsck -fn /dev/vg0/data",
    "ext4": "e2fsck -fn /dev/vg0/data",
    "xfs": "xfs_repair -n /dev/vg0/data",
    "f2fs": "fsck.f2fs --dry-run -f /dev/vg0/data | grep -q '\\[FSCK\\] other corrupted bugs *\\[Ok..\\]'",
    "vfat": "fsck.vfat -n /dev/vg0/data",
}
SIZES = {"xfs": "300M", "f2fs": "128M"}
NEEDED = {"xfs": {"ro", "nouuid"}}
LOOKED_AT = 16 * MiB  # of each device; what is changed lies there


@pytest.mark.parametrize("kind", CHECKS)
def test_a_filesystem_is_mounted_beside_its_origin_and_leaves_it_sound(lab: Machine, kind: str) -> None:
    make_vg(lab, volumes={"data": SIZES.get(kind, "64M")}, filesystems={"data": kind}, mounts={"data": "/mnt"})
    write_profile(
        lab, "p", profile_text("vg0/data", size="16MiB", mountpoint="/run/lvmsnap/p", mount_options="[noexec, nodev]")
    )
    lab.run("mkdir /mnt/folder; head -c 3000000 /dev/urandom > /mnt/folder/file; cp /mnt/folder/file /tmp/file")

    # Not synced before: what was written is in the snapshot all the same.
    before = fingerprint(lab, ("/media",))
    lvmsnap(lab, "up p")
    lab.run("echo new > /mnt/folder/file; sync; cmp /tmp/file /run/lvmsnap/p/folder/file")
    options = set(looking.mount_options(lab, "/run/lvmsnap/p"))
    assert {kind, "/dev/mapper/vg0-data--lvmsnap--p", "noexec", "nodev", "nosuid"} | NEEDED.get(kind, {"ro"}) <= options
    assert lab.run("touch /run/lvmsnap/p/x", check=False).returncode != 0
    lvmsnap(lab, "down p")
    assert fingerprint(lab, ("/media",)) == before
    assert lab.run("cat /mnt/folder/file").stdout == "new\n"

    lab.run("umount /mnt")
    lvmsnap(lab, "up p")
    assert lab.run("cat /run/lvmsnap/p/folder/file").stdout == "new\n"
    lvmsnap(lab, "down p")
    lab.run(CHECKS[kind])


def test_what_cannot_be_mounted_is_refused_and_works_as_a_device_alone(lab: Machine) -> None:
    make_vg(lab, volumes={"btrfs": "120M", "swap": "16M", "empty": "16M"}, filesystems={"btrfs": "btrfs"})
    lab.run("mkswap -q /dev/vg0/swap; udevadm settle")
    found = {"btrfs": "btrfs", "swap": "swap", "empty": "no filesystem"}
    before = fingerprint(lab, ("/media",))

    for name, words in found.items():
        write_profile(lab, name, profile_text(f"vg0/{name}", size="8MiB"))
        refused = lvmsnap(lab, f"up {name}", code=3).stderr
        assert words in refused
        assert "`mountpoint: null`" in refused
    assert fingerprint(lab, ("/media",)) == before

    for name in found:
        write_profile(lab, name, profile_text(f"vg0/{name}", size="8MiB", mountpoint=None))
        device = lvmsnap(lab, f"up {name}").stdout.strip()
        lab.run(f"cmp -n {LOOKED_AT} /dev/vg0/{name} {device}; head -c {LOOKED_AT} {device} | md5sum > /tmp/old")
        lab.run(f"dd if=/dev/urandom of=/dev/vg0/{name} bs=1M count=4 seek=8 conv=notrunc,fsync status=none")
        lab.run(f"head -c {LOOKED_AT} {device} | md5sum | cmp - /tmp/old; ! cmp -s /dev/vg0/{name} {device}")
        lvmsnap(lab, f"down {name}")
        assert not looking.exists(lab, device)


def test_what_is_mounted_below_the_origin_is_named_by_the_plan_and_empty_in_the_snapshot(lab: Machine) -> None:
    make_vg(
        lab,
        volumes={"data": "64M", "home": "16M"},
        filesystems={"data": "ext4", "home": "ext4"},
        mounts={"data": "/mnt", "home": "/mnt/home"},
    )
    lab.run(
        "mkdir /mnt/tmp && mount -t tmpfs none /mnt/tmp && echo mine > /mnt/home/file && echo 1 > /mnt/file && sync"
    )
    write_profile(lab, "p", "volumes: [{origin: vg0/data, size: 16MiB}]")

    facts = json.loads(lvmsnap(lab, "plan p --json").stdout)["facts"]
    (left_out,) = (fact for fact in facts if fact["name"] == "left out")
    assert left_out["of"] == "vg0/data"
    assert left_out["value"].startswith("/mnt/home (/dev/mapper/vg0-home): mounted below it")
    assert "/mnt/tmp" not in left_out["value"]

    assert lvmsnap(lab, "up p").stderr == ""
    assert lab.run("cd /run/lvmsnap/p && cat file && ls -A home").stdout == "1\n"
    lvmsnap(lab, "down p")


@pytest.mark.parametrize(
    ("mkfs", "mount", "works"),
    [
        ("", "-o usrquota,grpquota,prjquota", True),
        ("-l logdev=/dev/ubdc,size=64m", "-o logdev=/dev/ubdc", False),
        ("-r rtdev=/dev/ubdd", "-o rtdev=/dev/ubdd", False),
    ],
    ids=["quota", "external log", "realtime device"],
)
def test_an_xfs_is_mounted_beside_itself_unless_a_part_of_it_is_elsewhere(
    lab: Machine, mkfs: str, mount: str, works: bool
) -> None:
    make_vg(lab, volumes={"data": "300M"})
    lab.run(f"mkfs.xfs -q -f {mkfs} /dev/vg0/data; mkdir /mnt/d; mount {mount} /dev/vg0/data /mnt/d")
    lab.run("mkdir /mnt/d/a; echo old > /mnt/d/a/file; chown 1000:1000 /mnt/d/a/file")
    write_profile(lab, "p", profile_text("vg0/data", size="16MiB"))

    if works:
        lvmsnap(lab, "up p")
        seen = lab.run("cd /run/lvmsnap/p/a; cat file; stat -c %u:%g file").stdout
        lvmsnap(lab, "down p")
        assert seen == "old\n1000:1000\n"
    else:
        said = lvmsnap(lab, "up p", code=3).stderr
        assert "its journal, or other data, is on another device, which has no snapshot" in said
    lab.run("umount /mnt/d")


def test_the_files_of_a_vfat_belong_to_whom_they_belong_on_the_origin(lab: Machine) -> None:
    make_vg(lab, volumes={"data": "64M"}, filesystems={"data": "vfat"})
    lab.run("mkdir /mnt/d; mount -o uid=1000,gid=1001,umask=027 /dev/vg0/data /mnt/d; echo old > /mnt/d/Long.name")
    write_profile(lab, "p", profile_text("vg0/data", size="16MiB"))
    look = "cd {}; find . | sort | xargs stat -c '%n %f %u %g %s'; sha256sum Long.name"

    lvmsnap(lab, "up p")
    on_origin, on_snapshot = (lab.run(look.format(place)).stdout for place in ("/mnt/d", "/run/lvmsnap/p"))
    lvmsnap(lab, "down p")
    lab.run("umount /mnt/d")
    lvmsnap(lab, "up p")
    unmounted = lab.run("stat -c '%a %u' /run/lvmsnap/p/Long.name").stdout
    lvmsnap(lab, "down p")

    assert on_snapshot == on_origin
    assert unmounted == "700 0\n"
