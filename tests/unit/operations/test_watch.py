"""The guard at work on a machine that is made up: what it says and runs where the snapshot is renamed meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvmsnap.execution import guard_reports
from lvmsnap.model.facts import Sighting, SnapshotStatus
from lvmsnap.model.units import MIB
from lvmsnap.operations import more_room
from lvmsnap.operations.lookout import Lookout
from lvmsnap.operations.watch import Guards
from lvmsnap.planning import fill_rate
from lvmsnap.system import device_mapper, dmeventd
from tests import samples
from tests.unit.operations.guarded import FULL_ENOUGH, OWN, WARNING, World, guard


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
    assert (len(world.warned), world.said) == (1, ["vg1/other was extended by 32 MiB"])


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
    assert (asked, world.said) == (["+8", "+4", "+2"], ["vg0/system-lvmsnap-nightly was extended by 8 MiB"])
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


@pytest.mark.parametrize(
    ("killed", "resumed"), [(0, []), (1, [""]), (2, [" # fails", ""]), (9, [" # fails"] * more_room.RESUMES)]
)
def test_where_a_killed_lvextend_left_the_origin_suspended_its_writers_do_not_wait_for_down(
    monkeypatch: pytest.MonkeyPatch, killed: int, resumed: list[str]
) -> None:
    world = World(monkeypatch, FULL_ENOUGH)
    world.killed = killed

    guard(world).look()

    after = [line for line in world.ran if line.startswith(("lvextend", "lvchange --refresh"))][1:]
    assert after == [f"lvchange --refresh vg0/system{end}" for end in resumed]
    assert [("SIGKILL" in line, "vg0/system is suspended" in line) for line in world.warned[1:]] == (
        [(True, killed > more_room.RESUMES)] if killed else []
    )


def test_a_failed_lvextend_alone_refreshes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, FULL_ENOUGH)
    world.broken = "lvextend"

    guard(world).look()

    assert world.ran[-1].startswith("lvextend")
    assert world.ran[-1].endswith("# fails")


def test_the_snapshot_is_taken_from_dmeventd_and_others_stay_its(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 10)
    world.watched = {"vg1/other", "vg1/of-somebody-else"}
    world.rename()

    guard(world).look()

    assert (world.ran, world.held) == (["lvchange --monitor n vg1/other"], ["vg1"])
    assert world.said == ["turned off dmeventd's monitoring of vg1/other: it would unmount vg1/other once it is full"]


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
    assert [line.partition(" once")[0] for line in world.warned] == [f"dmeventd will unmount {name}"]


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
