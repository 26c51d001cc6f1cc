"""The guard of several snapshots, on a machine that is made up."""

from __future__ import annotations

import re
import signal
import time
from dataclasses import replace

import pytest

from lvmsnap.execution import records
from lvmsnap.model.errors import SnapshotLostError
from lvmsnap.model.facts import SnapshotStatus
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.target import Loss
from lvmsnap.model.units import MIB
from lvmsnap.operations import more_room, watch
from lvmsnap.operations.watch import Guards
from lvmsnap.planning.state import OVERFLOWED, REMOVED
from lvmsnap.system import device_mapper
from lvmsnap.system.held_signals import Signals
from lvmsnap.system.processes import Finished
from tests import samples
from tests.unit.operations.guarded import FULL_ENOUGH, OWN, World
from tests.unit.planning import test_growth


class Pair(World):
    """A machine on which snapshots of vg0/system and vg0/home are up, on one backing file, each so full."""

    def __init__(self, patch: pytest.MonkeyPatch, system: int, home: int) -> None:
        super().__init__(patch, system)
        self.target, self.system = test_growth.a_pair()
        self.fills: dict[str, int | None] = {OWN: system, dm_uuid(samples.VG_UUID, test_growth.HOME_UUID): home}
        self.names_of = dict(zip(self.fills, (test_growth.SYSTEM, test_growth.HOME), strict=True))
        self.now = 100.0
        patch.setattr(device_mapper, "snapshot_status", lambda _name, uuid: self.status_of(uuid))
        self.guards = Guards(
            self.working, samples.profile(test_growth.TEXT + test_growth.LENT), self.target, clock=lambda: self.now
        )

    def status_of(self, uuid: str) -> SnapshotStatus | None:
        fill = self.fills[uuid]
        if fill is None:
            return None
        return SnapshotStatus(fill > 100, 64 * MIB * fill // 100, 64 * MIB, uuid, self.names_of[uuid])

    @property
    def programs(self) -> list[str]:
        return [line.split()[0] for line in self.ran]


def test_two_that_need_room_at_one_moment_get_it_from_a_file_that_grows_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Pair(monkeypatch, FULL_ENOUGH, FULL_ENOUGH)

    world.guards.look()

    assert world.programs == ["sh", "losetup", "pvresize", "lvextend", "lvchange", "lvextend", "lvchange"]
    assert world.held == ["vg0"]
    assert world.said == [
        f"vg0/system: {test_growth.SYSTEM} was extended by 32 MiB",
        f"vg0/home: {test_growth.HOME} was extended by 32 MiB",
    ]


def test_one_of_two_that_needs_room_gets_it_alone_and_is_named_with_its_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Pair(monkeypatch, 10, FULL_ENOUGH)

    world.guards.look()

    assert [line for line in world.ran if "lvextend" in line and test_growth.HOME not in line] == []
    assert world.warned == [f"vg0/home: {test_growth.HOME} is 85 % full, not filling at present"]
    assert world.said == [f"vg0/home: {test_growth.HOME} was extended by 32 MiB"]


def test_one_that_cannot_be_given_room_keeps_the_other_from_none(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Pair(monkeypatch, FULL_ENOUGH, FULL_ENOUGH)
    run = world.run

    def fails(argv: tuple[str, ...]) -> Finished:
        is_broken = argv[0] == "lvextend" and test_growth.SYSTEM in argv
        return Finished(argv, 5, "", "broken", 0.0) if is_broken else run(argv)

    monkeypatch.setattr(world, "run", fails)
    world.guards.look()

    assert world.said == [f"vg0/home: {test_growth.HOME} was extended by 32 MiB"]
    assert ["vg0/system: " in line for line in world.warned if "it cannot grow" in line] == [True]


def test_a_group_that_somebody_has_locked_keeps_the_room_of_another_group_from_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = Pair(monkeypatch, FULL_ENOUGH, FULL_ENOUGH)
    (group,) = world.system.vgs
    lvs = tuple(lv for lv in group.lvs if "home" in lv.name)
    other = replace(group, name="vg1", uuid="vg1", lvs=lvs, pvs=(replace(samples.DISK, vg="vg1"),))
    world.system = replace(world.system, vgs=(group, other))
    home = replace(world.target.snapshots[1], vg="vg1", vg_uuid="vg1", dm_uuid=dm_uuid("vg1", test_growth.HOME_UUID))
    world.target = replace(world.target, snapshots=(world.target.snapshots[0], home))
    world.fills = {OWN: FULL_ENOUGH, home.dm_uuid: FULL_ENOUGH}
    world.names_of = {OWN: test_growth.SYSTEM, home.dm_uuid: home.path}
    profile = samples.profile(test_growth.TEXT + test_growth.LENT)
    world.guards = Guards(world.working, profile, world.target, clock=lambda: world.now)
    world.locked = {"vg0": "lvremove (pid 4711)"}
    world.watched = {"another snapshot"}
    monkeypatch.setattr(World, "names", ("vg0", ""))

    world.guards.look()

    assert world.said == [f"vg1/home: {home.path} was extended by 32 MiB"]
    assert ["locked by lvremove (pid 4711)" in line for line in world.warned if "vg0/system: " in line][-1]
    assert world.waited == [0.0, more_room.PATIENCE_SECONDS]
    assert world.programs.count("sh") == 1


def test_how_long_giving_room_took_counts_for_every_one(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Pair(monkeypatch, FULL_ENOUGH, 10)
    run = world.run

    def slowly(argv: tuple[str, ...]) -> Finished:
        world.now += 20
        return run(argv)

    monkeypatch.setattr(world, "run", slowly)
    world.guards.look()
    world.fills[OWN], world.ran = 10, []

    # The other one now fills so fast that it is full before another such growth is done.
    other = dm_uuid(samples.VG_UUID, test_growth.HOME_UUID)
    for fill in (10, 11):
        world.now, world.fills[other] = world.now + 1, fill
        world.guards.look()

    assert [test_growth.HOME in line for line in world.ran if line.startswith("lvextend")] == [True]


@pytest.mark.parametrize(
    ("fill", "lost"),
    [(101, Loss(OVERFLOWED, "vg0/home")), (None, Loss(REMOVED, "vg0/home")), (99, None)],
    ids=["overflowed", "removed", "full"],
)
def test_a_set_is_lost_with_the_first_of_its_snapshots_and_says_which(
    monkeypatch: pytest.MonkeyPatch, fill: int | None, lost: Loss | None
) -> None:
    world = Pair(monkeypatch, 10, 10)
    world.fills[dm_uuid(samples.VG_UUID, test_growth.HOME_UUID)] = fill

    assert (world.guards.lost(), world.guards.is_lost()) == (lost, lost is not None)


@pytest.mark.parametrize(
    ("fill", "says"),
    [
        (101, f"nightly's snapshot of vg0/home is lost: {OVERFLOWED}"),
        (None, "nightly's snapshot of vg0/home was removed by hand"),
    ],
    ids=["overflowed", "removed"],
)
def test_watch_ends_as_soon_as_one_is_lost_and_names_it(
    monkeypatch: pytest.MonkeyPatch, fill: int | None, says: str
) -> None:
    world = Pair(monkeypatch, 10, 10)
    record = replace(samples.record(), target=world.target, profile_text=test_growth.TEXT)
    monkeypatch.setattr(records, "read", lambda _: record)
    world.fills[dm_uuid(samples.VG_UUID, test_growth.HOME_UUID)] = fill
    world.working.signals = Signals()

    with pytest.raises(SnapshotLostError, match=re.escape(says)) as caught:
        watch.watch(world.working, "nightly", lambda _: None)
    assert caught.value.exit_code == 124


def test_watch_says_at_once_what_it_guards_and_shows_how_that_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Pair(monkeypatch, 10, 25)
    record = replace(samples.record(), target=world.target, profile_text=test_growth.TEXT)
    monkeypatch.setattr(records, "read", lambda _: record)
    world.working.signals = signals = Signals()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        world.now += 1
        signals.received = signal.SIGINT if len(slept) == 2 else 0

    monkeypatch.setattr(time, "sleep", sleep)

    watch.watch(world.working, "nightly", lambda _: None)

    rules = "warns at 70 %, extends at 80 %"
    assert world.said == [
        f"vg0/system: guarding vg0/system-lvmsnap-nightly, 10.0 % of 64 MiB used: {rules}",
        f"vg0/home: guarding vg0/home-lvmsnap-nightly, 25.0 % of 64 MiB used: {rules}",
        "nightly stays up, no longer guarded: lvmsnap down nightly takes it down",
    ]
    assert world.shown == ["nightly: vg0/home (fullest of 2), 25.0 % of 64 MiB used, not filling"] * 2
