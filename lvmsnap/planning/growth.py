"""How snapshots that are up can be given more room: how many extents each, from where, or why not. Pure.

What several of them need at one moment is planned together: a backing file grows once for all of them. If there is not
enough, it is shared so that all become full at the same moment: the whole set is lost with the first one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lvmsnap.model.dataclass import dataclass, replace
from lvmsnap.model.facts import Facts, VolumeGroup
from lvmsnap.model.looked import DirectoryFacts
from lvmsnap.model.profile import Argv
from lvmsnap.model.target import Target
from lvmsnap.planning import growth_actions, held_blocks, shares
from lvmsnap.planning.identify import Found, FoundLoan, FoundSnapshot
from lvmsnap.planning.lent_pvs import available_extents, closed_pvs
from lvmsnap.planning.shares import Want
from lvmsnap.planning.sizing import DEFAULT_CHUNK_BYTES, PV_HEADER_BYTES, ceil, largest_useful_bytes

# Not a shortage: such a snapshot cannot become full.
ENOUGH = "it has all the room its origin can ever use"
ABSENT = "the snapshot does not exist"
KEPT = "the remaining space is kept for another snapshot of the profile, which fills faster"
# The first word of lvextend's error message if there are not enough free extents.
NO_ROOM = "Insufficient"
# A warning about a growth that succeeded.
LATE = "it was extended barely in time, or too late: give the profile a larger `size`"


@dataclass(frozen=True, slots=True)
class Ask:
    """How much more room one snapshot of a target should get; `number` counts the snapshots, the first is 1.

    `left_bytes` of its room are unused, and fill at `bytes_per_second`. If it is not `is_due` it gets nothing yet, but
    its share is reserved if others do. `largest_file_bytes` is the size to which its group's backing file may grow,
    None if it may not.
    """

    number: int
    wanted_bytes: int
    left_bytes: int = 0
    bytes_per_second: float = 0.0
    is_due: bool = True
    largest_file_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Growth:
    """How many extents snapshot `number` gets, and by which commands; if none, `reason` says why."""

    number: int
    extents: int = 0
    commands: tuple[Argv, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Room:
    """The commands that give the snapshots of one group more room. First, `filling` enlarges the backing file.

    That may take long, and no group is locked for it. Then `resizing` grows the lent PV to match, and each snapshot
    grows.
    """

    vg: str
    filling: tuple[Argv, ...] = ()
    resizing: tuple[Argv, ...] = ()
    growths: tuple[Growth, ...] = ()


@dataclass(frozen=True, slots=True)
class _Supply:
    """How many extents are available: `free` at once, `spare` once the PV is resized, all once the file has grown."""

    extents: int = 0
    reason: str = ""
    free: int = 0
    spare: int = 0


def plan(target: Target, found: Found, asks: Sequence[Ask], facts: Facts) -> tuple[Room, ...]:
    """Return, group by group, how the snapshots that are due get what they ask for, or as much of it as possible.

    Groups whose file must grow come last, so that the others need not wait.
    """
    groups: dict[str, list[Ask]] = {}
    for ask in asks:
        groups.setdefault(found.snapshots[ask.number - 1].snapshot.vg, []).append(ask)
    most = _most_new_bytes(found, groups, facts)
    due = [vg for vg, asked in groups.items() if any(ask.is_due for ask in asked)]
    rooms = (_room(target, found, vg, groups[vg], facts, most.get(vg)) for vg in due)
    return tuple(sorted(rooms, key=lambda room: bool(room.filling)))


def _most_new_bytes(found: Found, groups: Mapping[str, Sequence[Ask]], facts: Facts) -> dict[str, int]:
    """Return by how many bytes each group's file may grow on its filesystem.

    If several files on one filesystem need more than it has, each gets a proportional share.
    """
    wanted: list[tuple[str, DirectoryFacts, int]] = []
    for vg, asks in groups.items():
        lent = found.loan_to(vg)
        directory = facts.looked.directories.get(lent.loan.path) if lent else None
        if lent and lent.file and directory:
            most = max(0, (asks[0].largest_file_bytes or 0) - lent.file.size_bytes)
            filling = sum(ask.wanted_bytes for ask in asks if ask.is_due or ask.bytes_per_second)
            wanted.append((vg, directory, min(most, filling)))
    new_bytes: dict[str, int] = {}
    for vg, directory, own in wanted:
        there = held_blocks.largest_file_bytes(directory)
        together = sum(more for _, where, more in wanted if where.is_on_filesystem_of(directory))
        new_bytes[vg] = there if together <= there else there * own // together
    return new_bytes


def _room(
    target: Target, found: Found, name: str, asks: Sequence[Ask], facts: Facts, most_new_bytes: int | None
) -> Room:
    wants = {ask.number: _want(found.snapshots[ask.number - 1], ask) for ask in asks}
    able = {number: want for number, want in wants.items() if isinstance(want, Want)}
    refused = [
        Growth(ask.number, reason=why) for ask in asks if isinstance(why := wants[ask.number], str) and ask.is_due
    ]
    vg, lent = facts.vg(name), found.loan_to(name)
    if vg is None or not able:
        return Room(name, growths=tuple(refused))
    supply = _lent_supply(lent, asks[0].largest_file_bytes, most_new_bytes) if lent else _own_supply(vg)
    given = dict(zip(able, shares.of(tuple(able.values()), supply.extents), strict=True))
    due = {ask.number: given[ask.number] for ask in asks if ask.is_due and ask.number in given}
    growths = [_growth(target, found, number, extents, vg, supply) for number, extents in due.items()]
    room = Room(name, growths=(*refused, *growths))
    return _with_file(room, vg, lent, sum(due.values()), supply) if lent else room


def _want(one: FoundSnapshot, ask: Ask) -> Want | str:
    """Return how much of what is asked for a snapshot can use, or why it can get nothing."""
    vg, lv = one.vg, one.lv
    origin = vg.lv(one.snapshot.origin) if vg else None
    if vg is None or lv is None or origin is None:
        return ABSENT
    if one.is_merging:
        return "LVM is merging it into its origin"
    extent_bytes = vg.extent_size_bytes
    most_bytes = largest_useful_bytes(origin.size_bytes, lv.chunk_size_bytes or DEFAULT_CHUNK_BYTES)
    room = ceil(most_bytes, extent_bytes) - lv.size_bytes // extent_bytes
    if room <= 0:
        return ENOUGH
    wanted = min(room, ceil(ask.wanted_bytes, extent_bytes))
    return Want(wanted, ask.left_bytes / extent_bytes, ask.bytes_per_second / extent_bytes)


def _own_supply(vg: VolumeGroup) -> _Supply:
    closed = "".join(f"; {pv.device} is not allocatable" for pv in closed_pvs(vg))
    return _Supply(available_extents(vg), f"{vg.name} has no free extents{closed}")


def _lent_supply(lent: FoundLoan, largest_bytes: int | None, most_new_bytes: int | None) -> _Supply:
    if largest_bytes is None:
        return _Supply(reason="the profile has no backing_file.max_size")
    if lent.vg is None or lent.loop is None or lent.file is None or lent.pv is None or most_new_bytes is None:
        return _Supply(reason="its backing file is missing")
    extent_bytes, old_bytes = lent.vg.extent_size_bytes, lent.file.size_bytes
    possible_bytes = old_bytes + most_new_bytes
    # What an unfinished growth left is used first: free extents of the lent PV, or space of its file.
    free = lent.pv.unused_extents
    spare = max(free, (old_bytes - PV_HEADER_BYTES) // extent_bytes - lent.pv.allocated_extents)
    new = max(0, min(largest_bytes, possible_bytes) - old_bytes) // extent_bytes
    why = "has its max_size" if largest_bytes <= possible_bytes else "has no room to grow where it lies"
    return _Supply(spare + new, f"{lent.loan.path} {why}", free, spare)


def _growth(target: Target, found: Found, number: int, extents: int, vg: VolumeGroup, supply: _Supply) -> Growth:
    if extents <= 0:
        return Growth(number, reason=KEPT if supply.extents > 0 else supply.reason)
    return Growth(number, extents, extend(target, found, number, extents, vg))


def extend(target: Target, found: Found, number: int, extents: int, vg: VolumeGroup) -> tuple[Argv, ...]:
    """Return the commands that give one snapshot so many extents of the group, or of its lent PV."""
    return growth_actions.grow(target, found.snapshots[number - 1], vg, extents, found.loan_to(vg.name))


def _with_file(room: Room, vg: VolumeGroup, lent: FoundLoan, extents: int, supply: _Supply) -> Room:
    """Return the room with the commands that make the backing file, and its PV, large enough for all extents given."""
    if extents <= supply.free or lent.file is None or lent.loop is None:
        return room
    old_bytes = lent.file.size_bytes
    new_bytes = old_bytes + max(0, extents - supply.spare) * vg.extent_size_bytes
    filling = growth_actions.grow_file(lent.loan, old_bytes, new_bytes) if new_bytes > old_bytes else ()
    return replace(room, filling=filling, resizing=growth_actions.grow_pv(vg, lent.loop.device))
