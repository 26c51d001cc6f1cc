"""Size arithmetic: a snapshot's extents, what its origin can use, what a backing file lends. Pure."""

from __future__ import annotations

from lvmsnap.model.facts import LogicalVolume, VolumeGroup
from lvmsnap.model.profile import BackingFile, Size, SizeUnit, Volume
from lvmsnap.model.units import GIB, MIB
from lvmsnap.planning.lent_pvs import available_extents

# The size if a profile gives none.
DEFAULT_SIZE = Size(4 * GIB)
# lvcreate(8): snapshots have 4 KiB chunks unless asked otherwise.
DEFAULT_CHUNK_BYTES = 4096
# dm-snap-persistent.c: each changed chunk costs an exception of 16 bytes in a metadata chunk.
EXCEPTION_BYTES = 16
# The lent PV's data begins here; there is no metadata area in front of it (pvcreate(8), --dataalignment).
PV_HEADER_BYTES = MIB
# lvm2's SNAPSHOT_MIN_CHUNKS: a header, a metadata chunk and one for data; lvcreate refuses less.
SMALLEST_CHUNKS = 3
# A backing file takes at most this share of what is available on its filesystem.
LARGEST_SHARE_PERCENT = 90


def largest_useful_bytes(origin_bytes: int, chunk_bytes: int) -> int:
    """Return the CoW space after which every chunk of the origin has been copied: more would never be used.

    One header chunk, the origin's chunks, and their metadata chunks, with one more that ends them if the others are
    all full (lvm2's _cow_max_size); lvcreate silently reduces a larger size to this.
    """
    origin_chunks = ceil(origin_bytes, chunk_bytes)
    metadata_chunks = origin_chunks // (chunk_bytes // EXCEPTION_BYTES) + 1
    return (1 + origin_chunks + metadata_chunks) * chunk_bytes


def is_thin_snapshot(volume: Volume, origin: LogicalVolume) -> bool:
    """Whether its snapshot shares the origin's thin pool: the origin lies in one, and no size is given."""
    return volume.size is None and origin.is_thin


def snapshot_extents(volume: Volume, backing: BackingFile | None, vg: VolumeGroup, origin: LogicalVolume) -> int:
    """Return the snapshot's size in extents: as asked, and never more than the origin can use."""
    size, extent_bytes = volume.size or DEFAULT_SIZE, vg.extent_size_bytes
    chunk_bytes = volume.chunk_size_bytes or DEFAULT_CHUNK_BYTES
    origin_extents = origin.size_bytes // extent_bytes
    useful = ceil(largest_useful_bytes(origin.size_bytes, chunk_bytes), extent_bytes)
    asked = {
        SizeUnit.BYTES: ceil(size.amount, extent_bytes),
        # As lvcreate counts: that share of the origin's extents, and room for the metadata of all of them.
        SizeUnit.PERCENT_ORIGIN: useful - origin_extents + ceil(origin_extents * size.amount, 100),
        SizeUnit.PERCENT_FREE: available_extents(vg) * size.amount // 100,
        SizeUnit.PERCENT_PVS: lent_extents(backing, extent_bytes) * size.amount // 100,
    }[size.unit]
    return max(1, min(asked, useful))


def lent_extents(backing_file: BackingFile | None, extent_bytes: int) -> int:
    """Return how many extents a backing file of a given size lends, 0 if its size is not given."""
    return lendable_extents((backing_file.size_bytes or 0) if backing_file else 0, extent_bytes)


def lendable_extents(size_bytes: int, extent_bytes: int) -> int:
    """Return how many extents a PV on a file of that size has."""
    return max(0, size_bytes - PV_HEADER_BYTES) // extent_bytes


def human(size_bytes: int) -> str:
    """Return a size as a person reads it, in IEC units."""
    value = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} TiB"


def ceil(value: int, divisor: int) -> int:
    """Return value / divisor, rounded up."""
    return -(-value // divisor)


def rounded(size_bytes: int, *, up: bool) -> int:
    """Return a size as a round number: whole MiB, in steps of a quarter of the power of two below."""
    step = max(MIB, 1 << max(0, size_bytes.bit_length() - 3))
    return (ceil(size_bytes, step) if up else size_bytes // step) * step
