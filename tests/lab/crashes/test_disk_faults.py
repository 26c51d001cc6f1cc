"""The disk below the backing file runs full, turns read-only, dies; the snapshot overflows; others meddle while up."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import pytest

from tests.lab import moments
from tests.lab.faults import (
    BIN,
    FILE,
    MOUNTPOINT,
    ORIGIN,
    SPACE,
    Fault,
    break_commands,
    left,
    standing,
)
from tests.lab.looking import lv
from tests.lab.machine import Machine
from tests.lab.stage import Scene, Stage
from tests.lab.support import lvmsnap, status

pytestmark = pytest.mark.lab

# The file system for backing files lies on a device that can be made to fail and to work again.
TABLES = {"works": "0 131072 linear /dev/ubdb 0", "is dead": "0 131072 error"}
LOAD = "echo '{table}' | dmsetup reload bad && dmsetup suspend --noflush bad && dmsetup resume bad"
REPAIR = f"umount {SPACE} && e2fsck -fy /dev/mapper/bad > /dev/null 2>&1; mount /dev/mapper/bad {SPACE}"
WRITE = f"dd if=/dev/urandom of={ORIGIN}/new bs=1M count={{count}} conv=fsync status=none && rm {ORIGIN}/new"
FULL_DISK = f"/usr/bin/fallocate -l $(($(stat -f -c '%a * %S' {SPACE}) - 8000000)) {SPACE}/filler"


@dataclass(frozen=True)
class FaultyScene(Scene):
    """The file system for backing files lies on a device that can be made to fail and to work again."""

    def clear(self, m: Machine) -> None:
        # A loop device of a failed test may still hold the file system on the faulty disk. What another module's
        # tests left is not forced: it may be in use.
        force = "losetup -D; dmsetup remove_all --force"
        m.run(f"if dmsetup info bad; then {force}; {force}; fi", check=False)
        super().clear(m)

    def build(self, m: Machine) -> str:
        m.run(f"echo '{TABLES['works']}' | dmsetup create bad && udevadm settle")
        return super().build(m)

    def look(self, m: Machine) -> str:
        """The room for backing files too."""
        return super().look(m) + m.run(["stat", "-f", "-c", "%f", SPACE]).stdout


SCENE = FaultyScene(mounts={"system": ORIGIN, "/dev/mapper/bad": SPACE}, more=moments.ADD_DATA)


def set_disk(m: Machine, state: str) -> None:
    """Have the disk below the backing file work or die."""
    m.run(LOAD.format(table=TABLES[state]))


def assert_as_before(stage: Stage) -> None:
    """Fail unless all is as it was: the origin's files too."""
    assert moments.check_origin(stage, stage.said, "") == ""
    stage.assert_as_before()


@pytest.mark.parametrize(("profile", "command"), [("lent", "fallocate"), ("filled", "dd")])
def test_a_disk_that_others_fill_between_check_and_allocation_is_no_harm(
    stage: Stage, profile: str, command: str
) -> None:
    result = stage.lvmsnap(f"up {profile}", 1, Fault(command, FULL_DISK))
    assert "No space left on device" in result.stderr
    stage.run(f"rm {SPACE}/filler")
    assert_as_before(stage)


def test_a_disk_that_runs_full_while_up_does_not_hurt_the_snapshot(stage: Stage) -> None:
    lvmsnap(stage, "up lent")
    stage.run(f"cat /dev/zero > {SPACE}/filler; sync -f {SPACE}; {WRITE.format(count=12)}", timeout=120)
    assert status(stage, "lent")["state"] == "up"
    assert float(lv(stage, "vg0/snap", "data_percent")[0]) > 50
    stage.run(f"cmp {MOUNTPOINT}/data/3 {ORIGIN}/data/3 && rm {SPACE}/filler")
    lvmsnap(stage, "down lent")
    assert_as_before(stage)


NO_ROOM_FOR_COPIES = """
for name in archive backup; do
    mkdir -p /etc/lvm/$name; mount -t tmpfs -o size=4k none /etc/lvm/$name; cat /dev/zero > /etc/lvm/$name/fill
done 2> /dev/null; true
"""


def test_a_root_filesystem_that_the_command_fills_keeps_nothing_up(stage: Stage) -> None:
    result = lvmsnap(stage, f"run lent -- sh -c {shlex.quote(NO_ROOM_FOR_COPIES)}")
    assert "lvremove kept no copy of LVM's metadata: the filesystem of /etc/lvm/archive is full" in result.stderr
    stage.run("umount /etc/lvm/archive /etc/lvm/backup")
    assert_as_before(stage)


