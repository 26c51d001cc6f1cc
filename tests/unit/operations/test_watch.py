"""The guard at work on a machine that is made up: what it says and runs where the snapshot is renamed meanwhile."""

from __future__ import annotations

import re
import signal
import time
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from lvmsnap.execution import guard_reports, records
from lvmsnap.model.errors import SnapshotLostError
from lvmsnap.model.facts import Facts, Sighting, SnapshotStatus
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.target import Loss
from lvmsnap.model.units import MIB
from lvmsnap.operations import more_room, sessions, watch
from lvmsnap.operations.lookout import Lookout
from lvmsnap.operations.watch import Guards
from lvmsnap.planning import fill_rate
from lvmsnap.planning.state import OVERFLOWED, REMOVED
from lvmsnap.system import device_mapper, dmeventd, reading
from lvmsnap.system.held_signals import Signals
from lvmsnap.system.processes import Finished
from tests import samples
from tests.unit.planning import test_growth

OWN = dm_uuid(samples.VG_UUID, samples.SNAPSHOT_UUID)
WARNING = 75
FULL_ENOUGH = 85


class World:
    """A machine with nightly up; the group is renamed when a command begins with `renamed_at`, or a lock is had."""

    def __init__(self, patch: pytest.MonkeyPatch, fill_percent: int, renamed_at: str = "") -> None:
        self.fill_percent, self.renamed_at = fill_percent, renamed_at
        self.room = 1000
        self.pool = ""
        self.part = ""
        self.watched: set[str] = set()
        self.broken = ""
        self.asked: list[str] = []
        self.system: Facts = samples.up_facts()
        self.said: list[str] = []
        self.warned: list[str] = []
        self.held: list[str] = []
        self.ran: list[str] = []
        self.shown: list[str] = []
        progress = SimpleNamespace(note=self.said.append, warn=self.warned.append, live=self.shown.append)
        self.working: Any = SimpleNamespace(runner=self, progress=progress, waiting=lambda: None)
        for module, name, fake in (
            (reading, "read_system", lambda *_, **__: self.system),
            (reading, "focus", lambda system, _interest: system),
            (sessions, "walking", lambda *_: nullcontext()),
            (device_mapper, "snapshot_status", lambda *_: self.status()),
            (guard_reports, "read", lambda *_: None),
            (guard_reports, "write", lambda *_: None),
            (watch, "GroupLocks", lambda *_: self),
            (more_room, "GroupLocks", lambda *_: self),
            (dmeventd, "watches_snapshots", lambda: bool(self.watched)),
        ):
            patch.setattr(module, name, fake)

    @property
    def names(self) -> tuple[str, str]:
        """The group's and the snapshot's names of now."""
        (vg,) = self.system.vgs
        return vg.name, next(lv.name for lv in vg.lvs if lv.uuid == samples.SNAPSHOT_UUID)

    def rename(self) -> None:
        """Rename everything, as somebody else does."""
        pvs = tuple(replace(pv, vg="vg1") for pv in self.system.vgs[0].pvs)
        self.system = replace(self.system, vgs=(replace(samples.renamed(), pvs=pvs),))
        self.renamed_at = ""

    def status(self) -> SnapshotStatus:
        used_bytes, name = 64 * MIB * self.fill_percent // 100, "/".join(self.names)
        return SnapshotStatus(False, used_bytes, 64 * MIB, OWN, name, self.pool, self.part)

    def hold(self, groups: tuple[str, ...], *, with_pvs: bool) -> None:
        """Be the locks of groups."""
        assert with_pvs or self.watched
        self.held += groups
        if self.renamed_at == "lock":
            self.rename()

    def release(self) -> None: ...

    def run(self, argv: tuple[str, ...]) -> Finished:
        """Be the runner: what names the group as it was called before fails."""
        if argv[0] == self.renamed_at:
            self.rename()
        line = " ".join(argv)
        if argv[:2] == ("lvm", "lvs"):
            self.asked.append(argv[-1])
            return Finished(argv, 0, "  monitored\n" if argv[-1] in self.watched else "  not monitored\n", "", 0.0)
        wrong = 'Volume group "vg0" not found' if self.names[0] == "vg1" and "vg0" in line else ""
        if argv[0] == "lvextend" and int(argv[argv.index("--extents") + 1]) > self.room:
            wrong = f"Insufficient suitable allocatable extents for logical volume: {self.room} more required"
        wrong = "broken" if argv[0] == self.broken else wrong
        self.ran.append(f"{line}{' # fails' if wrong else ''}")
        return Finished(argv, 5 if wrong else 0, "", wrong, 0.0)


