"""How a snapshot that is up can be given more room: how many extents, from where, or why not. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from lvmsnap.model.facts import Facts
from lvmsnap.model.profile import Argv, BackingFile
from lvmsnap.model.target import Target
from lvmsnap.planning import growth_actions, held_blocks
from lvmsnap.planning.identify import Found, FoundLoan, FoundSnapshot
from lvmsnap.planning.lent_pvs import available_extents, closed_pvs
from lvmsnap.planning.sizing import DEFAULT_CHUNK_BYTES, PV_HEADER_BYTES, ceil, largest_useful_bytes

# Not a want but an end: such a snapshot cannot become full.
ENOUGH = "it has all the room its origin can ever use"
# How lvextend begins to say that it cannot find so many extents.
NO_ROOM = "Insufficient"
# What may still be said of a growth that was made.
LATE = "more room came barely in time, or too late: give the profile a larger `size`"


@dataclass(frozen=True, slots=True)
class Growth:
    """What gives the snapshot more room, and how many extents; without commands `reason` says why it cannot grow.

    `filling` makes the backing file larger, which may take long and comes first, while no group is locked for it.
    """

    commands: tuple[Argv, ...] = ()
    filling: tuple[Argv, ...] = ()
    extents: int = 0
    reason: str = ""


def plan(
    target: Target, one: FoundSnapshot, found: Found, backing: BackingFile | None, facts: Facts, wanted_bytes: int
) -> Growth:
    """Return how the snapshot `one` of what was `found` gets `wanted_bytes` more, or as much of it as can be had."""
    vg, lv = one.vg, one.lv
    origin = vg.lv(one.snapshot.origin) if vg else None
    if vg is None or lv is None or origin is None:
        return Growth(reason="the snapshot is not there")
    if one.is_merging:
        return Growth(reason="LVM is merging it into its origin")
    extent_bytes = vg.extent_size_bytes
    most_bytes = largest_useful_bytes(origin.size_bytes, lv.chunk_size_bytes or DEFAULT_CHUNK_BYTES)
    room = ceil(most_bytes, extent_bytes) - lv.size_bytes // extent_bytes
    if room <= 0:
        return Growth(reason=ENOUGH)
    wanted = min(room, ceil(wanted_bytes, extent_bytes))
    if (lent := found.loan_to(vg.name)) is not None:
        return _from_file(target, one, lent, backing, facts, wanted)
    extents = min(wanted, available_extents(vg))
    if extents <= 0:
        closed = "".join(f"; {pv.device} is closed to allocation" for pv in closed_pvs(vg))
        return Growth(reason=f"{vg.name} has no free extents{closed}")
    return Growth(growth_actions.grow(target, one, vg, extents, None), extents=extents)


def _from_file(
    target: Target, one: FoundSnapshot, lent: FoundLoan, backing: BackingFile | None, facts: Facts, wanted: int
) -> Growth:
    largest_bytes = backing.max_size_bytes if backing else None
    if largest_bytes is None:
        return Growth(reason="the profile has no backing_file.max_size")
    directory = facts.looked.directories.get(lent.loan.path)
    if lent.vg is None or lent.loop is None or lent.file is None or lent.pv is None or directory is None:
        return Growth(reason="its backing file is not there")
    extent_bytes, old_bytes = lent.vg.extent_size_bytes, lent.file.size_bytes
    possible_bytes = old_bytes + held_blocks.largest_file_bytes(directory)
    # What a growth that failed half-way left is used first: free extents of the lent PV, or of its file.
    free = lent.pv.unused_extents
    spare = max(free, (old_bytes - PV_HEADER_BYTES) // extent_bytes - lent.pv.allocated_extents)
    new = max(0, min(largest_bytes, possible_bytes) - old_bytes) // extent_bytes
    extents = min(wanted, spare + new)
    if extents <= 0:
        full = largest_bytes <= possible_bytes
        return Growth(reason=f"{lent.loan.path} {'has its max_size' if full else 'has no room to grow where it lies'}")
    new_bytes = old_bytes + max(0, extents - spare) * extent_bytes
    is_filled = extents > free and new_bytes > old_bytes
    filling = growth_actions.grow_file(lent.loan, old_bytes, new_bytes) if is_filled else ()
    resized = growth_actions.grow_pv(lent.vg, lent.loop.device) if extents > free else ()
    return Growth((*resized, *growth_actions.grow(target, one, lent.vg, extents, lent)), filling, extents)
