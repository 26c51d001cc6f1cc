"""Several snapshots that need more room at one moment: the file grows once for all, and no one is left without."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvmsnap.model.facts import Facts
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.target import Target
from lvmsnap.model.units import GIB, MIB
from lvmsnap.planning import growth, planner, shares
from lvmsnap.planning.growth import Ask, Room
from lvmsnap.planning.identify import find
from lvmsnap.planning.shares import Want
from tests import samples
from tests.unit.planning.test_tree import WHOLE, server

HOME_UUID = "home-snap"
TEXT = """\
volumes: [{origin: vg0/system, size: 64MiB}, {origin: vg0/home, size: 64MiB}]
consistent: false
"""
LENT = f"backing_file: {{path: {samples.FILE}, max_size: 1GiB}}\n"
HOME = f"vg0/home-lvmsnap-{samples.TARGET.name}"
SYSTEM = f"vg0/{samples.SNAPSHOT}"


def a_pair(more: str = LENT, used: int = 32) -> tuple[Target, Facts]:
    """Snapshots of vg0/system and vg0/home that are up, 16 extents each, by default on one file of just that size."""
    clean = server(*WHOLE)
    target = planner.plan_up(samples.profile(TEXT + more), clean, (samples.PV_UUID,) if more else ()).target
    assert target is not None
    uuids = zip(target.snapshots, (samples.SNAPSHOT_UUID, HOME_UUID), strict=True)
    target = replace(
        target, snapshots=tuple(replace(one, dm_uuid=dm_uuid(samples.VG_UUID, uuid)) for one, uuid in uuids)
    )
    own = (samples.snapshot_lv(), samples.snapshot_lv(name=HOME.partition("/")[2], origin="home", uuid=HOME_UUID))
    pvs = (samples.DISK, samples.lent_pv(extents=32, allocated_extents=used)) if more else (samples.DISK,)
    group = replace(clean.vgs[0], lvs=(*clean.vgs[0].lvs, *own), pvs=pvs)
    file = replace(samples.FILE_FACTS, size_bytes=129 * MIB)
    return target, replace(samples.up_facts(group, file=file), mounts=clean.mounts)


def given(*asks: Ask, more: str = LENT, used: int = 32) -> Room:
    target, facts = a_pair(more, used)
    (room,) = growth.plan(target, find(target, facts), asks, facts)
    return room


def ask(number: int, extents: int, left: int = 0, rate: float = 0.0, largest: int = GIB, *, due: bool = True) -> Ask:
    """An ask in extents of 4 MiB."""
    return Ask(number, extents * 4 * MIB, left * 4 * MIB, rate * 4 * MIB, is_due=due, largest_file_bytes=largest)


def test_a_file_grows_once_for_both_and_each_gets_what_it_asks_for() -> None:
    room = given(ask(1, 3), ask(2, 5))

    (filling,) = room.filling
    assert filling[-4:] == ("fallocate", "--length", str((129 + 8 * 4) * MIB), "/proc/self/fd/3")
    assert [argv[0] for argv in room.resizing] == ["losetup", "pvresize"]
    extended = [argv[3:] for one in room.growths for argv in one.commands if argv[0] == "lvextend"]
    assert extended == [("--extents", "+3", SYSTEM, "/dev/loop7"), ("--extents", "+5", HOME, "/dev/loop7")]


def test_what_is_there_already_is_shared_before_the_file_grows() -> None:
    room = given(ask(1, 3), ask(2, 5), used=24)

    assert (room.filling, room.resizing) == ((), ())
    assert [one.extents for one in room.growths] == [3, 5]


def test_where_there_is_not_enough_for_both_they_are_full_at_the_same_moment() -> None:
    # 10 extents are to be had. The first fills twice as fast, and has some left: both then last 4 to 5 seconds.
    room = given(ask(1, 50, left=4, rate=2, largest=169 * MIB), ask(2, 50, left=0, rate=1, largest=169 * MIB))

    assert [one.extents for one in room.growths] == [5, 5]
    assert sum(one.extents for one in room.growths) == 10


def test_the_share_of_one_that_does_not_need_it_yet_is_kept_from_the_other() -> None:
    largest = 169 * MIB
    room = given(ask(1, 50, rate=1, largest=largest), ask(2, 50, rate=1, left=2, largest=largest, due=False))

    assert [(one.number, one.extents) for one in room.growths] == [(1, 6)]
    assert str((129 + 6 * 4) * MIB) in room.filling[0]


def test_one_that_does_not_fill_is_told_that_the_rest_is_kept_for_one_that_does() -> None:
    largest = 169 * MIB
    room = given(ask(1, 50, largest=largest), ask(2, 50, rate=9, largest=largest, due=False))

    assert [(one.extents, one.reason) for one in room.growths] == [(0, growth.KEPT)]


def test_without_room_each_is_told_why() -> None:
    room = given(ask(1, 5, largest=129 * MIB), ask(2, 5, largest=129 * MIB))

    assert {one.reason for one in room.growths} == {f"{samples.FILE} has its max_size"}
    assert (room.filling, room.resizing) == ((), ())


def test_one_that_can_use_no_more_takes_none_of_the_room() -> None:
    target, facts = a_pair()
    (group,) = facts.vgs
    whole = replace(group.lvs[-1], size_bytes=11 * GIB)
    facts = replace(facts, vgs=(replace(group, lvs=(*group.lvs[:-1], whole)),))

    (room,) = growth.plan(target, find(target, facts), (ask(1, 3), ask(2, 99)), facts)

    assert [(one.number, one.reason) for one in room.growths if one.reason] == [(2, growth.ENOUGH)]
    assert [one.extents for one in room.growths if one.commands] == [3]


def test_the_groups_own_room_is_shared_too() -> None:
    target, facts = a_pair("")
    (group,) = facts.vgs
    full = replace(samples.DISK, allocated_extents=samples.DISK.extents - 7)
    facts = replace(facts, vgs=(replace(group, pvs=(full,)),))

    (room,) = growth.plan(target, find(target, facts), (ask(1, 50, rate=1), ask(2, 50, rate=1)), facts)

    assert sorted(one.extents for one in room.growths) == [3, 4]
    assert (room.filling, room.resizing) == ((), ())


def in_two_groups(*asks: Ask, available: int, lent: tuple[bool, bool] = (True, True)) -> dict[str, Room]:
    """The rooms of a pair in two groups, whose files lie on one filesystem with so many bytes available."""
    target, facts = a_pair()
    found = find(target, facts)
    (group,), (one, two), (loan,) = facts.vgs, found.snapshots, found.loans
    other = replace(group, name="vg1")
    two = replace(two, vg=other, snapshot=replace(two.snapshot, vg="vg1"))
    loans = (loan, replace(loan, vg=other, loan=replace(loan.loan, vg="vg1")))
    kept = tuple(one for one, is_lent in zip(loans, lent, strict=True) if is_lent)
    found = replace(found, snapshots=(one, two), loans=kept)
    directory = replace(facts.looked.directories[samples.FILE], available_bytes=available)
    facts = replace(samples.changed(facts, directory=directory), vgs=(group, other))
    return {room.vg: room for room in growth.plan(target, found, asks, facts)}


def test_files_of_two_groups_on_one_filesystem_share_what_is_there() -> None:
    shared = in_two_groups(ask(1, 50), ask(2, 25), available=134 * MIB)
    enough = in_two_groups(ask(1, 5), ask(2, 5), available=134 * MIB)
    only_one = in_two_groups(ask(1, 50), ask(2, 50, largest=129 * MIB), available=134 * MIB)

    # 90 % of it are 30 extents.
    given = [
        [sum(one.extents for one in rooms[vg].growths) for vg in ("vg0", "vg1")] for rooms in (shared, enough, only_one)
    ]
    assert given == [[20, 10], [5, 5], [30, 0]]


def test_nobody_waits_for_a_file_who_needs_none() -> None:
    rooms = in_two_groups(ask(1, 5), ask(2, 5), available=GIB, lent=(True, False))

    assert list(rooms) == ["vg1", "vg0"]
    assert [bool(room.filling) for room in rooms.values()] == [False, True]


@pytest.mark.parametrize(
    ("wants", "available", "expected"),
    [
        ((), 10, ()),
        ((Want(3), Want(4)), 10, (3, 4)),
        ((Want(3), Want(4)), 0, (0, 0)),
        ((Want(30), Want(10)), 20, (15, 5)),
        ((Want(1), Want(1), Want(1)), 2, (1, 1, 0)),
        ((Want(100, left=0, per_second=3), Want(100, left=0, per_second=1)), 40, (30, 10)),
        ((Want(100, left=50, per_second=1), Want(100, left=0, per_second=1)), 40, (0, 40)),
        ((Want(10, left=0, per_second=100), Want(100, left=0, per_second=1)), 40, (10, 30)),
        ((Want(100), Want(20, left=0, per_second=1)), 40, (20, 20)),
    ],
    ids=[
        *("nobody", "enough", "nothing", "none fills", "rounding", "by their rates", "one has much left"),
        *("one is content", "one does not fill"),
    ],
)
def test_shares(wants: tuple[Want, ...], available: int, expected: tuple[int, ...]) -> None:
    assert shares.of(wants, available) == expected


def test_no_share_is_more_than_is_wanted_and_nothing_is_left_unused_that_somebody_wants() -> None:
    for available in range(60):
        for wants in (
            (Want(17, 3, 0.7), Want(23, 0, 2.9), Want(11, 1, 0.0)),
            (Want(5, 0, 1e9), Want(50, 10, 1e-9)),
            (Want(1), Want(40, 0.5, 3.3)),
        ):
            got = shares.of(wants, available)
            assert all(0 <= extents <= want.extents for extents, want in zip(got, wants, strict=True))
            assert sum(got) == min(available, sum(want.extents for want in wants))
