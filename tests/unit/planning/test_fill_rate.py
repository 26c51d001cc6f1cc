"""When a filling snapshot is looked at, warned of and given more room; how much, and from where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from lvmsnap.model.facts import Facts, LogicalVolume, PhysicalVolume, SnapshotStatus
from lvmsnap.model.profile import Allocation, Argv, Overflow, Profile
from lvmsnap.model.target import Target
from lvmsnap.model.units import GIB, MIB
from lvmsnap.planning import fill_rate, growth
from lvmsnap.planning.fill_rate import Sample
from lvmsnap.planning.growth import Ask
from lvmsnap.planning.identify import Found, find
from lvmsnap.system.device_mapper import parse_snapshot_status
from tests import samples

UNWATCHED = ("--config", "activation/monitoring=0")
RULES = Overflow(warn_percent=70, extend_percent=80, by_percent=50)


def at(percent: float, seconds: float = 0.0, total_bytes: int = 100 * MIB) -> Sample:
    return Sample(seconds, int(total_bytes * percent / 100), total_bytes)


# --- what the kernel says ---------------------------------------------------------------------------------------------


def test_the_kernels_sectors_become_bytes() -> None:
    assert parse_snapshot_status("16/524288 16") == SnapshotStatus(False, 8192, 256 * MIB)


@pytest.mark.parametrize("text", ["Invalid", "Overflow", "Unknown", "Merge failed", ""])
def test_whatever_is_no_fill_is_a_lost_snapshot(text: str) -> None:
    assert parse_snapshot_status(text).is_lost


# --- when -------------------------------------------------------------------------------------------------------------


def test_the_rate_is_taken_over_a_second_not_over_an_instant() -> None:
    samples_: tuple[Sample, ...] = ()
    for step in range(31):
        samples_ = fill_rate.recent(samples_, at(step, seconds=step / 10))

    assert 1.0 <= samples_[-1].seconds - samples_[0].seconds < 1.2
    assert fill_rate.rate(samples_) == pytest.approx(10 * MIB, rel=0.02)


def test_one_look_tells_no_rate_and_a_shrinking_fill_is_none() -> None:
    assert fill_rate.rate((at(5),)) == 0
    assert fill_rate.rate((at(5, 0), at(3, 1))) == 0


@pytest.mark.parametrize("bytes_per_second", [0, 1, MIB, 100 * MIB, GIB])
def test_the_next_look_comes_before_the_snapshot_can_be_full_at_this_rate(bytes_per_second: int) -> None:
    now = at(79)

    wait = fill_rate.next_look_seconds(now, bytes_per_second)

    assert fill_rate.SHORTEST_SECONDS <= wait <= fill_rate.LONGEST_SECONDS
    assert wait == fill_rate.SHORTEST_SECONDS or wait * bytes_per_second < (now.total_bytes - now.used_bytes) / 2


def test_it_grows_at_extend_at_even_if_nothing_is_written_just_now() -> None:
    assert not fill_rate.is_extended(at(79.9), RULES, 0, 2)
    assert fill_rate.is_extended(at(80), RULES, 0, 2)


def test_it_grows_earlier_where_it_would_be_full_before_more_room_is_there() -> None:
    assert not fill_rate.is_extended(at(20), RULES, bytes_per_second=10 * MIB, seconds_to_grow=2)
    assert fill_rate.is_extended(at(20), RULES, bytes_per_second=30 * MIB, seconds_to_grow=2)


def test_extend_at_100_percent_never_grows() -> None:
    never = replace(RULES, extend_percent=100)

    assert not fill_rate.is_extended(at(100), never, GIB, 2)


def test_it_grows_by_its_share_or_by_what_fills_up_in_a_while() -> None:
    assert fill_rate.wanted_bytes(at(80), RULES, 0, 30) == 50 * MIB
    assert fill_rate.wanted_bytes(at(80), RULES, 100 * MIB, 30) == 3000 * MIB


def test_added_room_lasts_for_a_while_and_at_least_two_growths_but_zeros_take_no_longer_than_they_must() -> None:
    assert fill_rate.room_seconds(2, Allocation.FALLOCATE) == fill_rate.ROOM_SECONDS
    assert fill_rate.room_seconds(20, Allocation.FALLOCATE) == 40
    assert fill_rate.room_seconds(2, Allocation.ZERO_FILL) == 4


# --- from where -------------------------------------------------------------------------------------------------------


def standing(*, snapshot: LogicalVolume | None = None, pv: PhysicalVolume | None = None, **lent: Any) -> Found:
    lv = snapshot or samples.snapshot_lv(chunk_size_bytes=4096)
    group = samples.vg(samples.snapshot_lv(chunk_size_bytes=4096), pvs=(samples.DISK, samples.lent_pv()))
    found = find(samples.TARGET, samples.up_facts(group))
    loan = replace(found.loans[0], pv=pv or found.loans[0].pv, **lent)
    return replace(found, loans=(loan,), snapshots=(replace(found.snapshots[0], lv=lv),))


@dataclass
class Made:
    """What one snapshot alone is given: how many extents, and every command; or why not."""

    extents: int
    filling: tuple[Argv, ...]
    commands: tuple[Argv, ...]
    reason: str


def plan(target: Target, profile: Profile, found: Found, facts: Facts, wanted_bytes: int) -> Made:
    backing = profile.backing_file("vg0")
    ask = Ask(1, wanted_bytes, largest_file_bytes=backing.max_size_bytes if backing else None)
    (room,) = growth.plan(target, found, (ask,), facts)
    (made,) = room.growths
    return Made(made.extents, room.filling, (*room.resizing, *made.commands), made.reason)


def planned(wanted_bytes: int, backing_line: str = "max_size: 1GiB", found: Found | None = None) -> Made:
    found = found or standing()
    facts = samples.up_facts(found.snapshots[0].vg)
    return plan(samples.TARGET, samples.with_file(backing_line), found, facts, wanted_bytes)


def test_a_backing_file_grows_then_its_loop_its_pv_and_the_snapshot_on_it() -> None:
    made = planned(10 * MIB)

    assert made.extents == 3
    (filling,) = made.filling
    assert filling[3:6] == ("sh", samples.FILE, str(samples.FILE_FACTS.inode))
    assert filling[6:] == ("fallocate", "--length", str(77 * MIB), "/proc/self/fd/3")
    assert made.commands == (
        ("losetup", "--set-capacity", "/dev/loop7"),
        ("pvresize", "--devices", "/dev/sda2,/dev/loop7", "/dev/loop7"),
        ("lvextend", *UNWATCHED, "--extents", "+3", f"vg0/{samples.SNAPSHOT}", "/dev/loop7"),
        ("lvchange", "--monitor", "n", f"vg0/{samples.SNAPSHOT}"),
    )


def test_a_backing_file_without_max_size_does_not_grow_nor_does_the_group_give_instead() -> None:
    made = planned(10 * MIB, backing_line="")

    assert made.commands == ()
    assert "max_size" in made.reason


def test_a_backing_file_grows_no_further_than_max_size() -> None:
    assert planned(GIB, "max_size: 100MiB").extents == (100 - 65) // 4
    assert planned(GIB, "max_size: 66MiB").reason == f"{samples.FILE} has its max_size"


def test_a_backing_file_leaves_a_tenth_of_what_is_available() -> None:
    found = standing()
    facts = samples.up_facts(found.snapshots[0].vg, directory=replace(samples.DIRECTORY, available_bytes=100 * MIB))
    profile = samples.with_file("max_size: 100GiB")

    assert plan(samples.TARGET, profile, found, facts, GIB).extents == 90 // 4


def test_space_left_over_from_a_growth_that_failed_half_way_is_used_first() -> None:
    lent = samples.lent_pv(extents=20, allocated_extents=16)

    made = planned(16 * MIB, found=standing(pv=lent))

    assert made.commands[0] == ("lvextend", *UNWATCHED, "--extents", "+4", f"vg0/{samples.SNAPSHOT}", "/dev/loop7")


def test_lent_space_that_may_lie_free_is_open_to_others_only_while_the_snapshot_grows() -> None:
    larger = samples.target(lent_pv=samples.lent(size_bytes=129 * MIB))
    found = standing(pv=samples.lent_pv(extents=32, allocated_extents=16))
    found = replace(found, loans=(replace(found.loans[0], loan=larger.loans[0]),))
    profile = samples.with_file("max_size: 1GiB")

    commands = plan(larger, profile, found, samples.up_facts(found.snapshots[0].vg), MIB).commands

    allocatable = ("pvchange", "--devices", "/dev/sda2,/dev/loop7", "--allocatable")
    assert [command[0] for command in commands] == ["pvchange", "lvextend", "pvchange", "lvchange"]
    assert (commands[0], commands[2]) == ((*allocatable, "y", "/dev/loop7"), (*allocatable, "n", "/dev/loop7"))


def test_without_a_backing_file_the_groups_own_free_extents_are_used() -> None:
    target = samples.target(lent_pv=None)
    group = samples.vg(samples.snapshot_lv(chunk_size_bytes=4096))
    facts = samples.up_facts(group)

    made = plan(target, samples.profile(), find(target, facts), facts, 10 * MIB)

    assert made.commands[0] == ("lvextend", *UNWATCHED, "--extents", "+3", f"vg0/{samples.SNAPSHOT}")


def test_only_what_lvm_would_allocate_is_counted_as_room() -> None:
    target = samples.target(lent_pv=None)
    full = replace(samples.DISK, allocated_extents=samples.DISK.extents - 1)
    closed = replace(samples.DISK, device="/dev/sdb1", uuid=samples.OTHER_UUID, allocatable=False)
    missing = replace(closed, allocatable=True, missing=True)

    for pvs, extents in (((full, closed), 1), ((full, missing), 1), ((closed,), 0)):
        facts = samples.up_facts(samples.vg(samples.snapshot_lv(), pvs=pvs))
        made = plan(target, samples.profile(), find(target, facts), facts, GIB)

        assert made.extents == extents
        assert made.reason == ("" if extents else "vg0 has no free extents; /dev/sdb1 is not allocatable")


def test_a_full_group_is_the_reason_that_is_given() -> None:
    target = samples.target(lent_pv=None)
    full = replace(samples.DISK, allocated_extents=samples.DISK.extents)
    facts = samples.up_facts(samples.vg(samples.snapshot_lv(), pvs=(full,)))

    assert plan(target, samples.profile(), find(target, facts), facts, MIB).reason == "vg0 has no free extents"


def test_it_never_grows_beyond_what_the_origin_can_use() -> None:
    whole = samples.snapshot_lv(size_bytes=11 * GIB, chunk_size_bytes=4096)
    found = standing(snapshot=whole)

    assert planned(GIB, found=found).reason == "it has all the room its origin can ever use"
