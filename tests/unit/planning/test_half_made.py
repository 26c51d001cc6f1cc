"""A snapshot that a killed command made half-way is known by its devices, and what LVM stumbles over goes first."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

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


# --- a thin snapshot whose creation LVM had not finished with ---------------------------------------------------------

POOL = "vg0-pool-tpool"
POOL_UUID = f"{dm_uuid(samples.VG_UUID, samples.OTHER_UUID)}-tpool"
QUEUED = {"attr": "Vwi---tz-k", "thin_id": 3, "transaction_id": 4}
COMPLAINT = """  device-mapper: message ioctl on  (254:2) failed: File exists
  Failed to process message "create_snap 3 1".
  Failed to update pool vg0/pool."""


def removal(kernel: int | None = 4, pool: int = 5, **snapshot: Any) -> tuple[str, ...]:
    """Return what removes a thin snapshot; `kernel` and `pool` are the pool's transaction in fact and in LVM's eyes."""
    devices = () if kernel is None else (replace(samples.dm(POOL, POOL_UUID), transaction_id=kernel),)
    taken = samples.thin_lv(**{**QUEUED, **snapshot})
    facts = samples.thin_facts(taken, pool={"transaction_id": pool}, dm_devices=devices, mounts=())
    plan = planner.plan_down(samples.thin_target(mount=None), facts, None)
    (action,) = [action for action in plan.actions if action.thing is Thing.SNAPSHOT]
    return action.undo[0]


def test_where_lvm_may_not_have_told_the_pool_that_a_snapshot_is_created_that_is_said_if_it_is() -> None:
    program, *_, pool, thin_id, message, remove = removal()[:8]
    assert (program, pool, thin_id, message, remove) == ("sh", POOL, "3", "set_transaction_id 4 5", "lvremove")


@pytest.mark.parametrize(
    "other",
    [
        {"kernel": 5},
        {"kernel": 3},
        {"kernel": None},
        {"pool": 6},
        {"transaction_id": 3},
        {"thin_id": None},
        {"attr": "Vwi-aotz-k"},
    ],
)
def test_otherwise_nothing_but_lvm_changes_the_pool(other: dict[str, Any]) -> None:
    assert removal(**other)[0] == "lvremove"


@pytest.mark.parametrize(
    ("first", "message", "code", "called"),
    [
        ("exit 0", "exit 0", 0, ["lvremove"]),
        (f"echo '{COMPLAINT}' >&2; exit 5", "exit 0", 0, ["lvremove", "dmsetup", "lvremove"]),
        (f"echo '{COMPLAINT}' >&2; exit 5", "exit 1", 5, ["lvremove", "dmsetup"]),
        ("echo 'Failed to lock logical volume vg0/snap.' >&2; exit 5", "exit 0", 5, ["lvremove"]),
        (f"echo '{COMPLAINT.replace('snap 3', 'snap 30')}' >&2; exit 5", "exit 0", 5, ["lvremove"]),
        (f"echo '{COMPLAINT.replace('File exists', 'No space left')}' >&2; exit 3", "exit 0", 3, ["lvremove"]),
    ],
)
def test_only_where_lvm_finds_the_snapshot_in_the_pool_it_is_said_to_be_created(
    tmp_path: Path, first: str, message: str, code: int, called: list[str]
) -> None:
    calls = tmp_path / "calls"
    for name, body in {"lvremove": f"[ -e {calls}.1 ] && exit; : > {calls}.1; {first}", "dmsetup": message}.items():
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {calls}\n{body}\n')
        (tmp_path / name).chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    done = subprocess.run(removal(), env=path, capture_output=True, text=True, check=False)

    words = [line.split() for line in calls.read_text().splitlines()]
    assert (done.returncode, [line[0] for line in words]) == (code, called)
    assert ("create_snap" in done.stderr or "lock" in done.stderr) == bool(code)
    if "dmsetup" in called:
        assert words[1] == ["dmsetup", "message", POOL, "0", "set_transaction_id", "4", "5"]
