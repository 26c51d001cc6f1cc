"""A snapshot that a killed command made half-way is known by its devices, and what LVM stumbles over goes first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvmsnap.model.facts import DmDevice
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.plan import Thing
from lvmsnap.planning import planner
from lvmsnap.planning.half_made import origin_devices
from tests import samples

SNAP, COW, REAL = "vg0-snap", "vg0-snap-cow", "vg0-system-real"
UUIDS = {
    SNAP: dm_uuid(samples.VG_UUID, samples.SNAPSHOT_UUID),
    COW: f"{dm_uuid(samples.VG_UUID, samples.SNAPSHOT_UUID)}-cow",
    REAL: f"{dm_uuid(samples.VG_UUID, samples.ORIGIN_UUID)}-real",
}
REFRESH = ("lvchange", "--refresh", "vg0/system")


def device(name: str, *, has_table: bool = True, suspended: bool = False) -> DmDevice:
    return replace(samples.dm(name, UUIDS[name], suspended=suspended), has_table=has_table)


def undo(*devices: DmDevice, other: bool = False) -> tuple[tuple[str, ...], ...]:
    """Return what is done before the snapshot is removed; with `other` the origin has a snapshot of somebody else's."""
    taken = samples.snapshot_lv(name="snap")
    others = (samples.lv("theirs", origin="system"),) if other else ()
    facts = samples.up_facts(samples.vg(taken, *others), dm_devices=devices, mounts=(), loops=(), file=None)
    plan = planner.plan_down(samples.target(lent_pv=None, snapshot="snap", mount=None), facts, None)
    assert plan.actions[-1].thing is Thing.SNAPSHOT
    return tuple(argv for action in plan.actions[:-1] for argv in action.undo)


def test_an_origin_whose_uuid_is_not_known_has_no_devices_of_its_group() -> None:
    unknown = replace(samples.TARGET.snapshots[0], origin_uuid="")
    assert origin_devices(samples.TARGET.snapshots[0], (device(REAL),)) == (device(REAL),)
    assert origin_devices(unknown, (device(REAL), device(SNAP))) == ()


def test_one_that_is_whole_or_in_the_metadata_alone_is_removed_as_it_is() -> None:
    assert undo(device(SNAP), device(COW), device(REAL)) == ()
    assert undo(device(SNAP), device(COW, suspended=True), device(REAL)) == ()
    assert undo() == ()
    assert undo(device(REAL), other=True) == ()


@pytest.mark.parametrize(
    ("devices", "removed"),
    [
        ((device(REAL, has_table=False),), ("clear vg0-system", f"remove {REAL}")),
        ((device(REAL), device(COW, has_table=False)), (f"remove {COW}",)),
        ((device(REAL), device(COW)), ()),
        ((device(REAL), device(COW), device(SNAP, has_table=False)), (f"remove {SNAP}",)),
        (
            (device(COW, has_table=False), device(SNAP, has_table=False), device(REAL)),
            (f"remove {SNAP}", f"remove {COW}"),
        ),
        # LVM would read it while it loads the snapshot's table, and wait for ever.
        (
            (device(COW, suspended=True), device(SNAP, has_table=False), device(REAL)),
            (f"remove {SNAP}", f"remove {COW}"),
        ),
        ((device(COW, suspended=True), device(REAL)), (f"remove {COW}",)),
    ],
)
def test_what_has_no_table_in_use_is_removed_and_lvm_makes_the_rest(
    devices: tuple[DmDevice, ...], removed: tuple[str, ...]
) -> None:
    assert undo(*devices) == (*(("dmsetup", *words.split()) for words in removed), REFRESH)