def guard(world: World) -> Guards:
    profile = samples.with_file("max_size: 1GiB")
    return Guards(world.working, profile, samples.target(dm_uuid=OWN), clock=lambda: 100.0)


def test_the_guard_warns_by_the_name_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, WARNING)
    world.rename()

    guard(world).look()

    assert world.warned == ["vg1/other is 75 % full, not filling at present"]


@pytest.mark.parametrize("moment", ["sh", "lock", "losetup", "pvresize", "lvextend"])
def test_what_is_renamed_before_it_was_given_more_room_is_given_it_at_once(
    monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    world = World(monkeypatch, FULL_ENOUGH, moment)

    guard(world).look()

    done = [line for line in world.ran if line.startswith("lvextend") and not line.endswith("# fails")]
    assert ["vg1/other" in line for line in done] == [True]
    assert world.held[-1] == "vg1"
    assert (len(world.warned), world.said) == (1, ["vg1/other was given 32 MiB more"])


def test_no_command_names_a_group_that_was_renamed_while_its_lock_was_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, FULL_ENOUGH, "lock")

    guard(world).look()

    assert (world.held, [line for line in world.ran if "vg0" in line]) == (["vg0", "vg1"], [])


def test_what_is_renamed_again_and_again_is_not_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, FULL_ENOUGH)
    names = iter(range(1000))
    status = SnapshotStatus(False, 60 * MIB, 64 * MIB, OWN)
    monkeypatch.setattr(device_mapper, "snapshot_status", lambda *_: replace(status, name=f"vg0/n{next(names)}"))

    guard(world).look()

    assert len(world.held) == more_room.PLANS
    assert "it cannot grow: vg0/system-lvmsnap-nightly was renamed to vg0/n" in world.warned[-1]


def test_where_lvm_has_less_room_than_was_thought_less_is_asked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, FULL_ENOUGH)
    world.room = 3

    guard(world).look()

    asked = [line.split()[4] for line in world.ran if line.startswith("lvextend")]
    assert (asked, world.said) == (["+8", "+4", "+2"], ["vg0/system-lvmsnap-nightly was given 8 MiB more"])
    assert [line.split()[0] for line in world.ran].count("sh") == 1


def test_where_lvm_has_no_room_at_all_the_guard_says_so_after_it_asked_for_one_extent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, FULL_ENOUGH)
    world.room = 0

    guard(world).look()

    asked = [line.split()[4] for line in world.ran if line.startswith("lvextend")]
    assert (asked, world.said) == (["+8", "+4", "+2", "+1"], [])
    assert "it cannot grow: lvextend" in world.warned[-1]


def test_the_snapshot_is_taken_from_dmeventd_and_others_stay_its(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 10)
    world.watched = {"vg1/other", "vg1/of-somebody-else"}
    world.rename()

    guard(world).look()

    assert (world.ran, world.held) == (["lvchange --monitor n vg1/other"], ["vg1"])
    assert world.said == ["vg1/other was taken from dmeventd, which would unmount it once it is full"]


def test_dmeventd_is_not_even_asked_while_it_watches_no_snapshot_and_asked_nothing_while_not_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, 10)

    guard(world).look()
    before = len(world.asked)
    world.watched = {"vg0/other"}
    guard(world).look()

    assert (before, world.asked, world.ran, world.warned) == (0, [f"vg0/{samples.SNAPSHOT}"], [], [])


def test_dmeventd_is_looked_for_now_and_then_and_more_often_once_it_was_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    world, looked, now = World(monkeypatch, 10), list[float](), [0.0]

    def look() -> bool:
        looked.append(now[0])
        return False

    monkeypatch.setattr(dmeventd, "watches_snapshots", look)
    profile = samples.profile("volumes: [{origin: vg0/system}]\noverflow: {extend_at: 100%}")
    watching = Guards(world.working, profile, samples.target(dm_uuid=OWN), clock=lambda: now[0])

    for second in range(100, 180):
        now[0], world.fill_percent = float(second), 10 if second < 142 else WARNING
        watching.look()

    assert looked == [100, 130, *range(142, 180, 5)]


