"""Why LVM cannot snapshot a volume, or would break it, and what to do about it. Pure; verified in the lab."""

from __future__ import annotations

from collections.abc import Iterator

from lvmsnap.model.facts import LogicalVolume, VolumeGroup
from lvmsnap.model.plan import Check

ANOTHER = "name another origin"
IN_POOL = "name a volume in it, or one that uses it, as `origin`"
WHOLE = "name the volume that it is part of as `origin`"
MERGING = "wait until the merge is done: it starts at the next activation with both closed, at the latest at boot"
MOVING = "wait until it is done, or pvmove --abort"
CONVERTING = "wait until it is done: lvs -a -o +copy_percent"
RESHAPED = "once it is done, lvconvert --stripes with its present number frees the space reserved for the reshape"
READ_ONLY = "it is read-only and cannot change: back it up as it is"


def check(origin: LogicalVolume, vg: VolumeGroup) -> Check:
    """Return the check that LVM can take a snapshot of the volume, and leaves it running."""
    found, hint = next(_problems(origin, vg), ("", ANOTHER))
    name = f"{vg.name}/{origin.name}"
    title, problem = f"{name} can be snapshotted", f"{name} cannot be snapshotted"
    return Check("origin-kind", name, title, problem, not found, found, hint)


def _problems(origin: LogicalVolume, vg: VolumeGroup) -> Iterator[tuple[str, str]]:
    """Yield what is wrong, and what to do, the most important first (lvm2's tools/lvcreate.c).

    Segment types decide: lv_attr shows a cache pool and a cached volume both as C, and a VDO volume as virtual.
    """
    # LVM would take a thin snapshot all the same, and the merge would leave it without its origin.
    if any(lv.is_merging and origin.name in (lv.name, lv.origin) for lv in vg.lvs):
        yield "a snapshot is being merged into it", MERGING
    if origin.is_hidden:
        yield "it is a part of another volume", WHOLE
    for kind in origin.segment_types:
        if kind in ("thin-pool", "cache-pool", "vdo-pool"):
            yield f"it is a {kind.replace('vdo', 'VDO').replace('-', ' ')}", IN_POOL
    # Its -real device is permanent, and not a leftover of ours.
    if origin.is_external_origin:
        yield "it is the external origin of thin volumes", READ_ONLY
    parts = [lv for lv in vg.lvs if lv is origin or (lv.is_hidden and lv.name.startswith(f"{origin.name}_"))]
    if any("integrity" in lv.segment_types for lv in parts):
        yield (
            "it is RAID with integrity",
            f"lvconvert --raidintegrity n {vg.name}/{origin.name} removes that, or {ANOTHER}",
        )
    # lvcreate (LVM 2.03.16) then loads a table that is larger than the device, and leaves the origin suspended.
    if any(lv.reshape_bytes for lv in parts):
        yield "it is RAID that is being reshaped, or was: lvcreate would leave it suspended", RESHAPED
    if origin.attr[2:3].isupper():
        yield "LVM has locked it, as pvmove does", MOVING
    if origin.attr[:1] == "c":
        yield "it is being converted", CONVERTING
    if origin.attr[:1] == "s":
        whose = f", of {vg.name}/{origin.origin}" if origin.origin else ""
        yield f"it is a snapshot itself{whose}", f"name {vg.name}/{origin.origin} as `origin`" if whose else ANOTHER
