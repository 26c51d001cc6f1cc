"""How full each snapshot of a profile is, how fast it fills, and where it is: facts in. Pure."""

from __future__ import annotations

from lvmsnap.model.dataclass import dataclass, replace
from lvmsnap.model.facts import Enlargement, LogicalVolume, Sighting, VolumeGroup
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.planning import pools
from lvmsnap.planning.identify import FoundSnapshot
from lvmsnap.planning.pools import Fill

# A guard looks once a second, but not while it gives the snapshot more room. An older rate is not a current one.
FRESH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class VolumeStatus:
    """One volume of a profile: its `origin` and its `snapshot`, each VG/LV; `fill_percent` is of the CoW space.

    A thin snapshot has none: `size_bytes` and `fill_percent` are those of its `pool`, VG/LV, data or metadata. `lost`
    says how the snapshot was lost, "" if it was not.

    `rate_over` says what the rate covers: the "guard"'s last seconds, or the mean since "up". A snapshot that does not
    fill has a rate of 0, and None for `seconds_to_full`.
    """

    origin: str
    snapshot: str
    size_bytes: int = 0
    fill_percent: float | None = None
    mountpoint: str = ""
    device: str = ""
    rate_bytes_per_second: float | None = None
    rate_over: str | None = None
    seconds_to_full: float | None = None
    last_growth: Enlargement | None = None
    pool: str = ""
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Past:
    """What is known beyond the facts: how long ago `up` was, what guards saw last, and how many seconds ago that was.

    Each sighting is of one snapshot, and says of which.
    """

    up_seconds: float | None = None
    sightings: tuple[tuple[Sighting, float], ...] = ()


def of_snapshot(found: FoundSnapshot, lost: str, past: Past | None) -> VolumeStatus:
    """Return the state of one snapshot; with the `past`, also how fast it fills."""
    status = VolumeStatus(found.snapshot.origin_path, found.snapshot.path, lost=lost)
    lv, vg, mount, luks = found.lv, found.vg, found.snapshot.mount, found.snapshot.luks
    if lv is None or vg is None:
        return status
    space = pools.space_of(lv, vg)
    status = replace(
        status,
        size_bytes=space.total_bytes if space else lv.size_bytes,
        fill_percent=space.percent if space else None,
        pool=f"{lv.vg}/{lv.pool}" if lv.is_thin else "",
        mountpoint=mount.mountpoint if mount and found.is_mounted else "",
        device=luks.path if luks and found.luks.is_open else f"/dev/{lv.vg}/{lv.name}",
    )
    return _with_filling(status, lv, vg, space, past) if past else status


def _with_filling(
    status: VolumeStatus, lv: LogicalVolume, vg: VolumeGroup, space: Fill | None, past: Past
) -> VolumeStatus:
    own = (one for one in past.sightings if one[0].uuid == dm_uuid(vg.uuid, lv.uuid))
    seen, seen_seconds = next(own, (None, 0.0))
    status = replace(status, last_growth=seen.last_growth if seen else None)
    if lv.is_invalid or space is None:
        return status
    used_bytes = space.total_bytes * space.percent / 100
    if seen is not None and 0 <= seen_seconds < FRESH_SECONDS:
        rate, over = seen.rate_bytes_per_second, "guard"
    elif past.up_seconds is not None and past.up_seconds >= 1 and not space.part:
        rate, over = _changed_bytes(lv, used_bytes) / past.up_seconds, "up"
    else:
        return status
    rate = round(rate, 1)
    left = round(max(0.0, space.total_bytes - used_bytes) / rate, 1) if rate else None
    return replace(status, rate_bytes_per_second=rate, rate_over=over, seconds_to_full=left)


def _changed_bytes(snapshot: LogicalVolume, used_bytes: float) -> float:
    """Return how much was used since it was made: it starts with a header and a metadata chunk (dm-snap-persistent.c).

    LVM reports the fill in hundredths of a percent; less than one of them counts as nothing.
    """
    changed = used_bytes - 2 * snapshot.chunk_size_bytes
    return changed if changed >= snapshot.size_bytes / 10_000 else 0.0


def fullest(volumes: tuple[VolumeStatus, ...]) -> VolumeStatus | None:
    """Return the volume that needs attention first: one that was lost, else the fullest, else the first."""
    return max(volumes, key=_need, default=None)


def _need(volume: VolumeStatus) -> tuple[bool, float]:
    unknown = 0.0 if volume.device else -1.0
    return bool(volume.lost), volume.fill_percent if volume.fill_percent is not None else unknown
