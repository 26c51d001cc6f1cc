"""A profile's state, by what of it exists."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lvmsnap.model.facts import Enlargement, Facts, LogicalVolume, Sighting
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.target import Loss, Process, Target
from lvmsnap.model.units import KIB, MIB
from lvmsnap.planning import planner, state
from lvmsnap.planning.state import State, Status
from lvmsnap.planning.volume_state import Past
from tests import samples
from tests.samples import DISK, EARLIER_BOOT, ORIGIN_UUID, TARGET, VG_UUID
from tests.unit.planning.test_tree import TOP, WHOLE, a_set, server

SUSPENDED = samples.dm("vg0-system", dm_uuid(VG_UUID, ORIGIN_UUID), suspended=True)
INVALID = samples.vg(samples.snapshot_lv(attr="swi-I-s---"), pvs=(DISK, samples.lent_pv()))
INVALID_SUSPENDED = samples.vg(samples.snapshot_lv(attr="swi-S-s---"), pvs=(DISK, samples.lent_pv()))
MISSING = samples.vg(samples.snapshot_lv(), pvs=(DISK, samples.lent_pv(missing=True)))
UNFINISHED = samples.vg(samples.snapshot_lv(origin=""), pvs=(DISK, samples.lent_pv()))


@pytest.mark.parametrize(
    ("facts", "expected", "problem"),
    [
        (samples.up_facts(), State.UP, ""),
        (samples.up_facts(INVALID), State.LOST, state.OVERFLOWED),
        (samples.up_facts(INVALID_SUSPENDED), State.LOST, state.OVERFLOWED),
        (samples.up_facts(INVALID, mounts=()), State.LOST, state.OVERFLOWED),
        (samples.up_facts(mounts=()), State.PARTIAL, "missing: mount"),
        (samples.up_facts(file=None), State.PARTIAL, "missing: backing file"),
        (samples.up_facts(file=None, loops=()), State.PARTIAL, "missing: backing file, loop device"),
        (samples.up_facts(MISSING), State.PARTIAL, "missing: lent PV"),
        (samples.up_facts(UNFINISHED), State.PARTIAL, "missing: snapshot"),
        (samples.up_facts(dm_devices=(SUSPENDED,)), State.PARTIAL, "vg0/system is suspended, so all its writers wait"),
        (
            samples.up_facts(dm_devices=(SUSPENDED,), mounts=()),
            State.PARTIAL,
            "vg0/system is suspended, so all its writers wait; missing: mount",
        ),
    ],
)
def test_the_state_of_a_profile_with_a_record(facts: Facts, expected: State, problem: str) -> None:
    found = state.of_target(TARGET, facts, samples.record())

    assert (found.state, found.problem) == (expected, problem)


def test_what_a_killed_command_left_suspended_comes_before_who_was_killed() -> None:
    facts = samples.changed(samples.up_facts(dm_devices=(SUSPENDED,)), is_process_gone=True)
    record = replace(samples.record(), process=Process(4321, 1))

    problem = state.of_target(TARGET, facts, record).problem

    assert problem == ("vg0/system is suspended, so all its writers wait; left by lvmsnap (pid 4321), which has ended")


def test_a_record_with_nothing_left_is_partial_so_that_recover_clears_it() -> None:
    assert state.of_target(TARGET, samples.facts(), samples.record()).state is State.PARTIAL


def test_a_record_of_an_earlier_boot_is_stale_whatever_exists() -> None:
    for facts in (samples.facts(), samples.up_facts(), samples.up_facts(INVALID)):
        assert state.of_target(TARGET, facts, samples.record(EARLIER_BOOT)).state is State.STALE


@pytest.mark.parametrize("boot", [samples.BOOT, EARLIER_BOOT])
def test_a_merging_snapshot_is_a_state_of_its_own_in_this_boot_and_after_it(boot: str) -> None:
    found = state.of_target(TARGET, samples.up_facts(samples.merging()), samples.record(boot))

    assert (found.state, found.is_well) == (State.MERGING, False)
    assert f"{samples.FILE} must stay attached" in found.problem
    assert f"umount {samples.MOUNTPOINT}" in found.problem


def test_a_merge_that_lacks_the_lent_pv_says_how_it_is_given_back() -> None:
    group = samples.merging(pvs=(DISK, samples.lent_pv(device="[unknown]", missing=True)))

    found = state.of_target(TARGET, samples.facts(group), samples.record(EARLIER_BOOT))

    assert found.state is State.MERGING
    assert f"losetup --find --nooverlap {samples.FILE}; vgchange --activate y vg0" in found.problem


def test_somebody_elses_merge_into_the_origin_is_no_state_of_ours() -> None:
    theirs = samples.lv("theirs", attr="Swi-a-s---", origin="system", is_hidden=True, is_merging=True)
    group = samples.vg(samples.snapshot_lv(), theirs, pvs=(DISK, samples.lent_pv()))

    assert state.of_target(TARGET, samples.up_facts(group), samples.record()).state is State.UP


def test_without_a_record_the_marks_decide() -> None:
    foreign = samples.facts(samples.vg(samples.snapshot_lv(tags=())))

    assert state.of_target(TARGET, samples.up_facts(), None).state is State.UP
    assert state.of_target(TARGET, samples.facts(), None).state is State.DOWN
    assert state.of_target(TARGET, foreign, None).state is State.FOREIGN
    assert state.of_target(TARGET, samples.facts(loops=(samples.LOOP,)), None).state is State.PARTIAL


def test_a_profile_without_file_and_mount_is_up_with_its_snapshot_alone() -> None:
    bare: dict[str, Any] = {"lent_pv": None, "mount": None}
    system = samples.facts(samples.vg(samples.snapshot_lv()))

    found = state.of_target(samples.target(**bare), system, samples.record(**bare))

    assert (found.state, found.device, found.mountpoint) == (State.UP, f"/dev/vg0/{samples.SNAPSHOT}", "")


def test_a_snapshot_that_neither_a_record_nor_a_mount_dates_is_never_called_up() -> None:
    bare = samples.target(lent_pv=None, mount=None)

    found = state.of_target(bare, samples.facts(samples.vg(samples.snapshot_lv())), None)

    assert (found.state, found.problem) == (State.PARTIAL, "missing: record")


def test_a_status_tells_the_names_of_now() -> None:
    found = state.of_target(TARGET, samples.up_facts(samples.renamed()), samples.record())

    assert (found.state, found.snapshot, found.device) == (State.UP, "vg1/other", "/dev/vg1/other")


def test_a_status_tells_size_fill_place_and_time() -> None:
    found = state.of_target(TARGET, samples.up_facts(), samples.record())

    assert found.snapshot == f"vg0/{samples.SNAPSHOT}"
    assert (found.size_bytes, found.fill_percent) == (64 * 1024**2, 1.5)
    assert (found.mountpoint, found.time) == (samples.MOUNTPOINT, samples.TIME)


def test_a_mountpoint_with_something_else_on_it_is_not_told_as_ours() -> None:
    other = replace(samples.mounted(), device_number="8:1")

    assert state.of_target(TARGET, samples.up_facts(mounts=(other,)), samples.record()).mountpoint == ""


def test_every_state_has_its_meaning() -> None:
    assert set(state.MEANING) == set(State)


# --- how fast it fills ------------------------------------------------------------------------------------------------

GROWN = Enlargement(samples.TIME, 16 * MIB)
SEEN = Sighting(dm_uuid(VG_UUID, samples.SNAPSHOT_UUID), 500, 2 * MIB, GROWN)


def filling(percent: float | None, past: Past | None, **fields: object) -> Status:
    """The state of a snapshot of 64 MiB in chunks of 4 KiB that is so full."""
    snapshot = samples.snapshot_lv(data_percent=percent, chunk_size_bytes=4 * KIB, **fields)
    group = samples.vg(snapshot, pvs=(DISK, samples.lent_pv()))
    return state.of_target(TARGET, samples.up_facts(group), samples.record(), past)


def trend(found: Status) -> tuple[object, ...]:
    return found.rate_bytes_per_second, found.rate_over, found.seconds_to_full


def test_the_guards_rate_is_reported_with_the_time_to_full_and_the_last_growth() -> None:
    found = filling(75, Past(3600, ((SEEN, 2),)))

    assert trend(found) == (2 * MIB, "guard", 8)
    assert found.last_growth == GROWN


@pytest.mark.parametrize("seconds", [10, 1000, -1])
def test_a_sighting_of_long_ago_tells_the_last_growth_but_no_rate(seconds: float) -> None:
    found = filling(75, Past(48, ((SEEN, seconds),)))

    assert trend(found) == (pytest.approx(MIB, rel=0.001), "up", pytest.approx(16, rel=0.001))
    assert found.last_growth == GROWN


def test_a_sighting_of_another_snapshot_of_the_same_name_tells_nothing() -> None:
    other = replace(SEEN, uuid=dm_uuid(VG_UUID, samples.OTHER_UUID))

    found = filling(75, Past(48, ((other, 1),)))

    assert found.rate_over == "up"
    assert found.last_growth is None


@pytest.mark.parametrize(
    ("percent", "rate"),
    # 0.01 % is what LVM tells of the 8 KiB that a snapshot begins with.
    [(0.0, 0), (0.01, 0), (0.02, 0), (0.03, 11.5)],
)
def test_what_a_snapshot_begins_with_is_no_filling(percent: float, rate: float) -> None:
    found = filling(percent, Past(up_seconds=1000))

    assert trend(found)[:2] == (pytest.approx(rate, abs=0.5), "up")
    assert (found.seconds_to_full is None) == (rate == 0)


def test_a_guard_that_sees_nothing_change_tells_no_time_to_full() -> None:
    resting = replace(SEEN, rate_bytes_per_second=0.0)

    assert trend(filling(75, Past(48, ((resting, 1),)))) == (0, "guard", None)


@pytest.mark.parametrize("past", [None, Past(), Past(up_seconds=0.4), Past(up_seconds=-3600)])
def test_without_a_time_there_is_no_rate(past: Past | None) -> None:
    assert trend(filling(75, past)) == (None, None, None)


@pytest.mark.parametrize("attr", ["swi-I-s---", "swi-S-s---"])
def test_a_lost_snapshot_has_no_rate(attr: str) -> None:
    found = filling(100, Past(48, ((SEEN, 1),)), attr=attr)

    assert found.state is State.LOST
    assert trend(found) == (None, None, None)


def test_what_is_not_active_and_what_is_not_there_have_no_rate() -> None:
    assert trend(filling(None, Past(48, ((SEEN, 1),)))) == (None, None, None)
    down = state.of_target(TARGET, samples.facts(), None, Past(48, ((SEEN, 1),)))
    assert (trend(down), down.last_growth) == ((None, None, None), None)


# --- several volumes --------------------------------------------------------------------------------------------------

HOME = samples.snapshot_lv(
    name="home-lvmsnap-nightly", origin="home", uuid="home-snap", device_number="254:4", data_percent=40.0
)
SHOWN = (("254:3", TOP), ("254:4", f"{TOP}/home"), ("8:1", f"{TOP}/boot"))
SET = a_set("system", "home", more="include: [/boot]\n")


def set_target() -> Target:
    target = planner.plan_up(SET, server(*WHOLE), ()).target
    assert target is not None
    uuids = (samples.SNAPSHOT_UUID, "home-snap")
    taken = (replace(one, dm_uuid=dm_uuid(VG_UUID, uuid)) for one, uuid in zip(target.snapshots, uuids, strict=True))
    return replace(target, snapshots=tuple(taken))


def set_status(home: LogicalVolume | None = HOME, *shown: tuple[str, str], past: Past | None = None) -> Status:
    """The state of a set of vg0/system and vg0/home, of which the latter's snapshot is as told."""
    facts, target = server(*WHOLE, *(shown or SHOWN)), set_target()
    (group,) = facts.vgs
    lvs = (*group.lvs, samples.snapshot_lv(chunk_size_bytes=4 * KIB), *((home,) if home else ()))
    facts = replace(facts, vgs=(replace(group, lvs=lvs),))
    return state.of_target(target, facts, replace(samples.record(), target=target), past)


