"""What the kernel says of a thin pool, captured from real ones, as the state of a snapshot in it; and refusals."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lvmsnap.model.errors import ToolError
from lvmsnap.model.facts import SnapshotStatus
from lvmsnap.model.units import KIB
from lvmsnap.system import device_mapper
from lvmsnap.system.device_mapper import parse_pool_status

TABLE = "254:0 254:1 128 0 0 "
WELL = "2 116/1024 258/512 - rw no_discard_passdown error_if_no_space - 256 "
FULL = "2 118/1024 512/512 - out_of_data_space no_discard_passdown error_if_no_space - 256 "
WAITING = "2 116/1024 512/512 - out_of_data_space no_discard_passdown queue_if_no_space - 256 "


def test_the_fuller_of_data_and_metadata_is_reported_in_bytes() -> None:
    data = SnapshotStatus(False, 258 * 64 * KIB, 512 * 64 * KIB, part="data")
    metadata = SnapshotStatus(False, 700 * 4 * KIB, 1024 * 4 * KIB, part="metadata")

    assert parse_pool_status(TABLE, WELL) == data
    assert parse_pool_status(TABLE, WELL.replace("116/", "700/")) == metadata


@pytest.mark.parametrize(
    "text",
    [
        *(FULL, WAITING, "Fail", "Error", ""),
        WELL.replace(" rw ", " ro "),
        WELL.replace("error_if_no_space - ", "error_if_no_space needs_check "),
    ],
)
def test_a_pool_that_takes_no_writes_is_a_lost_snapshot(text: str) -> None:
    assert parse_pool_status(TABLE, text).is_lost


def failing(number: int) -> Callable[..., int]:
    def fails(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    return fails


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_look_for_which_something_is_used_up_finds_no_snapshot_gone(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "open", failing(number))

    for look in (device_mapper.devices, lambda: device_mapper.snapshot_status("vg0-snap")):
        with pytest.raises(OSError, match=os.strerror(number)):
            look()


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENODEV, errno.EACCES])
def test_without_device_mapper_there_are_no_devices(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(os, "open", failing(number))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert device_mapper.devices() == ()
    assert device_mapper.snapshot_status("vg0-snap") is None


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_a_root_that_may_not_ask_device_mapper_is_told_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(device_mapper, "CONTROL", "/dev/null")
    monkeypatch.setattr(fcntl, "ioctl", failing(number))

    with pytest.raises(ToolError, match=f"/dev/null: {os.strerror(number)}") as raised:
        device_mapper.devices()
    assert "CapabilityBoundingSet=" in raised.value.hint


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOENT])
def test_a_root_that_device_mapper_is_hidden_from_is_not_told_that_nothing_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "open", failing(number))
    monkeypatch.setattr(device_mapper, "IN_KERNEL", str(tmp_path))

    with pytest.raises(ToolError, match="device-mapper cannot be asked, though we are root") as raised:
        device_mapper.devices()
    assert "PrivateDevices=" in raised.value.hint
    if number == errno.ENOENT:
        monkeypatch.setattr(device_mapper, "IN_KERNEL", f"{tmp_path}/none")
        assert device_mapper.devices() == ()
