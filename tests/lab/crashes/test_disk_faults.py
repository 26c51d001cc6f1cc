"""The disk below the backing file runs full, turns read-only, dies; the snapshot overflows; others meddle while up."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from tests.lab import moments
from tests.lab.faults import (
    BIN,
    FILE,
    FOLDERS,
    MARKER,
    MOUNTPOINT,
    ORIGIN,
    SPACE,
    Fault,
    Stage,
    break_commands,
    left,
    standing,
    write_profiles,
)
from tests.lab.helpers import fingerprint, make_vg, wipe
from tests.lab.looking import exists, lv
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap

pytestmark = pytest.mark.lab

# The file system for backing files lies on a device that can be made to fail and to work again.
TABLES = {"works": "0 131072 linear /dev/ubdb 0", "is dead": "0 131072 error"}
LOAD = "echo '{table}' | dmsetup reload bad && dmsetup suspend --noflush bad && dmsetup resume bad"
REPAIR = f"umount {SPACE} && e2fsck -fy /dev/mapper/bad > /dev/null 2>&1; mount /dev/mapper/bad {SPACE}"
WRITE = f"dd if=/dev/urandom of={ORIGIN}/new bs=1M count={{count}} conv=fsync status=none && rm {ORIGIN}/new"
FULL_DISK = f"/usr/bin/fallocate -l $(($(stat -f -c '%a * %S' {SPACE}) - 8000000)) {SPACE}/filler"


@dataclass
class FaultyStage(Stage):
    """The stage, its file system for backing files on a disk that can fail."""

    sums: str = ""
    free: str = ""

    def prepare(self) -> None:
        """Build it where it does not stand as before."""
        stood = self.is_clean and exists(self.machine, MARKER)
        self.is_clean = False
        if stood:
            return
        self._clear()
        self.machine.run(f"echo '{TABLES['works']}' | dmsetup create bad && udevadm settle")
        kinds = {"system": "ext4", "/dev/mapper/bad": "ext4"}
        make_vg(
            self.machine,
            volumes={"system": "64M"},
            filesystems=kinds,
            mounts={"system": ORIGIN, "/dev/mapper/bad": SPACE},
        )
        write_profiles(self.machine)
        self.machine.run(f": > {MARKER}; : > {ORIGIN}/alive; mkdir -m 700 /var/lib/lvmsnap")
        self.sums = moments.add_data(self.machine)
        assert moments.check_origin(self.machine, self.sums, "") == ""
        self.before, self.free = self._look(), self._free()

    def _clear(self) -> None:
        """Wipe what a failed test left; its loop device may still hold the file system on the faulty disk."""
        self.machine.run("losetup -D; dmsetup remove_all --force; losetup -D; dmsetup remove_all --force", check=False)
        wipe(self.machine)

    def _look(self) -> str:
        # Which of the file systems was mounted last is all one.
        return "\n".join(sorted(fingerprint(self.machine, FOLDERS).splitlines()))

    def _free(self) -> str:
        return self.machine.run(["stat", "-f", "-c", "%f", SPACE]).stdout

    def set_disk(self, state: str) -> None:
        """Have the disk below the backing file work or die."""
        self.machine.run(LOAD.format(table=TABLES[state]))

    def state(self, profile: str) -> str:
        """Give the state that status tells."""
        (status,) = json.loads(lvmsnap(self.machine, f"status {profile} --json").stdout)
        return str(status["state"])

    def assert_as_before(self) -> None:
        """Fail unless all is as it was: the origin's files too, and the room for backing files."""
        assert moments.check_origin(self.machine, self.sums, "") == ""
        self.machine.run(f": > {ORIGIN}/alive")
        assert self._look() == self.before
        assert self._free() == self.free
        self.is_clean = True


@pytest.fixture(scope="module")
def shared_stage(shared_machine: Machine) -> FaultyStage:
    if not shared_machine.is_running():
        shared_machine.boot()
    return FaultyStage(shared_machine)


@pytest.fixture
def stage(shared_stage: FaultyStage) -> FaultyStage:
    shared_stage.prepare()
    return shared_stage


@pytest.mark.parametrize(("profile", "command"), [("lent", "fallocate"), ("filled", "dd")])
def test_a_disk_that_others_fill_between_check_and_allocation_is_no_harm(
    stage: FaultyStage, profile: str, command: str
) -> None:
    result = stage.run(f"up {profile}", 1, Fault(command, FULL_DISK))
    assert "No space left on device" in result.stderr
    stage.machine.run(f"rm {SPACE}/filler")
    stage.assert_as_before()


