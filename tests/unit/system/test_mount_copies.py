"""Which mounts of a snapshot stay when its mountpoint is unmounted, by the peer groups of their parents."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lvmsnap.model.facts import Mount
from lvmsnap.system.mount_copies import staying

RUN = Mount("0:21", "/", "/run", "tmpfs", "tmpfs", 23, 21, shared="5")
ROOT = Mount("8:1", "/", "/", "ext4", "/dev/sda1", 21, 1, shared="1")
TOP = Mount("254:3", "/", "/run/lvmsnap/p", "ext4", "/dev/mapper/x", 40, 23, shared="9")
OURS = (ROOT, RUN, TOP)


def namespace(*, shared: str = "", master: str = "", **top: Any) -> tuple[Mount, ...]:
    """Return another namespace's copy of our table; /run is in the given groups there."""
    groups: dict[str, Any] = {"shared": shared, "master": master}
    copies = (replace(ROOT, mount_id=51, **groups), replace(RUN, mount_id=53, parent_id=51, **groups))
    return (*copies, replace(TOP, mount_id=60, parent_id=53, **top))


@pytest.mark.parametrize("groups", [{"shared": "5"}, {"master": "5"}, {"master": "5", "shared": "70"}])
def test_a_copy_whose_parent_follows_ours_goes_along(groups: dict[str, str]) -> None:
    assert staying(TOP, {"ours": OURS, "other": namespace(**groups)}, "ours") == ()


def test_a_copy_that_follows_by_way_of_a_third_namespace_goes_along() -> None:
    middle, far = namespace(master="5", shared="70"), namespace(master="70")

    assert staying(TOP, {"ours": OURS, "middle": middle, "far": far}, "ours") == ()
    assert [where for where, _ in staying(TOP, {"ours": OURS, "far": far}, "ours")] == ["far"]


@pytest.mark.parametrize("groups", [{}, {"shared": "6"}, {"master": "6"}])
def test_a_copy_in_a_namespace_of_its_own_stays(groups: dict[str, str]) -> None:
    other = namespace(**groups)

    assert staying(TOP, {"ours": OURS, "other": other}, "ours") == (("other", other[2]),)


def test_a_copy_at_another_place_or_of_a_part_stays_though_its_parent_follows() -> None:
    moved = namespace(master="5", mountpoint="/run/elsewhere")
    part = namespace(master="5", root="/sub")

    assert len(staying(TOP, {"ours": OURS, "moved": moved, "part": part}, "ours")) == 2


def test_a_bind_mount_of_ours_stays_and_one_of_the_parent_goes_along() -> None:
    bind = replace(TOP, mount_id=41, parent_id=21, root="/sub", mountpoint="/mnt")
    run_again = replace(RUN, mount_id=42, parent_id=21, root="/lvmsnap", mountpoint="/srv/run")
    copy = replace(TOP, mount_id=43, parent_id=42, mountpoint="/srv/run/p")

    assert staying(TOP, {"ours": (*OURS, bind, run_again, copy)}, "ours") == (("ours", bind),)


def test_where_nothing_is_shared_every_copy_stays() -> None:
    private = tuple(replace(mount, shared="") for mount in OURS)

    assert len(staying(TOP, {"ours": private, "other": namespace()}, "ours")) == 1


def test_another_mount_beneath_it_at_the_same_place_is_unmounted_in_its_turn() -> None:
    above = replace(TOP, mount_id=41, parent_id=40)

    assert staying(above, {"ours": (*OURS, above)}, "ours") == ()
