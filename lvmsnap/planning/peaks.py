"""How full a snapshot became during a run, and what size would have been enough. Pure arithmetic."""

from __future__ import annotations

from lvmsnap.model.dataclass import replace
from lvmsnap.model.facts import SnapshotStatus
from lvmsnap.model.past_run import Peak
from lvmsnap.model.target import CowSpace, Snapshot
from lvmsnap.model.units import MIB
from lvmsnap.planning.sizing import DEFAULT_CHUNK_BYTES, ceil, largest_useful_bytes, rounded

# Half as much again: the same peak then stays below the 70 % at which the guard warns by default.
MARGIN_PERCENT = 150
SMALLEST_BYTES = 4 * MIB


def higher(before: Peak | None, snapshot: Snapshot, now: SnapshotStatus) -> Peak | None:
    """Return the peak updated with what the kernel reports now; after an overflow, what was needed is not known.

    A snapshot never frees its own space, so the last value is the highest. The usage of a pool may go down again, and
    its data and metadata are compared by how full they are.
    """
    if now.is_lost:
        return before and replace(
            before, peak_bytes=before.size_bytes, peak_fill_ratio=1.0, enough_bytes=0, has_overflowed=True
        )
    if not now.total_bytes:
        return before
    ratio = round(now.used_bytes / now.total_bytes, 4)
    if before is not None and _is_below(now, ratio, before):
        return before
    first = before.first_size_bytes if before and before.part == now.part else now.total_bytes
    return Peak(
        origin=snapshot.origin_path,
        snapshot=snapshot.path,
        peak_bytes=now.used_bytes,
        size_bytes=now.total_bytes,
        peak_fill_ratio=ratio,
        first_size_bytes=first,
        enough_bytes=0 if now.pool else _enough(now.used_bytes, now.origin_bytes, snapshot.own_space),
        pool=now.pool,
        part=now.part,
    )


def _is_below(now: SnapshotStatus, ratio: float, before: Peak) -> bool:
    return ratio < before.peak_fill_ratio if now.pool else now.used_bytes < before.peak_bytes


def _enough(peak_bytes: int, origin_bytes: int, space: CowSpace | None) -> int:
    """Return the size that would have sufficed with room to spare; never more than the origin can use, if it is known.

    It is a round number: a person writes it into a profile.
    """
    wanted = rounded(max(SMALLEST_BYTES, peak_bytes * MARGIN_PERCENT // 100), up=True)
    if not origin_bytes:
        return wanted
    chunk_bytes = (space.chunk_size_bytes if space else None) or DEFAULT_CHUNK_BYTES
    return min(wanted, ceil(largest_useful_bytes(origin_bytes, chunk_bytes), MIB) * MIB)
