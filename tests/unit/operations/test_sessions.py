"""A reading before a change: whose locks it waits for, by the names that the groups have by now."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from lvmsnap.execution import locks
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.operations import sessions
from lvmsnap.planning.identify import find
from lvmsnap.system import device_mapper, reading
from tests import samples
from tests.samples import TARGET

LAYERS = (("vg1-sysnew-real", "-real"), ("vg1-other-cow", "-cow"), ("vg1-other", ""))
OF_VG0 = samples.dm("vg0-system", dm_uuid(samples.OTHER_UUID, samples.ORIGIN_UUID))
RENAMED = tuple(samples.dm(name, dm_uuid(samples.VG_UUID, samples.SNAPSHOT_UUID) + layer) for name, layer in LAYERS)


class World:
    """A machine on which nightly's group is called vg1 by now, and notes which locks are taken for a reading."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.locked: list[tuple[str, ...]] = []
        self.system = samples.up_facts(samples.renamed())
        self.session: Any = SimpleNamespace(
            runner=None, signals=None, progress=SimpleNamespace(note=None), waiting=lambda: None
        )
        patch.setattr(locks, "reading", self._reading)
        patch.setattr(reading, "read_system", lambda *_, **__: self.system)
        patch.setattr(reading, "focus", lambda system, _interest: system)
        self.patch = patch
        self.devices(OF_VG0, *RENAMED)

    def devices(self, *devices: Any) -> None:
        self.patch.setattr(device_mapper, "devices", lambda: devices)

    def _reading(self, groups: tuple[str, ...], _waiting: object) -> Any:
        self.locked.append(groups)
        return nullcontext()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_a_reading_waits_for_the_group_by_its_name_of_now_and_for_no_other_of_the_old_name(world: World) -> None:
    system = sessions.read_changing(world.session, TARGET)

    assert world.locked == [("vg1",)]
    assert find(TARGET, system).snapshots[0].name == "vg1/other"


def test_the_readings_of_a_walk_do_so_too(world: World) -> None:
    sessions.work(world.session).read(TARGET)

    assert world.locked == [("vg1",)]


def test_a_group_without_devices_is_read_again_under_the_lock_of_the_name_that_lvm_reports(world: World) -> None:
    world.devices(OF_VG0)

    sessions.read_changing(world.session, TARGET, ("data",))

    assert world.locked == [("data", "vg0"), ("data", "vg1")]


def test_a_group_that_is_renamed_again_and_again_is_not_read_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter(range(1000))
    systems = (samples.facts(samples.vg(name=f"vg{number}")) for number in names)
    monkeypatch.setattr(reading, "read_system", lambda *_, **__: next(systems))
    world.devices()

    sessions.read_changing(world.session, samples.target(vg="old"))

    assert len(world.locked) == sessions.READINGS


@pytest.mark.parametrize("by_another", [True, False], ids=["another's cut", "nobody's"])
def test_an_origin_that_another_cut_holds_is_read_again_once_it_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch, by_another: bool
) -> None:
    held = samples.dm("vg1-sysnew", dm_uuid(samples.VG_UUID, samples.ORIGIN_UUID), suspended=True)
    readings = [replace(world.system, dm_devices=(held,)), world.system]
    monkeypatch.setattr(reading, "read_system", lambda *_, **__: readings.pop(0))
    monkeypatch.setattr(locks, "is_changed_by_another", lambda groups: by_another and groups == ("vg1",))
    monkeypatch.setattr(locks, "PAUSE_SECONDS", 0.0)

    system = sessions.read_changing(world.session, TARGET)

    assert bool(find(TARGET, system).snapshots[0].suspended) is not by_another