def test_where_udev_has_no_room_for_its_database_no_command_waits_for_it_for_ever(stage: Stage) -> None:
    lvmsnap(stage, "up plain")
    stage.run("mount -t tmpfs -o size=4k,nr_inodes=1 none /run/udev/data")
    assert "waited for udev, which has lost an event" in lvmsnap(stage, "down plain").stderr
    stage.run("umount /run/udev/data")
    assert_as_before(stage)


@pytest.mark.parametrize("command", ["fallocate", "losetup"])
def test_a_file_system_that_turns_read_only_during_up_leaves_only_the_file(stage: Stage, command: str) -> None:
    result = stage.lvmsnap(
        "up lent",
        4,
        Fault(command, f"mount -o remount,ro {SPACE}", "--length" if command == "fallocate" else "--nooverlap"),
    )
    assert left(result) == standing(stage) == [f"backing file: {FILE}"]
    stage.run(f"mount -o remount,rw {SPACE}")
    lvmsnap(stage, "down lent")
    assert_as_before(stage)


def test_a_file_system_that_turns_read_only_while_up_leaves_only_the_file(stage: Stage) -> None:
    lvmsnap(stage, "up lent")
    stage.run(f"mount -o remount,errors=remount-ro {SPACE}; echo 1 > /sys/fs/ext4/dm-0/trigger_fs_error")
    failed = lvmsnap(stage, "down lent", code=4)
    assert left(failed) == standing(stage) == [f"backing file: {FILE}"]
    stage.run(REPAIR)
    lvmsnap(stage, "down lent")
    assert_as_before(stage)


@pytest.mark.parametrize("back", ["after down", "before down"])
def test_the_origin_does_not_notice_that_the_disk_below_its_snapshot_dies(stage: Stage, back: str) -> None:
    lvmsnap(stage, "up lent")
    set_disk(stage, "is dead")
    stage.run(WRITE.format(count=4))
    assert status(stage, "lent")["state"] == "lost"
    # The file's own file system sees it too, and takes no more changes.
    stage.run(f"touch {SPACE}/new; sync -f {SPACE}", check=False)
    if back == "before down":
        set_disk(stage, "works")

    failed = lvmsnap(stage, "down lent", code=124)
    assert left(failed) == standing(stage) == [f"backing file: {FILE}"]
    assert moments.check_origin(stage, stage.said, "") == ""
    set_disk(stage, "works")
    stage.run(REPAIR)

    lvmsnap(stage, "down lent", code=124)
    assert_as_before(stage)


@pytest.mark.parametrize("profile", ["lent", "plain"])
def test_a_snapshot_that_overflows_is_lost_and_goes_down_clean(stage: Stage, profile: str) -> None:
    lvmsnap(stage, f"up {profile}")
    stage.run(WRITE.format(count=24))
    assert status(stage, profile)["state"] == "lost"
    lvmsnap(stage, "recover")
    assert status(stage, profile)["state"] == "lost"
    lvmsnap(stage, f"down {profile}", code=124)
    assert_as_before(stage)


def test_a_snapshot_that_is_full_before_it_is_mounted_is_reported_as_such(stage: Stage) -> None:
    overflow = WRITE.format(count=24)
    path = break_commands(stage, Fault("mount", f'{overflow} > /dev/null 2>&1; real "$@"'))

    failed = lvmsnap(stage, "up plain", code=1, path=path)

    assert "the snapshot is full already: give it a larger size" in failed.stderr
    stage.run(f"rm -rf {BIN}")
    assert_as_before(stage)


MEDDLING = {
    "deletes the backing file": (f"rm {FILE}", ""),
    "renames the origin": ("lvrename vg0 system main", "lvrename vg0 main system"),
    "renames the snapshot": ("lvrename vg0 snap other", ""),
}


@pytest.mark.parametrize("meddling", MEDDLING)
def test_down_takes_all_down_whatever_somebody_else_does_while_up(stage: Stage, meddling: str) -> None:
    does, undoes = MEDDLING[meddling]
    lvmsnap(stage, "up lent")
    stage.run(f"{does}; udevadm settle")
    lvmsnap(stage, "status lent")
    lvmsnap(stage, "down lent")
    stage.run(f"{undoes or 'true'}; udevadm settle")
    assert_as_before(stage)
