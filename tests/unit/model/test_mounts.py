"""Which mount a path lies in, found as the kernel finds it."""

from __future__ import annotations

import pytest

from lvmsnap.model.facts import Mount, mount_of, top_mount


def mount(mountpoint: str, own: int, parent: int, number: str = "8:1") -> Mount:
    return Mount(number, "/", mountpoint, "ext4", "/dev/x", own, parent)


ROOT = mount("/", 1, 0)
MEDIA = mount("/media", 2, 1)
SNAP = mount("/media/a/snap", 3, 2)


@pytest.mark.parametrize(
    ("later", "seen"),
    [
        ((), 3),
        ((mount("/media/a", 4, 2),), 4),
        ((mount("/media", 4, 2),), 4),
        ((mount("/media/a/snap", 4, 3),), 4),
        ((mount("/media/a/snap/sub", 4, 3),), 3),
        ((mount("/media/a", 4, 2), mount("/media/a/snap", 5, 4)), 5),
        ((mount("/", 4, 1),), 4),
        ((mount("/media/b", 4, 2),), 3),
    ],
    ids=[
        *("nothing", "on a directory above", "on the parent mount", "on itself", "below it"),
        *("above, and there again", "on the root", "elsewhere"),
    ],
)
def test_a_later_mount_covers_what_is_below_it(later: tuple[Mount, ...], seen: int) -> None:
    found = mount_of("/media/a/snap", (ROOT, MEDIA, SNAP, *later))

    assert found is not None
    assert found.mount_id == seen


def test_what_is_covered_is_not_the_top_mount_of_its_place() -> None:
    assert top_mount((ROOT, MEDIA, SNAP), "/media/a/snap") == SNAP
    assert top_mount((ROOT, MEDIA, SNAP, mount("/media/a", 4, 2)), "/media/a/snap") is None
    assert top_mount((ROOT, MEDIA), "/media/a/snap") is None


def test_a_mount_whose_parent_is_not_in_the_table_is_found_by_its_place() -> None:
    outside = mount("/media/a", 7, 99)

    assert mount_of("/media/a/x", (ROOT, MEDIA, outside)) == outside
