"""LVM's copies of its metadata: left out only if there is no room for them."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lvmsnap.execution.context import run_all
from lvmsnap.system import lvm_archive
from lvmsnap.system.processes import Finished

REMOVE = ("lvremove", "--yes", "vg0/snap")
ROOM = {"f_flag": 0, "f_bfree": 1 << 20, "f_frsize": 4096, "f_files": 1000, "f_ffree": 10}
FULL = {**ROOM, "f_bfree": 200}


@pytest.fixture
def looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function that says what the filesystems of the directories are like; it returns what was looked at."""
    monkeypatch.setenv("LVM_SYSTEM_DIR", str(tmp_path))

    def are(**found: Any) -> list[str]:
        asked: list[str] = []

        def statvfs(path: str) -> SimpleNamespace:
            asked.append(path)
            return SimpleNamespace(**found)

        monkeypatch.setattr(os, "statvfs", statvfs)
        return asked

    return are


def test_with_room_no_command_is_changed(looked_at: Any) -> None:
    for found in (ROOM, {**ROOM, "f_files": 0, "f_ffree": 0}):
        looked_at(**found)
        assert lvm_archive.without_copies(REMOVE) == ()


@pytest.mark.parametrize("found", [FULL, {**ROOM, "f_ffree": 0}, {**ROOM, "f_flag": os.ST_RDONLY}])
def test_without_room_lvm_keeps_none_and_other_programs_are_left_as_they_are(looked_at: Any, found: Any) -> None:
    looked_at(**found)

    assert lvm_archive.without_copies(REMOVE) == (*REMOVE, "--autobackup", "n")
    for other in (("umount", "/x"), ("lvmdevices", "--deldev", "/dev/loop7"), ("losetup", "--detach", "/dev/loop7")):
        assert lvm_archive.without_copies(other) == ()


def test_the_directories_are_those_of_lvm_conf(looked_at: Any, tmp_path: Path) -> None:
    (tmp_path / "lvm.conf").write_text(f'backup {{\n  archive_dir = "{tmp_path}/a"\n}}\n')
    (tmp_path / "a").mkdir()

    asked = looked_at(**ROOM)

    assert lvm_archive.why_none() == ""
    assert asked == [f"{tmp_path}/a", str(tmp_path)]  # what is not there yet would be made


class Lvm:
    """An LVM that fails unless it is told to keep no copies."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, ...]] = []

    def run(self, argv: tuple[str, ...]) -> Finished:
        self.ran.append(argv)
        return Finished(argv, 0 if "--autobackup" in argv else 5, "", "No space left on device", 0.0)


def test_a_full_root_keeps_nothing_up(looked_at: Any) -> None:
    runner: Any = Lvm()
    told: list[str] = []

    looked_at(**ROOM)
    assert "No space left" in run_all((REMOVE,), runner, told.append)
    looked_at(**FULL)
    assert run_all((REMOVE,), runner, told.append) == ""

    assert runner.ran == [REMOVE, REMOVE, (*REMOVE, "--autobackup", "n")]
    assert len(told) == 1
    assert "lvremove kept no copy of LVM's metadata: the filesystem of" in told[0]
