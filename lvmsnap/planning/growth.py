"""How a standing snapshot can be given more room: how many extents, from where, or why not. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from lvmsnap.model.facts import Facts, VolumeGroup
from lvmsnap.model.profile import Argv, BackingFile
from lvmsnap.model.target import LentPV, Target
from lvmsnap.planning import growth_actions, held_blocks
from lvmsnap.planning.identify import Found, own_pvs
from lvmsnap.planning.sizing import DEFAULT_CHUNK_BYTES, PV_HEADER_BYTES, ceil, largest_useful_bytes

# Not a want but an end: such a snapshot cannot become full.
ENOUGH = "it has all the room its origin can ever use"
# What may still be said of a growth that was made.
LATE = "more room came hardly in time, or too late: give the profile a larger `size`"


@dataclass(frozen=True, slots=True)
class Growth:
    """What gives the snapshot more room, and how many extents; without commands `reason` says why it cannot grow.

    `filling` makes the backing file larger, which may take long and comes first, while no group is locked for it.
    """

    commands: tuple[Argv, ...] = ()
    filling: tuple[Argv, ...] = ()
    extents: int = 0
    reason: str = ""


def plan(target: Target, backing: BackingFile | None, found: Found, facts: Facts, wanted_bytes: int) -> Growth:
    """Return how the snapshot gets `wanted_bytes` more, or as much of it as can be had."""
    vg, snapshot = found.vg, found.snapshot
    origin = vg.lv(target.origin) if vg else None
    if vg is None or snapshot is None or origin is None:
        return Growth(reason="the snapshot is not there")
    if found.is_merging:
        return Growth(reason="LVM is merging it into its origin")
    extent_bytes = vg.extent_size_bytes
    most_bytes = largest_useful_bytes(origin.size_bytes, snapshot.chunk_size_bytes or DEFAULT_CHUNK_BYTES)
    room = ceil(most_bytes, extent_bytes) - snapshot.size_bytes // extent_bytes
    if room <= 0:
        return Growth(reason=ENOUGH)
    wanted = min(room, ceil(wanted_bytes, extent_bytes))
    if target.lent_pv is not None:
        return _from_file(target, target.lent_pv, backing, found, facts, vg, wanted)
    extents = min(wanted, sum(pv.extents - pv.allocated_extents for pv in own_pvs(vg) if not pv.missing))
    if extents <= 0:
        return Growth(reason=f"{vg.name} has no free extents")
    return Growth(growth_actions.grow(target, vg, extents), extents=extents)


def _from_file(
    target: Target,
    lent: LentPV,
    backing: BackingFile | None,
    found: Found,
    facts: Facts,
    vg: VolumeGroup,
    wanted: int,
) -> Growth:
    largest_bytes = backing.max_size_bytes if backing else None
    if largest_bytes is None:
        return Growth(reason="the profile has no backing_file.max_size")
    if found.loop is None or found.file is None or found.pv is None or facts.directory is None:
        return Growth(reason="its backing file is not there")
    old_bytes = found.file.size_bytes
    possible_bytes = old_bytes + held_blocks.largest_file_bytes(facts.directory)
    # What a growth that failed half-way left is used first: free extents of the lent PV, or of its file.
    free = found.pv.extents - found.pv.allocated_extents
    spare = max(free, (old_bytes - PV_HEADER_BYTES) // vg.extent_size_bytes - found.pv.allocated_extents)
    new = max(0, min(largest_bytes, possible_bytes) - old_bytes) // vg.extent_size_bytes
    extents = min(wanted, spare + new)
    if extents <= 0:
        full = largest_bytes <= possible_bytes
        return Growth(reason=f"{lent.path} {'has its max_size' if full else 'has no room to grow where it lies'}")
    new_bytes = old_bytes + max(0, extents - spare) * vg.extent_size_bytes
    filling = growth_actions.grow_file(lent, old_bytes, new_bytes) if extents > free and new_bytes > old_bytes else ()
    resized = growth_actions.grow_pv(vg, found.loop.device) if extents > free else ()
    return Growth((*resized, *growth_actions.grow(target, vg, extents, found.loop.device)), filling, extents)
