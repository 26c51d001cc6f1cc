"""Arithmetic of sizes: rounding to extents, percentages, the most an origin can use."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvmsnap.model.units import GIB, KIB, MIB, TIB
from lvmsnap.planning.sizing import human, largest_useful_bytes, lent_extents, snapshot_extents
from tests import samples
from tests.samples import EXTENT


def extents(
    volume: str, *, file: str = "", origin_bytes: int = 10 * GIB, free: int = 1000, extent: int = EXTENT
) -> int:
    profile = samples.with_file(file, volume) if file else samples.profile(_text(volume))
    group = samples.vg(free_extents=free, extent_size_bytes=extent)
    return snapshot_extents(
        profile.volumes[0], profile.backing_file("vg0"), group, samples.lv("system", size_bytes=origin_bytes)
    )


def _text(volume: str) -> str:
    return f"volumes:\n  - origin: vg0/system\n    {volume}\n"


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ("size: 64MiB", 16),
        ("size: 65MiB", 17),  # rounded up to a whole extent, as lvcreate does
        ("size: 1MiB", 1),
        ("size: 1%ORIGIN", 37),
        ("size: 100%ORIGIN", 2571),
        ("size: 50%FREE", 500),
        ("size: 33%FREE", 330),
        ("size: 100%FREE", 1000),
    ],
)
def test_a_size_becomes_whole_extents(volume: str, expected: int) -> None:
    assert extents(volume) == expected


def test_space_that_is_closed_to_allocation_is_not_free() -> None:
    closed = replace(samples.DISK, allocatable=False)
    open_one = replace(samples.DISK, extents=1000, allocated_extents=600)
    group = samples.vg(free_extents=2400, pvs=(closed, open_one))
    profile = samples.profile(_text("size: 50%FREE"))

    assert snapshot_extents(profile.volumes[0], None, group, samples.lv("system", size_bytes=10 * GIB)) == 200


def test_a_percentage_of_the_origin_is_what_lvcreate_makes_of_it() -> None:
    assert extents("size: 1%ORIGIN", origin_bytes=8 * GIB) == 30


def test_a_percentage_of_free_space_is_rounded_down_but_never_to_nothing() -> None:
    assert extents("size: 50%FREE", free=3) == 1
    assert extents("size: 1%FREE", free=3) == 1


@pytest.mark.parametrize(
    ("size", "file_size", "expected"),
    [("100%PVS", "65MiB", 16), ("100%PVS", "64MiB", 15), ("50%PVS", "65MiB", 8), ("50%PVS", "61MiB", 7)],
)
def test_a_percentage_of_the_lent_space_leaves_out_the_pv_header_and_rounds_down(
    size: str, file_size: str, expected: int
) -> None:
    assert extents(f"size: {size}", file=f"size: {file_size}") == expected


def test_more_than_the_origin_can_use_is_cut_to_what_it_can() -> None:
    # 64 MiB in chunks of 4 KiB: 1 header + 16384 chunks + 65 metadata chunks = 67379200 bytes = 17 extents of 4 MiB.
    assert extents("size: 4GiB", origin_bytes=64 * MIB) == 17
    assert extents("size: 200%ORIGIN", origin_bytes=64 * MIB) == 17


def test_the_cut_depends_on_the_chunk_size() -> None:
    assert extents("size: 4GiB\n    chunk_size: 512KiB", origin_bytes=64 * MIB, extent=1 * MIB) == 65
    assert extents("size: 4GiB", origin_bytes=64 * MIB, extent=1 * MIB) == 65
    assert extents("size: 4GiB", origin_bytes=512 * MIB, extent=1 * MIB) == 515


@pytest.mark.parametrize(
    ("origin_bytes", "chunk_bytes", "expected"),
    [
        (64 * MIB, 4 * KIB, (1 + 16384 + 65) * 4 * KIB),
        (4 * KIB, 4 * KIB, 3 * 4 * KIB),
        (255 * 4 * KIB, 4 * KIB, (1 + 255 + 1) * 4 * KIB),
        (256 * 4 * KIB, 4 * KIB, (1 + 256 + 2) * 4 * KIB),  # one more metadata chunk to end the full one
        (4 * KIB + 1, 4 * KIB, 4 * 4 * KIB),
        (1 * GIB, 512 * KIB, (1 + 2048 + 1) * 512 * KIB),
    ],
)
def test_the_largest_useful_size_is_header_chunks_and_their_metadata(
    origin_bytes: int, chunk_bytes: int, expected: int
) -> None:
    assert largest_useful_bytes(origin_bytes, chunk_bytes) == expected


def test_a_backing_file_lends_what_is_behind_its_first_mebibyte() -> None:
    assert lent_extents(None, EXTENT) == 0
    assert lent_extents(samples.with_file().backing_file("vg0"), EXTENT) == 0
    assert lent_extents(samples.with_file("size: 1MiB").backing_file("vg0"), EXTENT) == 0
    assert lent_extents(samples.with_file("size: 5MiB").backing_file("vg0"), EXTENT) == 1


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (5000 * TIB, "5000 TiB"),
        (65 * MIB, "65 MiB"),
        (4 * GIB, "4 GiB"),
    ],
)
def test_a_size_is_reported_in_iec_units(size_bytes: int, text: str) -> None:
    assert human(size_bytes) == text