def test_a_disk_that_runs_full_while_up_does_not_hurt_the_snapshot(stage: FaultyStage) -> None:
    lvmsnap(stage.machine, "up lent")
    stage.machine.run(f"cat /dev/zero > {SPACE}/filler; sync -f {SPACE}; {WRITE.format(count=12)}", timeout=120)
    assert stage.state("lent") == "up"
    assert float(lv(stage.machine, "vg0/snap", "data_percent")[0]) > 50
    stage.machine.run(f"cmp {MOUNTPOINT}/data/3 {ORIGIN}/data/3 && rm {SPACE}/filler")
    lvmsnap(stage.machine, "down lent")
    stage.assert_as_before()


@pytest.mark.parametrize("command", ["fallocate", "losetup"])
def test_a_file_system_that_turns_read_only_during_up_leaves_only_the_file(stage: FaultyStage, command: str) -> None:
    result = stage.run(
        "up lent",
        4,
        Fault(command, f"mount -o remount,ro {SPACE}", "--length" if command == "fallocate" else "--nooverlap"),
    )
    assert left(result) == standing(stage.machine) == [f"backing file: {FILE}"]
    stage.machine.run(f"mount -o remount,rw {SPACE}")
    lvmsnap(stage.machine, "down lent")
    stage.assert_as_before()


def test_a_file_system_that_turns_read_only_while_up_leaves_only_the_file(stage: FaultyStage) -> None:
    lvmsnap(stage.machine, "up lent")
    stage.machine.run(f"mount -o remount,errors=remount-ro {SPACE}; echo 1 > /sys/fs/ext4/dm-0/trigger_fs_error")
    failed = lvmsnap(stage.machine, "down lent", code=4)
    assert left(failed) == standing(stage.machine) == [f"backing file: {FILE}"]
    stage.machine.run(REPAIR)
    lvmsnap(stage.machine, "down lent")
    stage.assert_as_before()


@pytest.mark.parametrize("back", ["after down", "before down"])
def test_the_origin_does_not_notice_that_the_disk_below_its_snapshot_dies(stage: FaultyStage, back: str) -> None:
    lvmsnap(stage.machine, "up lent")
    stage.set_disk("is dead")
    stage.machine.run(WRITE.format(count=4))
    assert stage.state("lent") == "lost"
    # The file's own file system sees it too, and takes no more changes.
    stage.machine.run(f"touch {SPACE}/new; sync -f {SPACE}", check=False)
    if back == "before down":
        stage.set_disk("works")

    failed = lvmsnap(stage.machine, "down lent", code=124)
    assert left(failed) == standing(stage.machine) == [f"backing file: {FILE}"]
    assert moments.check_origin(stage.machine, stage.sums, "") == ""
    stage.set_disk("works")
    stage.machine.run(REPAIR)

    lvmsnap(stage.machine, "down lent", code=124)
    stage.assert_as_before()


@pytest.mark.parametrize("profile", ["lent", "plain"])
def test_a_snapshot_that_overflows_is_lost_and_goes_down_clean(stage: FaultyStage, profile: str) -> None:
    lvmsnap(stage.machine, f"up {profile}")
    stage.machine.run(WRITE.format(count=24))
    assert stage.state(profile) == "lost"
    lvmsnap(stage.machine, "recover")
    assert stage.state(profile) == "lost"
    lvmsnap(stage.machine, f"down {profile}", code=124)
    stage.assert_as_before()


def test_a_snapshot_that_is_full_before_it_is_mounted_is_told_as_such(stage: FaultyStage) -> None:
    overflow = WRITE.format(count=24)
    path = break_commands(stage.machine, Fault("mount", f'{overflow} > /dev/null 2>&1; real "$@"'))

    failed = lvmsnap(stage.machine, "up plain", code=1, path=path)

    assert "the snapshot is full already: give it a larger size" in failed.stderr
    stage.machine.run(f"rm -rf {BIN}")
    stage.assert_as_before()


MEDDLING = {
    "deletes the backing file": (f"rm {FILE}", ""),
    "renames the origin": ("lvrename vg0 system main", "lvrename vg0 main system"),
    "renames the snapshot": ("lvrename vg0 snap other", ""),
}


@pytest.mark.parametrize("meddling", MEDDLING)
def test_down_takes_all_down_whatever_somebody_else_does_while_up(stage: FaultyStage, meddling: str) -> None:
    does, undoes = MEDDLING[meddling]
    lvmsnap(stage.machine, "up lent")
    stage.machine.run(f"{does}; udevadm settle")
    lvmsnap(stage.machine, "status lent")
    lvmsnap(stage.machine, "down lent")
    stage.machine.run(f"{undoes or 'true'}; udevadm settle")
    stage.assert_as_before()
