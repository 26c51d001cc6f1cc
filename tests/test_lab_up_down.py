"""Up and down on real LVM: what stands in between, that nothing stays, names, sizes, and the commands around them."""

from __future__ import annotations

import pytest

from tests import looking
from tests.lab.helpers import fingerprint, make_vg
from tests.lab.machine import Machine, MiB
from tests.support import TOP, lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab

# Not lvmsnap's own: its empty state folder and its lock file stay.
FOLDERS = ("/etc/lvmsnap", "/media", "/media/other_partition", "/mnt")
SNAPSHOT_FIELDS = "lv_attr,lv_size,lv_tags,origin,seg_monitor,devices"


def make_server(m: Machine, profile: str, *, full: bool = False) -> None:
    """A server as the sample profiles know it: root filesystem on LVM, a partition on another disk."""
    volumes = {"system": "300M", "rest": "100%FREE"} if full else {"system": "300M"}
    mounts = {"system": "/mnt", "/dev/ubdb": "/media/other_partition"}
    filesystems = {"system": "ext4", "/dev/ubdb": "ext4"}
    make_vg(m, "lvm_server_vg", volumes=volumes, filesystems=filesystems, mounts=mounts)
    write_profile(m, profile, (TOP / "profiles" / f"{profile}.yaml").read_text())
    m.run("echo old > /mnt/file; sync")


def make_small_vg(m: Machine, *, mounted: bool = True) -> None:
    """A group vg0 with an origin of 64 MiB, a file in it, and room."""
    make_vg(m, volumes={"system": "64M"}, filesystems={"system": "ext4"}, mounts={"system": "/mnt"})
    m.run("echo old > /mnt/file; sync" + ("" if mounted else "; umount /mnt"))


def assert_frozen(m: Machine, mountpoint: str) -> None:
    m.run("echo new > /mnt/file; sync")
    assert m.run(["cat", f"{mountpoint}/file", "/mnt/file"]).stdout == "old\nnew\n"
    m.run("echo old > /mnt/file; sync")


def lent_device(m: Machine) -> str:
    """The one loop device that is bound."""
    (device,) = m.run(["losetup", "-nO", "NAME"]).stdout.split()
    return device


def assert_gone(m: Machine, name: str, before: str) -> None:
    """Nothing of the profile is left, and all else is byte for byte as it was."""
    assert fingerprint(m, FOLDERS) == before
    assert m.run("find /var/lib/lvmsnap /run/lvmsnap -mindepth 1").stdout.split() == ["/run/lvmsnap/lock"], name


def test_a_snapshot_in_free_space_holds_the_moment_of_up_and_down_leaves_nothing(lab: Machine) -> None:
    make_server(lab, "system")
    before = fingerprint(lab, FOLDERS)

    out = lvmsnap(lab, "up system").stdout
    assert out == "/media/system_snapshot\n"
    attr, size, tags, origin, monitor, devices = looking.lv(lab, "lvm_server_vg/snap1", SNAPSHOT_FIELDS)
    assert (attr[:2], int(size), tags, origin) == ("sr", 256 * MiB, "lvmsnap.system", "system")
    assert (monitor, devices[:10]) == ("not monitored", "/dev/ubda(")
    assert {"ext4", "/dev/mapper/lvm_server_vg-snap1", "ro"} < set(looking.mount_options(lab, "/media/system_snapshot"))
    assert looking.mode(lab, "/var/lib/lvmsnap/system.json") == "regular file 600 root"
    assert_frozen(lab, "/media/system_snapshot")

    lvmsnap(lab, "down system")
    assert_gone(lab, "system", before)


def test_a_snapshot_on_lent_space_holds_the_moment_of_up_and_down_leaves_nothing(lab: Machine) -> None:
    make_server(lab, "system-full-vg", full=True)
    before = fingerprint(lab, FOLDERS)

    lvmsnap(lab, "up system-full-vg")
    loop = lent_device(lab)
    attr, size, tags, origin, monitor, devices = looking.lv(lab, "lvm_server_vg/snap1", SNAPSHOT_FIELDS)
    assert (attr[:2], int(size), tags, origin) == ("sr", 256 * MiB, "lvmsnap.system-full-vg", "system")
    assert (monitor, devices) == ("not monitored", f"{loop}(0)")
    uuid, areas, vg, free = looking.pv(lab, loop, "pv_uuid,pv_mda_count,vg_name,pv_free")
    assert (uuid[:7], areas, vg, free) == ("lvmsnp-", "0", "lvm_server_vg", "0")
    path = "/media/other_partition/tmp_space.tmp"
    assert looking.mode(lab, path) == "regular file 600 root"
    size_bytes, blocks = map(int, lab.run(["stat", "-c", "%s %b", path]).stdout.split())
    assert (size_bytes, blocks * 512 >= size_bytes) == (257 * MiB, True)
    assert looking.mode(lab, "/var/lib/lvmsnap/system-full-vg.json") == "regular file 600 root"
    assert_frozen(lab, "/media/system_snapshot")

    lvmsnap(lab, "down system-full-vg")
    assert_gone(lab, "system-full-vg", before)


@pytest.mark.parametrize("remove", [False, True])
def test_a_mountpoint_that_was_there_stays_unless_the_profile_says_otherwise(lab: Machine, remove: bool) -> None:
    make_small_vg(lab)
    lab.run("mkdir -m 0710 /media/there")
    write_profile(lab, "p", profile_text(size="16MiB", mountpoint="/media/there", remove_mountpoint=remove))
    before = fingerprint(lab, FOLDERS)

    lvmsnap(lab, "up p")
    assert_frozen(lab, "/media/there")
    lvmsnap(lab, "down p")

    if remove:
        before = "".join(line for line in before.splitlines(keepends=True) if not line.startswith("/media/there "))
    assert_gone(lab, "p", before)


def test_without_a_mountpoint_in_the_profile_the_snapshot_is_mounted_under_run(lab: Machine) -> None:
    make_small_vg(lab, mounted=False)
    write_profile(lab, "p", profile_text(size="16MiB"))
    before = fingerprint(lab, FOLDERS)

    assert lvmsnap(lab, "up p").stdout == "/run/lvmsnap/p\n"
    assert lab.run("cat /run/lvmsnap/p/file").stdout == "old\n"
    assert looking.mode(lab, "/run/lvmsnap") in ("directory 755 root", "directory 700 root")
    lvmsnap(lab, "down p")

    assert_gone(lab, "p", before)


def test_with_mountpoint_null_only_the_device_is_made(lab: Machine) -> None:
    make_small_vg(lab, mounted=False)
    write_profile(lab, "p", profile_text(size="16MiB", mountpoint=None))
    before = fingerprint(lab, FOLDERS)

    device = lvmsnap(lab, "up p").stdout.strip()
    assert device == "/dev/vg0/system-lvmsnap-p"
    lab.run(f"cmp /dev/vg0/system {device} && mount /dev/vg0/system /mnt && echo new > /mnt/file && umount /mnt")
    assert lab.run(f"mount -o ro,noload {device} /mnt && cat /mnt/file && umount /mnt").stdout == "old\n"
    lvmsnap(lab, "down p")

    assert_gone(lab, "p", before)