def test_a_set_tells_each_of_its_volumes_and_for_the_profile_the_fullest_and_the_trees_top() -> None:
    found = set_status()

    assert [(one.origin, one.fill_percent, one.mountpoint) for one in found.volumes] == [
        ("vg0/system", 1.5, TOP),
        ("vg0/home", 40.0, f"{TOP}/home"),
    ]
    assert (found.state, found.snapshot, found.fill_percent) == (State.UP, "vg0/home-lvmsnap-nightly", 40.0)
    assert (found.device, found.mountpoint) == ("/dev/vg0/home-lvmsnap-nightly", TOP)


@pytest.mark.parametrize(
    ("home", "how"),
    [
        (replace(HOME, attr="swi-I-s---", data_percent=100.0), state.OVERFLOWED),
        (None, "it was removed or replaced"),
    ],
    ids=["overflowed", "removed"],
)
def test_a_set_is_lost_with_one_of_its_snapshots_which_is_named(home: LogicalVolume | None, how: str) -> None:
    found = set_status(home)

    assert (found.state, found.problem) == (State.LOST, f"vg0/home: {how}")
    assert [one.lost for one in found.volumes] == ["", how]
    assert found.snapshot == "vg0/home-lvmsnap-nightly"


@pytest.mark.parametrize(
    ("shown", "problem"),
    [
        (SHOWN[:1] + SHOWN[2:], "missing: mount of vg0/home"),
        (SHOWN[:2], "missing: included /boot"),
        ((("8:9", "/media"),), "missing: mount of vg0/system, mount of vg0/home, included /boot"),
    ],
)
def test_what_a_set_lacks_is_named_with_its_volume(shown: tuple[tuple[str, str], ...], problem: str) -> None:
    found = set_status(HOME, *shown)

    assert (found.state, found.problem) == (State.PARTIAL, problem)


def test_each_snapshot_of_a_set_has_what_its_own_guard_saw() -> None:
    of_home = replace(SEEN, uuid=dm_uuid(VG_UUID, "home-snap"), rate_bytes_per_second=float(MIB), last_growth=None)

    found = set_status(past=Past(1000, ((of_home, 1), (SEEN, 1))))

    assert [(one.rate_bytes_per_second, one.last_growth) for one in found.volumes] == [(2 * MIB, GROWN), (MIB, None)]
    assert found.rate_bytes_per_second == MIB


def test_a_lost_snapshot_is_called_by_its_profile_or_where_there_are_several_by_its_origin() -> None:
    assert state.whose_snapshot("nightly", Loss(state.OVERFLOWED)) == "the snapshot of nightly"
    assert state.whose_snapshot("nightly", Loss(state.OVERFLOWED, "vg0/home")) == "nightly's snapshot of vg0/home"
