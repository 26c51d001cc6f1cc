"""What must go on before a held origin does, from a tree of devices in /sys."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvmsnap.system import dm_tree
from lvmsnap.system.dm_tree import Tree
from tests import samples

# MAJOR:MINOR of each device, and on what it lies.
DEVICES = {
    "254:0": ("LVM-g-o", ("254:1",)),
    "254:1": ("LVM-g-o-real", ("254:2", "254:3")),
    "254:2": ("LVM-g-leg0", ("8:1",)),
    "254:3": ("LVM-g-leg1", ("9:1",)),
    "254:4": ("LVM-g-s", ("254:1", "254:5")),
    "254:5": ("LVM-g-s-cow", ("8:1",)),
    "254:6": ("LVM-g-other", ("8:1",)),
    "254:7": ("LVM-g-p", ("254:8",)),
    "254:8": ("CRYPT-x", ("8:1",)),
}


@pytest.fixture
def sysfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, (_, beneath) in DEVICES.items():
        for under in beneath:
            link(tmp_path / number / "slaves", under)
            link(tmp_path / under / "holders", number)
    monkeypatch.setattr(dm_tree, "SYS_DEV_BLOCK", str(tmp_path))


def link(folder: Path, number: str) -> None:
    where = folder / f"block{number.replace(':', '-')}"
    where.mkdir(parents=True)
    (where / "dev").write_text(f"{number}\n")


KNOWN = tuple(samples.dm(uuid, uuid) for uuid, _ in DEVICES.values())
KNOWN = tuple(
    type(device)(number, device.name, device.uuid, suspended=False)
    for number, device in zip(DEVICES, KNOWN, strict=True)
)


@pytest.mark.usefixtures("sysfs")
def test_legs_come_before_their_mirror_and_snapshots_after_what_they_lie_on() -> None:
    found = dm_tree.tree("LVM-g-o", KNOWN)

    assert (found.origin, found.real) == ("LVM-g-o", "LVM-g-o-real")
    assert found.below == ("LVM-g-leg0", "LVM-g-leg1", "LVM-g-o-real", "LVM-g-s-cow", "LVM-g-s")


@pytest.mark.usefixtures("sysfs")
def test_what_lvm_does_not_suspend_is_no_part_of_it() -> None:
    assert dm_tree.tree("LVM-g-other", KNOWN).below == ()
    assert dm_tree.tree("LVM-g-p", KNOWN).below == ()


@pytest.mark.usefixtures("sysfs")
def test_an_origin_without_a_device_has_nothing_below() -> None:
    assert dm_tree.tree("LVM-g-gone", KNOWN) == Tree("LVM-g-gone", "LVM-g-gone-real", ())
