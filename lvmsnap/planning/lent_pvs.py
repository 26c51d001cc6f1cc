"""Which PVs lvmsnap lent, by the UUIDs it gave them. Pure."""

from __future__ import annotations

from lvmsnap.model.facts import PhysicalVolume, VolumeGroup

# The UUID of every PV lent by lvmsnap starts with this: the VG's metadata show it even while the device is missing.
PV_UUID_PREFIX = "lvmsn2-"
# Older versions used this, without the host: it is ours on the host that has the record.
OLD_PV_UUID_PREFIX = "lvmsnp-"


def own_pvs(vg: VolumeGroup) -> tuple[PhysicalVolume, ...]:
    """Return the group's PVs that are not lent to it by a profile."""
    return tuple(pv for pv in vg.pvs if not is_lent(pv.uuid))


def available_extents(vg: VolumeGroup) -> int:
    """Return how many extents of its own the group can give; those on a lent PV leave together with it."""
    return min(vg.free_extents, sum(pv.free_extents for pv in own_pvs(vg)))


def closed_pvs(vg: VolumeGroup) -> tuple[PhysicalVolume, ...]:
    """Return the group's own PVs that have room, but are closed to new allocations (pvchange(8), --allocatable)."""
    return tuple(pv for pv in own_pvs(vg) if pv.unused_extents and not pv.allocatable and not pv.missing)


def is_lent(pv_uuid: str) -> bool:
    """Whether a PV's UUID says that lvmsnap lent it, on any host."""
    return pv_uuid.startswith((PV_UUID_PREFIX, OLD_PV_UUID_PREFIX))


def host_of_pv(pv_uuid: str) -> str:
    """Return the host that lent a PV, "" if its UUID names none."""
    return pv_uuid.split("-")[1] + pv_uuid.split("-")[2] if pv_uuid.startswith(PV_UUID_PREFIX) else ""


def host_prefix(host: str) -> str:
    """Return the prefix of the UUIDs of all PVs lent by lvmsnap on `host`, "" for an unknown host."""
    return f"{PV_UUID_PREFIX}{host[:4]}-{host[4:]}-" if host else OLD_PV_UUID_PREFIX