def test_a_command_that_fails_to_keep_dmeventd_away_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world, now = World(monkeypatch, 10), [100.0]
    name = f"vg0/{samples.SNAPSHOT}"
    world.watched, world.broken = {name}, "lvchange"
    watching = Guards(world.working, samples.with_file(), samples.target(dm_uuid=OWN), clock=lambda: now[0])

    watching.look()
    now[0] += 100
    watching.look()

    assert world.ran == [f"lvchange --monitor n {name} # fails"] * 2
    assert [line.partition(" once")[0] for line in world.warned] == [f"dmeventd unmounts {name}"]


def test_a_pool_that_fills_is_warned_of_once_and_neither_grown_nor_taken_from_dmeventd(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, FULL_ENOUGH)
    world.pool, world.part, world.watched = "vg0/pool", "metadata", {"vg0/system-lvmsnap-nightly"}
    guarding = guard(world)

    for _ in range(3):
        guarding.look()

    what = f"the metadata of vg0/pool, the thin pool of vg0/{samples.SNAPSHOT},"
    assert world.warned == [f"{what} is 85 % full, not filling at present"]
    assert (world.ran, world.held, world.asked) == ([], [], [])


def test_another_part_of_a_pool_that_becomes_the_fuller_one_is_no_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Sighting] = []
    monkeypatch.setattr(guard_reports, "read", lambda *_: None)
    monkeypatch.setattr(guard_reports, "write", lambda _name, sighting, _number: kept.append(sighting))
    lookout = Lookout("nightly")

    for seconds, used, total, part in (
        *((0.0, 10, 100, "metadata"), (2.0, 20, 100, "metadata")),
        *((4.0, 500, 1000, "data"), (6.0, 520, 1000, "data"), (8.0, 520, 2000, "data")),
    ):
        status = SnapshotStatus(False, used, total, OWN, "vg0/s", "vg0/pool", part)
        lookout.keep(status, fill_rate.sample(status, seconds))

    assert [sighting.rate_bytes_per_second for sighting in kept] == [5.0, 10.0, 5.0]
    assert [sighting.last_growth.bytes if sighting.last_growth else 0 for sighting in kept] == [0, 0, 1000]


# --- several snapshots ------------------------------------------------------------------------------------------------


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
        f"vg0/system: {test_growth.SYSTEM} was given 32 MiB more",
        f"vg0/home: {test_growth.HOME} was given 32 MiB more",
    ]


def test_one_of_two_that_needs_room_gets_it_alone_and_is_named_with_its_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Pair(monkeypatch, 10, FULL_ENOUGH)

    world.guards.look()

    assert [line for line in world.ran if "lvextend" in line and test_growth.HOME not in line] == []
    assert world.warned == [f"vg0/home: {test_growth.HOME} is 85 % full, not filling at present"]
    assert world.said == [f"vg0/home: {test_growth.HOME} was given 32 MiB more"]


def test_one_that_cannot_be_given_room_keeps_the_other_from_none(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Pair(monkeypatch, FULL_ENOUGH, FULL_ENOUGH)
    run = world.run

    def fails(argv: tuple[str, ...]) -> Finished:
        is_broken = argv[0] == "lvextend" and test_growth.SYSTEM in argv
        return Finished(argv, 5, "", "broken", 0.0) if is_broken else run(argv)

    monkeypatch.setattr(world, "run", fails)
    world.guards.look()

    assert world.said == [f"vg0/home: {test_growth.HOME} was given 32 MiB more"]
    assert ["vg0/system: " in line for line in world.warned if "it cannot grow" in line] == [True]


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

    rules = "a warning from 70 % on, more room from 80 % on"
    assert world.said == [
        f"{origin}: guarding {origin}-lvmsnap-nightly, {fill} % of 64 MiB used: {rules}"
        for origin, fill in (("vg0/system", "10.0"), ("vg0/home", "25.0"))
    ]
    assert world.shown == ["nightly: vg0/home, of 2 the first to be full, 25.0 % of 64 MiB used, not filling"] * 2
