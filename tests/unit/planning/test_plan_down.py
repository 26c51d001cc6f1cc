"""The plan of the way down: what exists, in the opposite order, and nothing of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lvmsnap.model.facts import Facts
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.plan import Direction, Key, Thing
from lvmsnap.planning import planner
from tests import samples
from tests.samples import TARGET
from tests.unit.planning.test_planner import things


def test_down_takes_what_exists_in_the_opposite_order() -> None:
    plan = planner.plan_down(TARGET, samples.up_facts(), samples.record())

    assert plan.direction is Direction.DOWN
    assert things(plan) == [
        *(Thing.MOUNT, Thing.DIRECTORY, Thing.SNAPSHOT),
        *(Thing.VG_MEMBER, Thing.PV, Thing.LOOP, Thing.FILE),
    ]


def test_down_leaves_alone_what_is_not_ours() -> None:
    foreign = samples.vg(samples.snapshot_lv(tags=()), pvs=(samples.DISK,))
    facts = samples.up_facts(foreign, file=replace(samples.FILE_FACTS, pv_uuid=samples.OTHER_UUID), loops=())

    assert things(planner.plan_down(TARGET, facts, samples.record())) == []  # the mount is of the foreign snapshot
    assert planner.plan_down(TARGET, samples.facts(), samples.record()).actions == ()


def test_a_plan_of_down_has_the_names_of_now_throughout() -> None:
    plan = planner.plan_down(TARGET, samples.up_facts(samples.renamed()), samples.record())

    text = str(plan)
    assert "vg1/other" in text
    assert [name for name in ("vg0", samples.SNAPSHOT, "'system'") if name in text] == []


def test_a_missing_lent_pv_is_taken_out_without_force() -> None:
    group = samples.vg(pvs=(samples.DISK, samples.lent_pv(device="[unknown]", missing=True)))

    plan = planner.plan_down(TARGET, samples.facts(group), samples.record())

    assert [action.undo for action in plan.actions] == [
        (("vgreduce", "--removemissing", "vg0"), ("vgchange", "--activate", "ay", "vg0"))
    ]


@pytest.mark.parametrize("group", ["", "[unknown]"])  # the latter after a vgreduce that could not write to the PV
def test_a_label_that_cannot_be_wiped_holds_nothing_back_once_the_group_is_there_without_the_pv(group: str) -> None:
    alone = samples.up_facts(samples.vg(), orphan_pvs=(samples.lent_pv(vg=group),))
    label = Key(Thing.PV, samples.LOOP.device)

    assert label not in loop_waits_for(alone)
    assert label in loop_waits_for(samples.up_facts())
    assert label in loop_waits_for(replace(alone, vgs=()))  # which LVM may report again, and with the PV


def loop_waits_for(facts: Facts) -> tuple[Key, ...]:
    actions = planner.plan_down(TARGET, facts, samples.record()).actions
    return next(action.needs_gone for action in actions if action.thing is Thing.LOOP)


def test_a_suspended_origin_goes_on_by_lvm_where_it_has_a_snapshot_else_by_hand() -> None:
    suspended = samples.dm("vg0-system", dm_uuid(samples.VG_UUID, samples.ORIGIN_UUID), suspended=True)
    real = replace(suspended, name="vg0-system-real", uuid=f"{suspended.uuid}-real")

    with_snapshot = planner.plan_down(TARGET, samples.up_facts(dm_devices=(suspended,)), None)
    without = planner.plan_down(TARGET, samples.facts(dm_devices=(suspended,)), None)
    beneath = planner.plan_down(TARGET, samples.up_facts(dm_devices=(real,)), None)

    (by_lvm,) = [a.undo for a in with_snapshot.actions if a.thing is Thing.SUSPENDED_ORIGIN]
    assert by_lvm == (("lvchange", "--refresh", "vg0/system"),)
    assert without.actions[0].undo == (("dmsetup", "clear", "vg0-system"), ("dmsetup", "resume", "vg0-system"))
    (by_hand,) = [a.undo for a in beneath.actions if a.thing is Thing.SUSPENDED_ORIGIN]
    assert by_hand == (("dmsetup", "clear", "vg0-system-real"), ("dmsetup", "resume", "vg0-system-real"))


@pytest.mark.parametrize(
    ("is_on_layer", "commands"),
    [
        (False, ("dmsetup clear vg0-system", "dmsetup remove vg0-snap", "dmsetup remove vg0-system-real")),
        (True, ("dmsetup remove vg0-snap", "lvchange --refresh vg0/system")),
    ],
)
def test_a_layer_that_nothing_needs_any_more_is_taken_off_by_lvm_where_the_origin_is_on_it(
    is_on_layer: bool, commands: tuple[str, ...]
) -> None:
    origin = dm_uuid(samples.VG_UUID, samples.ORIGIN_UUID)
    gone = replace(samples.TARGET.snapshots[0], name="snap", dm_uuid=dm_uuid(samples.VG_UUID, samples.OTHER_UUID))
    devices = (
        samples.dm("vg0-snap", gone.dm_uuid),
        replace(samples.dm("vg0-system", origin), is_on_layer=is_on_layer),
        samples.dm("vg0-system-real", f"{origin}-real"),
    )

    plan = planner.plan_down(replace(TARGET, snapshots=(gone,)), samples.facts(dm_devices=devices), None)

    (undo,) = [action.undo for action in plan.actions if action.thing is Thing.LEFTOVER_DEVICES]
    assert tuple(map(" ".join, undo)) == commands


@pytest.mark.parametrize("facts", [samples.facts, samples.up_facts])
def test_while_lvm_merges_the_snapshot_the_way_down_has_no_command(facts: Callable[..., Facts]) -> None:
    plan = planner.plan_down(TARGET, facts(samples.merging()), samples.record())

    assert [(action.thing, action.do, action.undo) for action in plan.actions] == [(Thing.SNAPSHOT, (), ())]
    assert [check.passed for check in plan.checks] == [False]
    assert plan.checks[0].sentence.startswith(f"LVM is merging vg0/{samples.SNAPSHOT} into vg0/system: nothing")


def test_a_snapshot_goes_without_dmeventd_watching_another_profiles_one() -> None:
    weekly = samples.snapshot_lv(name="weekly", uuid=samples.OTHER_UUID, tags=(samples.TARGET.tag[:-7] + "weekly",))
    theirs = samples.snapshot_lv(name="theirs", uuid=samples.DISK_UUID, tags=("backup",))
    group = samples.vg(samples.snapshot_lv(), weekly, theirs, pvs=(samples.DISK, samples.lent_pv()))

    plan = planner.plan_down(TARGET, samples.up_facts(group), None)

    (remove,) = [action for action in plan.actions if action.thing is Thing.SNAPSHOT]
    assert [argv[0] for argv in remove.undo] == ["lvremove", "lvchange"]
    assert remove.undo[1] == ("lvchange", "--monitor", "n", "--select", "lv_name=weekly", "vg0")
