"""Whether a volume group has room for all snapshots that are to be taken in it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lvmsnap.model.facts import VolumeGroup
from lvmsnap.model.plan import Check
from lvmsnap.model.target import CowSpace, Loan, Target
from lvmsnap.model.units import MIB
from lvmsnap.planning.lent_pvs import available_extents, closed_pvs
from lvmsnap.planning.sizing import DEFAULT_CHUNK_BYTES, PV_HEADER_BYTES, SMALLEST_CHUNKS, human, lendable_extents


def run(target: Target, vg: VolumeGroup) -> Iterator[Check]:
    """Yield the checks of the group's space, for all of the target's snapshots in it together."""
    is_set = len(target.snapshots) > 1
    cows = []
    for one in target.snapshots:
        if one.vg == vg.name and (cow := one.own_space):
            cows.append(cow)
            of = f"{vg.name}/{one.origin}"
            yield _smallest(cow, of, f"the snapshot of {of}" if is_set else "the snapshot")
    if not cows:
        return
    loan, wanted_extents = target.loan_to(vg.name), sum(cow.extents for cow in cows)
    lent_extents = lendable_extents(loan.size_bytes, vg.extent_size_bytes) if loan else 0
    what = f"the snapshots in {vg.name}" if is_set else "the snapshot"
    yield _enough(what, loan, vg, wanted_extents, lent_extents, is_set=is_set)
    if loan is not None:
        spare = lent_extents - wanted_extents
        left = f"{human(spare * vg.extent_size_bytes)} of it stay unused"
        hint = "give a smaller `backing_file.size`, or leave it out: others could allocate on what is left over"
        title, problem = "nobody else can allocate on the lent space", "others can allocate on the lent space"
        yield Check(
            "lent-space-used", vg.name, title, problem, spare <= 0, left if spare > 0 else "all of it used", hint
        )


def _smallest(cow: CowSpace, of: str, what: str) -> Check:
    least_bytes = SMALLEST_CHUNKS * (cow.chunk_size_bytes or DEFAULT_CHUNK_BYTES)
    found = f"{human(cow.size_bytes)} of at least {human(least_bytes)}"
    hint = "give a larger `size`, or a smaller `chunk_size`"
    title, problem = f"{what} has room for three chunks", f"{what} has no room for three chunks"
    return Check("snapshot-smallest", of, title, problem, cow.size_bytes >= least_bytes, found, hint)


def _loan_needed(loan: Loan | None, missing_extents: int, extent_size_bytes: int) -> str:
    """Return what to lend the group so that the snapshots fit."""
    if loan is None:
        return "a `backing_file`, which lends the group space of another filesystem while the profile is up"
    least = -(-(missing_extents * extent_size_bytes + PV_HEADER_BYTES) // MIB)
    return f"`backing_file.size` at least {least}MiB (leave it out, and it is as large as is needed)"


def _enough(
    what: str, loan: Loan | None, vg: VolumeGroup, wanted_extents: int, lent_extents: int, *, is_set: bool
) -> Check:
    with_group = loan is None or bool(loan.allocate_on)
    free = available_extents(vg) if with_group else 0
    is_enough = wanted_extents <= free + lent_extents
    wanted = human(wanted_extents * vg.extent_size_bytes)
    have = human((free + lent_extents) * vg.extent_size_bytes)
    instead = _loan_needed(loan, wanted_extents - free, vg.extent_size_bytes)
    found = f"{wanted} of {have}" if is_enough else f"{wanted} needed, {have} available"
    if closed := () if is_enough else closed_pvs(vg):
        more = human(sum(pv.unused_extents for pv in closed) * vg.extent_size_bytes)
        found += f"; {more} more on {', '.join(pv.device for pv in closed)}, not allocatable"
        instead += f", or make them allocatable: pvchange --allocatable y {closed[0].device}"
    title, problem = f"space for {what}", f"not enough space for {what}"
    fitting = (free + lent_extents) * vg.extent_size_bytes // MIB
    smaller = f"a smaller `size`, at most {fitting}MiB{' in all' * is_set}" if fitting else ""
    hint = f"give {', or '.join(filter(None, (smaller, instead)))}"
    return Check("vg-space", vg.name, title, problem, is_enough, found, hint)
