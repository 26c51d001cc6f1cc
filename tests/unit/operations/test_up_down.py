"""All that bears a profile's marks is found and taken down, one after the other, where the record is lost."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from lvmsnap.execution import executor, locks, records
from lvmsnap.model import lvm_names
from lvmsnap.model.errors import (
    InterruptedBySignalError,
    LvmsnapError,
    Refusal,
    RefusedError,
    ResidueError,
    StepError,
)
from lvmsnap.model.facts import Facts
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.target import Record, Target
from lvmsnap.operations import named_profile, preparation, recover, sessions, status, up_down
from lvmsnap.planning import lost_record
from lvmsnap.planning.state import State
from lvmsnap.system import device_mapper, reading
from tests import samples
from tests.samples import HOST

TAGS = (lvm_names.snapshot_tag("nightly", HOST),)
ORIGINS = (samples.ORIGIN, samples.lv("data", uuid="data"), samples.lv("sysnew", uuid="sysnew"))
OF_DATA = samples.lv("data-lvmsnap-nightly", uuid="one", tags=TAGS, origin="data", attr="swi-a-s---")
OF_RENAMED = samples.snapshot_lv(uuid="two", origin="sysnew")
PROFILE = samples.profile()


def machine(*snapshots: Any) -> Facts:
    return samples.facts(replace(samples.vg(), lvs=(*ORIGINS, *snapshots)))


class World:
    """A machine whose snapshots go as lvmsnap takes them down; `refused` is one that cannot be."""

    def __init__(self, patch: pytest.MonkeyPatch, *snapshots: Any, refused: str = "") -> None:
        self.system, self.refused = machine(*snapshots), refused
        self.taken: list[str] = []
        progress = SimpleNamespace(note=lambda _: None, warn=lambda _: None)
        self.record: Record | None = None
        self.locked: list[tuple[str, ...]] = []
        given = {"signals": nullcontext(), "profile_dir": "/nowhere", "progress": progress}
        self.working: Any = SimpleNamespace(runner=None, waiting=lambda: None, **given)
        for module, name, fake in (
            (records, "names", tuple),
            (records, "exists", lambda _: False),
            (records, "read", lambda _: self.record),
            (records, "is_unreadable", lambda _: False),
            (records, "remove", lambda _: None),
            (reading, "read_system", lambda *_, **__: self.system),
            (reading, "focus", lambda system, _interest: system),
            (executor, "bring_down", self._bring_down),
            (sessions, "walking", lambda *_: nullcontext()),
            (locks, "reading", self._reading),
            (device_mapper, "devices", lambda: self.system.dm_devices),
            (sessions, "work", lambda *_, **__: None),
        ):
            patch.setattr(module, name, fake)

    def _reading(self, groups: tuple[str, ...], _: object) -> AbstractContextManager[None]:
        self.locked.append(groups)
        return nullcontext()

    def _bring_down(self, target: Target, *_: object) -> tuple[str, ...]:
        if self.refused in [one.name for one in target.snapshots]:
            raise RefusedError((Refusal("it is locked", "wait"),))
        self.taken += [one.name for one in target.snapshots]
        self.system, self.record = lost_record.without(self.system, target), None
        return ()

    def recover(self) -> tuple[recover.Recovered, ...]:
        return recover.recover(self.working, ("nightly",), lambda _: PROFILE)


@pytest.mark.parametrize("command", ["recover", "down"])
def test_a_tagged_snapshot_is_taken_down_though_its_origin_was_renamed(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    world = World(monkeypatch, OF_RENAMED)

    if command == "recover":
        assert [item.is_taken_down for item in world.recover()] == [True]
    else:
        assert up_down.down(world.working, "nightly", lambda: PROFILE, force=False)

    assert world.taken == [samples.SNAPSHOT]


@pytest.mark.parametrize("command", ["recover", "down", "up --replace"])
def test_what_is_read_before_a_change_is_read_under_the_lock_of_the_groups_name_of_now(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    world = World(monkeypatch)
    device = samples.dm("vg1-other", dm_uuid(samples.VG_UUID, samples.SNAPSHOT_UUID))
    world.system, world.record = samples.up_facts(samples.renamed(), dm_devices=(device,)), samples.record()
    monkeypatch.setattr(preparation, "refuse_hopeless", lambda *_: None)

    if command == "recover":
        world.recover()
    elif command == "down":
        up_down.down(world.working, "nightly", lambda: PROFILE, force=False)
    else:
        with pytest.raises(LvmsnapError):
            up_down.up(world.working, PROFILE, "", replace_old=True, if_down=False)

    # The profile itself still names vg0.
    assert world.locked[0] == (("vg0", "vg1") if command == "up --replace" else ("vg1",))


def test_up_if_down_returns_the_names_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.system, world.record = samples.up_facts(samples.renamed()), samples.record()

    target = up_down.up(world.working, PROFILE, "", replace_old=False, if_down=True)

    assert [one.path for one in target.snapshots] == ["vg1/other"]


@pytest.mark.parametrize("command", ["recover", "down", "up --replace"])
def test_all_snapshots_with_a_profiles_tag_are_taken_down(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    world = World(monkeypatch, OF_DATA, OF_RENAMED)
    monkeypatch.setattr(preparation, "refuse_hopeless", lambda *_: None)
    monkeypatch.setattr(preparation, "plan_up", lambda *_, **__: (_ for _ in ()).throw(LvmsnapError("planned")))

    if command == "recover":
        ((_, plan),) = recover.plan_recover(world.working, ("nightly",), lambda _: PROFILE)
        assert [action.object for action in plan.actions] == [f"vg0/{samples.SNAPSHOT}", f"vg0/{OF_DATA.name}"]
        world.recover()
    elif command == "down":
        up_down.down(world.working, "nightly", lambda: PROFILE, force=False)
    else:
        with pytest.raises(LvmsnapError, match="planned"):
            up_down.up(world.working, PROFILE, "", replace_old=True, if_down=False)

    assert sorted(world.taken) == [OF_DATA.name, samples.SNAPSHOT]


def test_a_refusal_of_the_second_does_not_say_that_nothing_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = samples.record(origin="data", origin_uuid="data", snapshot=OF_DATA.name, lent_pv=None, mount=None)
    world = World(monkeypatch, OF_DATA, OF_RENAMED, refused=samples.SNAPSHOT)
    world.record = recorded
    with pytest.raises(StepError, match="one snapshot of nightly was taken down, but not all"):
        up_down.down(world.working, "nightly", lambda: PROFILE, force=False)

    world = World(monkeypatch, OF_DATA, OF_RENAMED, refused=samples.SNAPSHOT)
    world.record = replace(recorded, boot_id=samples.EARLIER_BOOT)
    with pytest.raises(StepError, match="the old snapshot of nightly was taken down, but not all"):
        world.recover()


RESIDUE = ResidueError("nightly could not be taken down", residue=("mount: /m",), commands=("umount /m",))
LATER_RESIDUE = ResidueError("nightly could not be taken down", residue=("mount: /n",), commands=("umount /n",))
HALF_DONE, REFUSED = StepError("one was taken down, but not all"), RefusedError((Refusal("it is locked", "wait"),))
BEFORE_ANYTHING, ALL_DOWN = LvmsnapError("no space left"), InterruptedBySignalError(15, "it is all down")


@pytest.mark.parametrize(
    ("first", "again", "reported"),
    [
        (RESIDUE, BEFORE_ANYTHING, RESIDUE),
        (RESIDUE, REFUSED, RESIDUE),
        (RESIDUE, HALF_DONE, RESIDUE),
        (RESIDUE, LATER_RESIDUE, LATER_RESIDUE),
        (RESIDUE, ALL_DOWN, ALL_DOWN),
        (HALF_DONE, BEFORE_ANYTHING, HALF_DONE),
        (HALF_DONE, REFUSED, HALF_DONE),
        (HALF_DONE, RESIDUE, RESIDUE),
        (REFUSED, BEFORE_ANYTHING, BEFORE_ANYTHING),
        (BEFORE_ANYTHING, REFUSED, REFUSED),
    ],
)
def test_a_second_try_that_did_nothing_does_not_hide_what_the_first_one_left(
    monkeypatch: pytest.MonkeyPatch, first: LvmsnapError, again: LvmsnapError, reported: LvmsnapError
) -> None:
    world, tries = World(monkeypatch, OF_RENAMED), iter((first, again))

    def fail(*_: object) -> None:
        raise next(tries)

    monkeypatch.setattr(executor, "bring_down", fail)
    with pytest.raises(LvmsnapError) as caught:
        world.recover()

    assert caught.value is reported


def test_what_is_there_after_it_was_taken_down_is_not_taken_down_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, OF_DATA, samples.lv("odd", uuid="odd", tags=TAGS, segment_types=("raid1",)))

    up_down.down(world.working, "nightly", lambda: PROFILE, force=False)

    assert world.taken == [OF_DATA.name, "odd"]


def test_the_state_of_a_snapshot_with_our_tag_is_not_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, OF_RENAMED)
    monkeypatch.setattr(named_profile, "load_if_there", lambda *_: PROFILE)

    (found,) = status.statuses(world.working, ("nightly",))

    assert (found.state, found.snapshot) == (State.PARTIAL, f"vg0/{samples.SNAPSHOT}")
    assert found.problem == "missing: mount"
