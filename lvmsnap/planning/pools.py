"""The thin pool that a thin snapshot lies in: how full it is, and what is wrong with it. Pure."""

from __future__ import annotations

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.facts import LogicalVolume, VolumeGroup
from lvmsnap.planning.sizing import human

# lvs(8), lv_attr: the ninth character is the pool's health, the fifth says that it must be checked.
TROUBLES = {
    "D": "it has no space left for data",
    "M": "its metadata is full or damaged, and takes no writes",
    "F": "it failed",
}
NEEDS_CHECK = "its metadata must be checked: lvconvert --repair"


@dataclass(frozen=True, slots=True)
class Fill:
    """How full something is: a snapshot's own space, or the fuller `part` of its pool, "data" or "metadata"."""

    total_bytes: int
    percent: float
    part: str = ""


def pool_of(lv: LogicalVolume, vg: VolumeGroup) -> LogicalVolume | None:
    """Return the thin pool that a thin volume lies in, None for any other volume."""
    return vg.lv(lv.pool) if lv.is_thin else None


def has_snapshots(origin: str, vg: VolumeGroup) -> bool:
    """Whether the origin has snapshots with CoW space of their own, for which LVM puts a -real layer beneath it."""
    return any(lv.origin == origin and not lv.is_thin for lv in vg.lvs)


def has_failed(lv: LogicalVolume, vg: VolumeGroup) -> bool:
    """Whether a thin volume, or the pool that it lies in, failed or ran full."""
    pool = pool_of(lv, vg)
    return pool is not None and bool(trouble(pool) or lv.attr[8:9] == "F")


def trouble(pool: LogicalVolume) -> str:
    """Say what keeps the pool from taking writes, "" if nothing does."""
    return TROUBLES.get(pool.attr[8:9]) or (NEEDS_CHECK if pool.attr[4:5] in ("c", "C") else "")


def space_of(snapshot: LogicalVolume, vg: VolumeGroup) -> Fill | None:
    """Return how full a snapshot's own space is, or its pool, None if that is not known."""
    if pool := pool_of(snapshot, vg):
        return fill_of(pool)
    return Fill(snapshot.size_bytes, snapshot.data_percent) if snapshot.data_percent is not None else None


def fill_of(pool: LogicalVolume) -> Fill | None:
    """Return how full the fuller of the pool's data and metadata is, None while it is not active."""
    if pool.data_percent is None:
        return None
    data = Fill(pool.size_bytes, pool.data_percent, "data")
    metadata = Fill(pool.metadata_bytes, pool.metadata_percent or 0.0, "metadata")
    return max(data, metadata, key=lambda fill: fill.percent)


def promised_bytes(pool: LogicalVolume, vg: VolumeGroup) -> int:
    """Return the total virtual size of the volumes in the pool: more than it has, if it is overprovisioned."""
    return sum(lv.size_bytes for lv in vg.lvs if lv.is_thin and lv.pool == pool.name)


def describe(pool: LogicalVolume, vg: VolumeGroup) -> str:
    """Say how full the pool is, and how much it has promised, for a reader."""
    fill = f", {pool.data_percent:.0f} % used" if pool.data_percent is not None else ""
    metadata = f", {pool.metadata_percent:.0f} % of its metadata" if pool.metadata_percent is not None else ""
    promised = human(promised_bytes(pool, vg))
    return f"pool {vg.name}/{pool.name}: {human(pool.size_bytes)}{fill}{metadata}; its volumes total {promised}"
