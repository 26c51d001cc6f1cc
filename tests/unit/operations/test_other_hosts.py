"""What another host made is named and left alone; only on request it is taken."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from lvmsnap.execution import executor, locks, records
from lvmsnap.execution.context import Work
from lvmsnap.model.errors import LvmsnapError, RefusedError, UsageError
from lvmsnap.model.facts import Facts
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.target import Record, Target
from lvmsnap.operations import history, other_hosts, sessions, status
from lvmsnap.planning.state import State, of_target
from lvmsnap.system import device_mapper, path_facts, reading
from tests import samples
from tests.samples import DISK, HOST, OTHER_HOST

THEIR_PV = "lvmsn2-4e5f-6071-2a3b-62b5-bbbb-cccccc"
THEIR_TAG = f"lvmsnap2.{OTHER_HOST}.nightly"
OLD_TAG = "lvmsnap.nightly"


def seen(tag: str = THEIR_TAG, pv_uuid: str = THEIR_PV) -> Facts:
    """Return what this host sees of a group that another one uses: the lent PV is missing, the LVs are not active."""
    missing = samples.lent_pv(uuid=pv_uuid, device="[unknown]", missing=True)
    snapshot = samples.snapshot_lv(tags=(tag,), attr="swi---s-p-", device_number="")
    return samples.facts(samples.vg(snapshot, pvs=(DISK, missing), missing_pv_count=1))


class World:
    """The records of this host, and what was taken down."""

    def __init__(self, patch: pytest.MonkeyPatch, system: Facts, **kept: Record | None) -> None:
        self.records, self.system = kept, system
        self.taken: list[tuple[Target, Record | None, bool]] = []
        self.locked: list[tuple[str, ...]] = []
        given = {"profile_dir": "/nowhere", "progress": SimpleNamespace(note=lambda _: None)}
        self.session: Any = SimpleNamespace(runner=None, signals=nullcontext(), waiting=lambda: None, **given)
        for module, name, fake in (
            (records, "names", lambda: tuple(kept)),
            (records, "exists", kept.__contains__),
            (records, "read", self._read),
            (reading, "read_system", lambda *_, **__: self.system),
            (reading, "focus", lambda system, _interest: system),
            (path_facts, "file_facts", lambda _path: None),
            (executor, "bring_down", self._bring_down),
            (sessions, "walking", lambda *_: nullcontext()),
            (locks, "reading", self._reading),
            (device_mapper, "devices", lambda: self.system.dm_devices),
            (sessions, "work", lambda _: Work(*[Mock()] * 7)),
        ):
            patch.setattr(module, name, fake)

    def _reading(self, groups: tuple[str, ...], _: object) -> AbstractContextManager[None]:
        self.locked.append(groups)
        return nullcontext()

    def _read(self, name: str) -> Record | None:
        if name in self.records and self.records[name] is None:
            raise LvmsnapError("unreadable")
        return self.records.get(name)

    def _bring_down(self, target: Target, written: Record | None, work: Work) -> tuple[str, ...]:
        self.taken.append((target, written, work.owns_record))
        self.system = samples.facts()
        return ()


def test_more_that_is_left_after_all_that_was_shown_was_taken_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, seen())
    monkeypatch.setattr(executor, "bring_down", lambda *_: ())

    with pytest.raises(LvmsnapError, match="nightly taken down, but more was left: vg0/"):
        other_hosts.take(world.session, OTHER_HOST)


@pytest.mark.parametrize("system", [seen(), seen(OLD_TAG, samples.OLD_PV_UUID)], ids=["other host", "older lvmsnap"])
def test_nothing_is_known_of_what_is_not_marked_as_this_hosts(monkeypatch: pytest.MonkeyPatch, system: Facts) -> None:
    World(monkeypatch, system)

    assert history.look_back("nightly", samples.with_file(), system).target is None
    assert sessions.names_with_traces(World(monkeypatch, system).session) == ()


def test_a_profile_whose_snapshot_another_host_made_is_foreign_and_names_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, seen())

    found = status.statuses(world.session, ())

    assert [(status.name, status.state) for status in found] == [
        ("nightly", State.FOREIGN),
        (f"pv-{THEIR_PV}", State.FOREIGN),
    ]
    assert all(f"lvmsnap recover --from-host {OTHER_HOST}" in status.problem for status in found)
    assert status.statuses(world.session, ("nightly",))[0].state is State.FOREIGN
    assert other_hosts.notes(world.system)[0].startswith(f"left alone: vg0/{samples.SNAPSHOT}, PV {THEIR_PV} in vg0:")


def test_a_machine_without_an_identity_takes_everything_for_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, replace(seen(), host=""))

    assert {status.state for status in status.statuses(world.session, ())} == {State.FOREIGN}
    assert history.look_back("nightly", None, world.system).target is None


def test_marks_without_a_host_are_ours_where_this_host_has_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    system = seen(OLD_TAG, samples.OLD_PV_UUID)
    old = samples.record(host="", lent_pv=samples.lent(pv_uuid=samples.OLD_PV_UUID))
    World(monkeypatch, system, nightly=old)

    known = history.look_back("nightly", None, system)

    assert known.record == old
    assert of_target(old.target, system, old).state is State.LOST
    history.refuse_unsafe(old.target, system)
    assert other_hosts.others_marks(system) == ()


def test_marks_without_a_host_are_ours_where_the_record_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    system = seen(OLD_TAG, samples.OLD_PV_UUID)
    World(monkeypatch, system, nightly=None)

    target = history.look_back("nightly", None, system, force=True).target

    assert target is not None
    assert (target.tag, samples.first(target).lent_pv.pv_uuid) == (OLD_TAG, samples.OLD_PV_UUID)


def test_another_hosts_missing_pv_keeps_ours_from_being_taken_out_of_the_same_group() -> None:
    ours, theirs = (samples.lent_pv(uuid=uuid, missing=True) for uuid in (samples.PV_UUID, THEIR_PV))
    system = samples.facts(samples.vg(samples.snapshot_lv(), pvs=(DISK, ours, theirs)))

    with pytest.raises(RefusedError, match=THEIR_PV):
        history.refuse_unsafe(samples.TARGET, system)


def test_a_record_of_another_host_is_foreign_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    copied = samples.record(host=OTHER_HOST)
    World(monkeypatch, samples.up_facts(), nightly=copied)

    assert of_target(copied.target, samples.up_facts(), copied).state is State.FOREIGN
    with pytest.raises(RefusedError, match=f"brought up on host {OTHER_HOST}"):
        history.refuse_other_host(copied.target, samples.up_facts())


@pytest.mark.parametrize(
    ("tag", "pv_uuid", "argument"),
    [(THEIR_TAG, THEIR_PV, OTHER_HOST), (OLD_TAG, samples.OLD_PV_UUID, "unknown")],
)
def test_what_another_host_left_is_taken_on_request_and_no_record_of_ours_goes_with_it(
    monkeypatch: pytest.MonkeyPatch, tag: str, pv_uuid: str, argument: str
) -> None:
    world = World(monkeypatch, seen(tag, pv_uuid))

    ((name, plan),) = other_hosts.plans(world.session, argument)
    other_hosts.take(world.session, argument)

    assert [action.undo[0][0] for action in plan.actions] == ["lvremove", "vgreduce"]
    ((target, written, owns_record),) = world.taken
    assert (name, target.name, target.tag, written, owns_record) == ("nightly", "nightly", tag, None, False)
    assert samples.first(target).lent_pv.pv_uuid == pv_uuid


def test_what_one_host_left_is_not_what_another_left(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, seen())

    assert other_hosts.plans(world.session, "01234567") == ()
    assert other_hosts.plans(world.session, "unknown") == ()
    assert other_hosts.take(world.session, "01234567") == ()
    assert world.taken == []


def test_a_copied_record_goes_with_what_its_host_left(monkeypatch: pytest.MonkeyPatch) -> None:
    copied = samples.record(host=OTHER_HOST, lent_pv=samples.lent(pv_uuid=THEIR_PV))
    world = World(monkeypatch, seen(), nightly=copied)

    # The group was renamed since: what is read before it is taken is read under the lock of the name that it has now.
    device = samples.dm("vg1-system", dm_uuid(samples.VG_UUID, samples.ORIGIN_UUID))
    world.system = replace(samples.up_facts(samples.renamed()), dm_devices=(device,))

    other_hosts.take(world.session, OTHER_HOST)

    assert world.locked == [("vg1",)]
    assert world.taken == [(copied.target, copied, True)]


@pytest.mark.parametrize("argument", [HOST, "", "nightly", "0a1b2c3", "0A1B2C3D", "../../etc"])
def test_a_host_that_is_none_or_this_one_is_wrong_usage(argument: str) -> None:
    with pytest.raises(UsageError):
        other_hosts.host_of(argument, HOST)
