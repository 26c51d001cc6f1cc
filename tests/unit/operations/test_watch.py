"""The guard at work on a machine that is made up: what it says and runs where the snapshot is renamed meanwhile."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from lvmsnap.execution import guard_reports
from lvmsnap.model.facts import Facts, Sighting, SnapshotStatus
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.units import MIB
from lvmsnap.operations import sessions, watch
from lvmsnap.operations.watch import Guard
from lvmsnap.planning import fill_rate
from lvmsnap.system import device_mapper, dmeventd, reading
from lvmsnap.system.processes import Finished
from tests import samples

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
        progress = SimpleNamespace(note=self.said.append, warn=self.warned.append)
        self.working: Any = SimpleNamespace(runner=self, progress=progress, waiting=lambda: None)
        for module, name, fake in (
            (reading, "read_system", lambda *_, **__: self.system),
            (reading, "focus", lambda system, _interest: system),
            (sessions, "walking", lambda *_: nullcontext()),
            (device_mapper, "snapshot_status", lambda *_: self.status()),
            (guard_reports, "read", lambda *_: None),
            (guard_reports, "write", lambda *_: None),
            (watch, "GroupLocks", lambda *_: self),
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


def guard(world: World) -> Guard:
    profile = samples.with_file("max_size: 1GiB")
    return Guard(world.working, profile, samples.target(dm_uuid=OWN), clock=lambda: 100.0)


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

    assert len(world.held) == watch.PLANS
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


def test_dmeventd_is_not_even_asked_while_it_watches_no_snapshot_and_told_nothing_while_not_ours(
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
    watching = Guard(world.working, profile, samples.target(dm_uuid=OWN), clock=lambda: now[0])

    for second in range(100, 180):
        now[0], world.fill_percent = float(second), 10 if second < 142 else WARNING
        watching.look()

    assert looked == [100, 130, *range(142, 180, 5)]


def test_a_command_that_fails_to_keep_dmeventd_away_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world, now = World(monkeypatch, 10), [100.0]
    name = f"vg0/{samples.SNAPSHOT}"
    world.watched, world.broken = {name}, "lvchange"
    watching = Guard(world.working, samples.with_file(), samples.target(dm_uuid=OWN), clock=lambda: now[0])

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
    lookout = watch.Lookout("nightly")

    for seconds, used, total, part in (
        *((0.0, 10, 100, "metadata"), (2.0, 20, 100, "metadata")),
        *((4.0, 500, 1000, "data"), (6.0, 520, 1000, "data"), (8.0, 520, 2000, "data")),
    ):
        status = SnapshotStatus(False, used, total, OWN, "vg0/s", "vg0/pool", part)
        lookout.keep(status, fill_rate.sample(status, seconds))

    assert [sighting.rate_bytes_per_second for sighting in kept] == [5.0, 10.0, 5.0]
    assert [sighting.last_growth.bytes if sighting.last_growth else 0 for sighting in kept] == [0, 0, 1000]
