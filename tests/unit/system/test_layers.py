"""What the kernel says of a thin pool, captured from a real one, and of files beneath loop devices."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from lvmsnap.model.facts import Loop, Mount
from lvmsnap.model.looked import Layer
from lvmsnap.model.units import MIB
from lvmsnap.system import block_devices, layers

POOL = "254:2 254:1 128 0 0"
STATUS = "1 112/1024 145/768 - rw no_discard_passdown queue_if_no_space - 256"
FULL = "1 116/1024 768/768 - out_of_data_space no_discard_passdown error_if_no_space - 256"


def test_a_thin_pool_has_room_for_the_blocks_it_has_not_given_yet() -> None:
    assert layers.pool_free_bytes(POOL, STATUS) == (768 - 145) * 64 * 1024


def test_a_thin_pool_has_no_more_room_than_its_metadata_can_map() -> None:
    assert layers.pool_free_bytes(POOL, STATUS.replace("112/1024", "1022/1024")) == 128 * 64 * 1024


@pytest.mark.parametrize(
    "status",
    [
        *(FULL, "Fail", "Error", STATUS.replace(" rw ", " ro "), STATUS.replace("queue_if_no_space -", "needs_check")),
        STATUS.replace("145/768", "768/768"),
    ],
)
def test_a_thin_pool_that_takes_no_writes_has_no_room(status: str) -> None:
    assert layers.pool_free_bytes(POOL, status) == 0


def loop_over(path: Path) -> Loop:
    status = path.stat()
    return Loop("/dev/loop3", "7:3", status.st_dev, status.st_ino, str(path))


def test_a_loop_device_over_a_sparse_file_gives_blocks_when_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse, whole = tmp_path / "sparse", tmp_path / "whole"
    with sparse.open("wb") as file:
        file.truncate(MIB)
    whole.write_bytes(os.urandom(MIB))
    os.sync()
    table = (Mount("8:1", "/", "/", "ext4", "/dev/sda1"),)
    monkeypatch.setattr(block_devices, "loops", lambda: (loop_over(sparse), loop_over(whole)))

    (layer,) = layers.beneath(("7:3",), table)

    assert layer.name == f"sparse file {sparse}"
    assert layer.free_bytes


def test_a_loop_device_over_a_file_that_is_copied_when_written_never_holds_its_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    table = (Mount("0:30", "/", "/", "btrfs", "/dev/sda1"),)
    monkeypatch.setattr(block_devices, "loops", lambda: (loop_over(tmp_path / "file"),))

    assert layers.beneath(("7:3",), table) == (Layer(f"{tmp_path}/file, a file on btrfs", None),)
    assert layers.beneath(("7:4",), table) == ()


def test_a_loop_device_whose_file_is_not_at_its_path_is_unknown_and_not_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, gone = tmp_path / "there", tmp_path / "gone (deleted)"
    there.write_bytes(b"x")
    covered = replace(loop_over(there), file_inode=there.stat().st_ino + 1)
    deleted = replace(covered, device_number="7:4", file_path=str(gone))
    table = (Mount("8:1", "/", "/", "ext4", "/dev/sda1"),)
    monkeypatch.setattr(block_devices, "loops", lambda: (covered, deleted))
    monkeypatch.setattr(block_devices, "is_bound_loop", lambda number: number == "7:5")

    found = layers.beneath(("7:3", "7:4", "7:5", "8:1"), table)

    assert found == (
        Layer(f"{there}, the file of /dev/loop3,", None, is_unknown=True),
        Layer(f"{gone}, the file of /dev/loop3,", None, is_unknown=True),
        Layer("what the loop device 7:5 is attached to", None, is_unknown=True),
    )


def test_a_loop_device_over_a_block_device_holds_what_that_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop("/dev/loop3", "7:3", 6, 1234, "/dev/vg0/system (deleted)", "254:0")
    monkeypatch.setattr(block_devices, "loops", lambda: (loop,))

    assert layers.beneath(("7:3",), (Mount("0:6", "/", "/dev", "tmpfs", "dev"),)) == ()


def test_a_file_of_a_network_beneath_a_loop_device_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_look(*_: object) -> None:
        raise AssertionError("a dead server would hang this")

    table = (Mount("0:30", "/", "/srv", "nfs4", "server:/srv"),)
    monkeypatch.setattr(block_devices, "loops", lambda: (Loop("/dev/loop3", "7:3", 1, 2, "/srv/file"),))
    monkeypatch.setattr(layers, "os", SimpleNamespace(stat=no_look, statvfs=no_look, path=os.path))

    assert layers.beneath(("7:3",), table) == (Layer("/srv/file, a file on nfs4", None),)
