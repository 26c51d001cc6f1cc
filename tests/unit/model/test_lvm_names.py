"""LVM's rules for names, and device-mapper's."""

from __future__ import annotations

import pytest

from lvmsnap.model.lvm_names import dm_name, lvm_name, name_problem, origin_name_problem


def test_dashes_are_doubled_in_device_mapper_names() -> None:
    assert dm_name("my-vg", "a-b--c") == "my--vg-a--b----c"


@pytest.mark.parametrize("names", [("vg0", "system"), ("my-vg", "a-b--c"), ("vg-", "x-")])
def test_a_volumes_name_is_read_from_its_devices(names: tuple[str, str]) -> None:
    assert lvm_name(dm_name(*names)) == "/".join(names)
    assert lvm_name("cryptroot") == ""


@pytest.mark.parametrize("name", ["snap1", "a.b", "+x", "_x", "x-", "lvol0", "my_snapshot", "x" * 100])
def test_a_name_that_lvm_takes_has_no_problem(name: str) -> None:
    assert name_problem("vg0", name) is None


@pytest.mark.parametrize(
    "name",
    ["", "-a", ".", "..", "a b", "a/b", "é", "snapshot", "snapshot0", "pvmove0", "x_tmeta", "a_mlog_b", "x_corig"],
)
def test_a_name_that_lvm_refuses_has_a_problem(name: str) -> None:
    assert name_problem("vg0", name)


@pytest.mark.parametrize(("length", "fits"), [(119, True), (120, False)])
def test_the_device_mapper_name_with_cow_has_at_most_127_characters(length: int, fits: bool) -> None:
    assert len(dm_name("vg0", "x" * 119) + "-cow") == 127
    assert (name_problem("vg0", "x" * length) is None) == fits


def test_an_origin_needs_room_for_its_own_hidden_device() -> None:
    assert origin_name_problem("vg0", "x" * 118) is None
    assert origin_name_problem("vg0", "x" * 119)
    assert (
        origin_name_problem("-vg", "x") == "has a volume group name that begins with a dash, which LVM does not allow"
    )
