"""What the kernel says of a thin pool, captured from real ones, as the state of a snapshot in it."""

from __future__ import annotations

import pytest

from lvmsnap.model.facts import SnapshotStatus
from lvmsnap.model.units import KIB
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
