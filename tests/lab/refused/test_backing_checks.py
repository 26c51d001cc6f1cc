"""The checks about the backing file and its loop device, made to fail on a real machine, and what they let through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.lab.helpers import fingerprint, make_vg, wipe
from tests.lab.machine import Machine
from tests.lab.refusals import Refuser, Situation
from tests.lab.support import lvmsnap, profile_text, shell_line, write_profile

pytestmark = pytest.mark.lab

FOLDERS = ("/var/lib/lvmsnap", "/media", "/mnt", "/media/store", "/media/system", "/media/other")
SMALL = "{size: 8MiB}"

# A partition of a loop device, below it a file on the origin; above it dm-crypt, a group of its own, a filesystem.
# The partition table: one entry at byte 446, type 83, from sector 2048, 120832 sectors; the signature at 510.
STACK_UP = r"""truncate -s 60M /media/system/disk.img
printf '\0\0\0\0\203\0\0\0\0\010\0\0\0\330\001\0' | dd of=/media/system/disk.img bs=1 seek=446 conv=notrunc status=none
printf '\125\252' | dd of=/media/system/disk.img bs=1 seek=510 conv=notrunc status=none
losetup -P /dev/loop3 /media/system/disk.img; udevadm settle
echo secret | cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 256 --hash sha256 /dev/loop3p1 secret
vgcreate -q -y upper /dev/mapper/secret; lvcreate -q -y -Wn -Zn -L 32M -n top upper
mkfs.ext4 -q /dev/upper/top; mkdir /mnt/top; mount /dev/upper/top /mnt/top"""
STACK_DOWN = """umount /mnt/top; rmdir /mnt/top; vgchange -q -an upper; vgremove -q -ff -y upper
cryptsetup close secret; losetup -d /dev/loop3; rm /media/system/disk.img; udevadm settle"""


@pytest.fixture(scope="module")
def machine(shared_machine: Machine) -> Iterator[Machine]:
    """A group with origins of ext4 and btrfs, a store on another disk; at the end as at the start."""
    if not shared_machine.is_running():
        shared_machine.boot()
    wipe(shared_machine)
    make_vg(
        shared_machine,
        volumes={"system": "128M", "other": "64M", "btrfs": "120M"},
        filesystems={"system": "ext4", "other": "ext4", "btrfs": "btrfs", "/dev/ubdb": "ext4"},
        mounts={
            "system": "/media/system",
            "other": "/media/other",
            "btrfs": "/media/btrfs",
            "/dev/ubdb": "/media/store",
        },
    )
    shared_machine.run(
        """btrfs -q subvolume create /media/btrfs/sub; mkdir /media/sub /media/system/dir /etc/lvmsnap
        mkdir -p -m 700 /var/lib/lvmsnap
        mount -o subvol=sub /dev/vg0/btrfs /media/sub"""
    )
    before = fingerprint(shared_machine, FOLDERS)
    yield shared_machine
    assert fingerprint(shared_machine, FOLDERS) == before


@pytest.fixture(scope="module")
def up(machine: Machine) -> Refuser:
    """What runs `up` in the guest."""
    return Refuser(machine)


def backed_by(path: str, **settings: Any) -> dict[str, Any]:
    return {"backing_file": {"path": path, **settings}}


PATHS = (
    Situation(
        "a file",
        (
            "/media/store/lent exists already",
            "lvmsnap overwrites no file",
            "ls -l /media/store/lent",
        ),
        before="echo precious > /media/store/lent",
        after="grep -q precious /media/store/lent; rm /media/store/lent",
    ),
    Situation(
        "a dangling symlink",
        ("/media/store/lent exists already",),
        before="ln -s /media/store/elsewhere /media/store/lent",
        after="! [ -e /media/store/elsewhere ]; rm /media/store/lent",
    ),
    Situation(
        "a directory",
        ("/media/store/lent exists already",),
        before="mkdir /media/store/lent",
        after="rmdir /media/store/lent",
    ),
    Situation(
        "a directory that is missing",
        ("there is no directory /media/store/no", "make it, or mount its filesystem"),
        settings=backed_by("/media/store/no/lent"),
    ),
    Situation(
        "a directory that others can write",
        (
            "/media/store can be changed by others: users other than root can write to /media/store",
            "make it root's",
        ),
        before="chmod 1777 /media/store",
        after="chmod 755 /media/store",
    ),
    Situation(
        "a directory that is not root's",
        ("/media/store can be changed by others: /media/store belongs to user 1", "make it root's"),
        before="chown 1 /media/store",
        after="chown 0 /media/store",
    ),
    Situation(
        "a symlink to a directory that others can write",
        ("can be changed by others: users other than root can write to /media/store/open", "make it root's"),
        before="mkdir -m 777 /media/store/open; ln -s open /media/store/link",
        after="rmdir /media/store/open; rm /media/store/link",
        settings=backed_by("/media/store/link/lent"),
    ),
    Situation(
        "more than nine tenths of the space",
        ("no room for the backing file: 900 MiB needed, ", "(90 % of what is available)"),
        settings={**backed_by("/media/store/lent", size="900MiB"), "size": "899MiB"},
        origin="vg0/large",
        before="lvcreate -q -y -Wn -Zn -L 640M -n large vg0",
        after="lvremove -q -y vg0/large",
        refusals=2,  # and the origin can use less than 899 MiB
    ),
    Situation(
        "memory",
        ("/mnt/memory cannot hold a backing file: tmpfs",),
        before="mkdir /mnt/memory; mount -t tmpfs -o mode=755 t /mnt/memory",
        after="umount /mnt/memory; rmdir /mnt/memory",
        settings=backed_by("/mnt/memory/lent"),
    ),
    Situation(
        "an overlay",
        ("/mnt cannot hold a backing file: overlay",),
        settings=backed_by("/mnt/lent"),
    ),
)

ON_THE_ORIGIN = (
    Situation("itself", ("lies on the origin: vg0-system",), settings=backed_by("/media/system/lent")),
    Situation(
        "a bind mount",
        ("lies on the origin: vg0-system", "the server would freeze"),
        before="mkdir /mnt/bind; mount --bind /media/system/dir /mnt/bind",
        after="umount /mnt/bind; rmdir /mnt/bind",
        settings=backed_by("/mnt/bind/lent"),
    ),
    Situation(
        "a symlink",
        ("lies on the origin: vg0-system",),
        before="ln -s /media/system/dir /media/store/link",
        after="rm /media/store/link",
        settings=backed_by("/media/store/link/lent"),
    ),
    Situation(
        "a btrfs subvolume",
        ("lies on the origin: vg0-btrfs", "cannot hold a backing file: btrfs"),
        origin="vg0/btrfs",
        settings=backed_by("/media/sub/lent"),
        refusals=2,
    ),
    Situation(
        "a partition of a loop device, dm-crypt and another group",
        ("lies on the origin: vg0-system",),
        before=STACK_UP,
        after=STACK_DOWN,
        settings={**backed_by("/mnt/top/lent"), "size": "4MiB"},
        refusals=2,  # the loop device's file is sparse too
    ),
    Situation(
        "a loop device whose file something is mounted over",
        ("lies on the origin: vg0-system",),
        before="""truncate -s 40M /media/system/dir/disk.img; mkfs.ext4 -q /media/system/dir/disk.img
        mkdir /mnt/top; mount -o loop /media/system/dir/disk.img /mnt/top; mount -t tmpfs t /media/system""",
        after="umount /media/system; umount /mnt/top; rmdir /mnt/top; rm /media/system/dir/disk.img; udevadm settle",
        settings={**backed_by("/mnt/top/lent"), "size": "4MiB"},
        refusals=2,  # nor can it be seen whether that file has holes
    ),
    Situation(
        "a loop device over its block device",
        ("lies on the origin: vg0-looped", "the server would freeze"),
        origin="vg0/looped",
        before="""lvcreate -q -y -Wn -Zn -L 40M -n looped vg0; mkfs.ext4 -q /dev/vg0/looped; mkdir /mnt/top
        losetup /dev/loop3 /dev/vg0/looped; mount /dev/loop3 /mnt/top""",
        after="umount /mnt/top; rmdir /mnt/top; losetup -d /dev/loop3; udevadm settle; lvremove -q -y vg0/looped",
        settings={**backed_by("/mnt/top/lent"), "size": "4MiB"},
    ),
    Situation(
        "a loop device whose sparse file was deleted, filled with zeros",
        (
            "lies on the origin: vg0-system",
            "disk.img (deleted), the file of /dev/loop3, cannot be examined: deleted, moved, covered by a mount",
            "attach the loop device to a file that is at its path",
        ),
        before="""truncate -s 40M /media/system/disk.img; mkfs.ext4 -q /media/system/disk.img; mkdir /mnt/top
        losetup /dev/loop3 /media/system/disk.img; mount /dev/loop3 /mnt/top; rm /media/system/disk.img""",
        after="umount /mnt/top; losetup -d /dev/loop3; rmdir /mnt/top; udevadm settle",
        settings={**backed_by("/mnt/top/lent", allocation="zero-fill"), "size": "4MiB"},
        refusals=2,
    ),
    Situation(
        "another snapshot of it",
        ("lies on the origin: vg0-system",),
        before="""lvcreate -q -y -s -L 12M -n copy vg0/system; mkdir /mnt/copy; mount /dev/vg0/copy /mnt/copy""",
        after="umount /mnt/copy; rmdir /mnt/copy; lvremove -q -y vg0/copy",
        settings={**backed_by("/mnt/copy/lent"), "size": "4MiB"},
        refusals=3,  # a snapshot may overflow, and it is in the same group too
    ),
)

# A filesystem of 200 MiB on a thin pool of 48, which lies in a group of its own.
POOL_UP = """vgcreate -q -y thin /dev/ubdc; lvcreate -q -y --type thin-pool -L 48M -n pool thin
lvchange -q --errorwhenfull y thin/pool
lvcreate -q -y -V 200M --thinpool pool -n files thin; lvcreate -q -y -V 100M --thinpool pool -n other thin
mkfs.ext4 -q /dev/thin/files; mkdir /mnt/thin; mount /dev/thin/files /mnt/thin"""
POOL_DOWN = "umount /mnt/thin; rmdir /mnt/thin; vgremove -q -ff -y thin; pvremove -q /dev/ubdc; udevadm settle"
HELD = "the blocks of /mnt/thin/lent are not backed by real space: thin pool thin-pool-tpool"

LOOPS = (
    Situation(
        "a loop device in use",
        ("/dev/loop5 is in use: attached to /media/store/theirs", "`loop_device: auto`"),
        before="truncate -s 1M /media/store/theirs; losetup /dev/loop5 /media/store/theirs",
        after="losetup -d /dev/loop5; rm /media/store/theirs",
        settings=backed_by("/media/store/lent", loop_device="/dev/loop5"),
    ),
    Situation(
        "a global_filter",
        ("LVM's global_filter rejects loop devices: by r|.*|", "allow loop devices in lvm.conf"),
        before="""cp /etc/lvm/lvmlocal.conf /run/saved
        printf 'devices {\\n\\tglobal_filter = [ "a|^/dev/ubd|",\\n\\t\\t"r|.*|" ]\\n}\\n' >> /etc/lvm/lvmlocal.conf""",
        after="cp /run/saved /etc/lvm/lvmlocal.conf",
    ),
    Situation(
        "a filter",
        ("LVM's filter rejects loop devices: by r|^/dev/loop|",),
        before="""cp /etc/lvm/lvm.conf /run/saved
        echo 'devices/filter=["r|^/dev/loop|","a|.*|"]' >> /etc/lvm/lvm.conf""",
        after="cp /run/saved /etc/lvm/lvm.conf",
    ),
)


def test_the_filters_and_locks_that_count_are_those_of_lvm_system_dir(machine: Machine) -> None:
    write_profile(machine, "check", profile_text(size="8MiB", mountpoint=None, **backed_by("/media/store/lent")))
    conf = """devices/filter=["r|^/dev/loop|"]\nglobal/locking_dir="/run/locks"\n"""
    machine.run("rm -rf /run/conf /run/locks; mkdir /run/conf /run/locks")
    machine.write_file("/run/conf/lvm.conf", conf)
    try:
        held = f"flock /run/locks/V_vg0 env LVM_SYSTEM_DIR=/run/conf {shell_line('plan check')}"
        result = machine.run(held, check=False)
    finally:
        machine.run("rm -r /run/conf /run/locks")

    assert "LVM's filter rejects loop devices: by r|^/dev/loop|" in result.stdout
    assert "vg0 is locked by pid " in result.stdout


@pytest.mark.parametrize("situation", PATHS, ids=lambda situation: situation.name)
def test_up_refuses_a_place_that_is_not_fit_for_the_backing_file(up: Refuser, situation: Situation) -> None:
    settings = {**backed_by("/media/store/lent"), **situation.settings}
    up.refuse(replace(situation, settings=settings))


@pytest.mark.parametrize("situation", ON_THE_ORIGIN, ids=lambda situation: situation.name)
def test_up_finds_the_origin_beneath_the_backing_file_through(up: Refuser, situation: Situation) -> None:
    up.refuse(situation)


@pytest.mark.parametrize("situation", LOOPS, ids=lambda situation: situation.name)
def test_up_refuses_a_loop_device_that_it_could_not_use(up: Refuser, situation: Situation) -> None:
    settings = {**backed_by("/media/store/lent"), **situation.settings}
    up.refuse(replace(situation, settings=settings))


def test_a_relative_path_is_a_mistake_in_the_profile(up: Refuser) -> None:
    result = up.run("up check", profile_text(**backed_by("store/lent")))

    assert result.returncode == 2
    assert "backing_file.path" in result.stderr
    assert "absolute" in result.stderr


def test_a_file_on_another_volume_of_the_group_needs_allow_same_vg(machine: Machine, up: Refuser) -> None:
    here = "/media/other/lent"
    up.refuse(
        Situation(
            "same group",
            (f"backing file {here} lies in vg0: on vg0-other", "`allow_same_vg: true` accepts that risk"),
            settings=backed_by(here),
        )
    )
    write_profile(
        machine, "same", profile_text(size="8MiB", mountpoint=None, backing_file={"path": here, "allow_same_vg": True})
    )

    lvmsnap(machine, "up same")
    devices = machine.run("lvs --noheadings -o devices vg0/system-lvmsnap-same").stdout.strip()
    lvmsnap(machine, "down same")

    assert devices.startswith("/dev/loop")


def test_a_file_over_a_thin_pool_is_lent_only_if_the_pool_holds_its_blocks(machine: Machine, up: Refuser) -> None:
    def lent(size: str, allocation: str) -> dict[str, Any]:
        return {**backed_by("/mnt/thin/lent", allocation=allocation), "size": size}

    fill = "dd if=/dev/urandom of=/dev/thin/other bs=64k oflag=direct status=none 2>&1 | grep -q 'No space'"
    sum_of = "cd {}; find . -name '*.new' -prune -o -type f -print0 | sort -z | xargs -0 md5sum | md5sum"
    machine.run(f"set -e\n{POOL_UP}")
    try:
        up.refuse(Situation("reserved", (HELD, "`allocation: zero-fill`"), settings=lent("16MiB", "fallocate")))
        up.refuse(Situation("large", ("no room for the backing file: 81 MiB",), settings=lent("80MiB", "zero-fill")))
        machine.run("dd if=/dev/urandom of=/media/system/file bs=1M count=8 conv=fsync status=none")
        written = machine.run(sum_of.format("/media/system")).stdout
        write_profile(machine, "thin", profile_text(**lent("24MiB", "zero-fill")))
        lvmsnap(machine, "up thin")
        machine.run(f"{fill}; dmsetup status thin-pool-tpool | grep -q out_of_data_space", timeout=60)
        machine.run("dd if=/dev/urandom of=/media/system/file bs=1M count=8 conv=notrunc,fsync status=none", timeout=30)
        shown = machine.run(sum_of.format("/run/lvmsnap/thin")).stdout
        lvmsnap(machine, "down thin")
        assert shown == written
    finally:
        machine.run(f"set -e; rm -f /media/system/file\n{POOL_DOWN}")


@pytest.mark.parametrize("in_use", [True, False], ids=["in use", "there but not in use"])
def test_the_devices_file_has_no_entry_of_the_loop_device_afterwards(machine: Machine, in_use: bool) -> None:
    settings = f"devices {{\\n\\tuse_devicesfile = {int(in_use)}\\n}}\\n"
    machine.run(f"cp /etc/lvm/lvmlocal.conf /run/saved; printf '{settings}' >> /etc/lvm/lvmlocal.conf")
    devices = "/etc/lvm/devices/system.devices"
    use = "--config devices/use_devicesfile=1"
    try:
        machine.run(f"lvm vgimportdevices {use} vg0")
        before = [line for line in machine.read_file(devices).splitlines() if line.startswith("IDTYPE=")]
        write_profile(machine, "file", profile_text(size="8MiB", mountpoint=None, **backed_by("/media/store/lent")))

        lvmsnap(machine, "up file")
        while_up = machine.read_file(devices)
        lvmsnap(machine, "down file")

        after = [line for line in machine.read_file(devices).splitlines() if line.startswith("IDTYPE=")]
        assert ("/dev/loop" in while_up) == in_use
        assert after == before
        assert machine.run("losetup -a").stdout == ""
    finally:
        machine.run("cp /run/saved /etc/lvm/lvmlocal.conf; rm -rf /etc/lvm/devices/*")


@pytest.mark.parametrize("allocation", ["fallocate", "zero-fill"])
def test_the_backing_file_is_readable_by_root_alone_at_every_moment(machine: Machine, allocation: str) -> None:
    # Every program of the way up looks at the file, just before and just after it does its work.
    look = 'for f in "/media/store/my lent"; do [ -e "$f" ] && stat -c %a:%u "$f" >> /run/seen; done'
    programs = ("fallocate", "dd", "losetup", "pvcreate", "vgextend", "lvcreate", "sh")
    script = f'name=${{0##*/}}; {look}; /usr/bin/env -S PATH=$REST "$name" "$@"; code=$?; {look}; exit $code'
    machine.run("mkdir -p /run/wrap; rm -f /run/seen")
    for program in programs:
        text = "#!/bin/bash\nREST=${PATH#/run/wrap:}; export REST\n" + script.replace(
            "/usr/bin/env -S PATH=$REST", 'PATH="$REST"'
        )
        machine.write_file(f"/run/wrap/{program}", text + "\n", 0o755)
    write_profile(
        machine,
        "secret",
        profile_text(size="8MiB", mountpoint=None, **backed_by("'/media/store/my lent'", allocation=allocation)),
    )

    lvmsnap(machine, "up secret", path="/run/wrap")
    seen = machine.run("cat /run/seen").stdout.split()
    size, blocks = map(int, machine.run(["stat", "-c", "%s %b", "/media/store/my lent"]).stdout.split())
    lvmsnap(machine, "down secret")

    assert len(seen) > len(programs) - 2
    assert set(seen) == {"600:0"}
    assert blocks * 512 >= size > 8 << 20
    assert not machine.run(["ls", "/media/store"]).stdout.replace("lost+found\n", "")
