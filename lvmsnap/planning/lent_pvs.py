"""Which PVs lvmsnap lent, by the UUIDs it gave them. Pure."""

from __future__ import annotations

from lvmsnap.model.facts import PhysicalVolume, VolumeGroup

# The UUID of a PV lent by lvmsnap begins so: it is recognised in the VG's metadata even while its device is missing.
PV_UUID_PREFIX = "lvmsn2-"
# As older versions wrote it, without the host: on the host that has the record it is ours.
OLD_PV_UUID_PREFIX = "lvmsnp-"


def own_pvs(vg: VolumeGroup) -> tuple[PhysicalVolume, ...]:
    """Return the group's PVs that are not lent to it by a profile."""
    return tuple(pv for pv in vg.pvs if not is_lent(pv.uuid))


def available_extents(vg: VolumeGroup) -> int:
    """Return how many extents of its own the group can give; those on another profile's lent PV go with that."""
    return min(vg.free_extents, sum(pv.free_extents for pv in own_pvs(vg)))


def closed_pvs(vg: VolumeGroup) -> tuple[PhysicalVolume, ...]:
    """Return the group's own PVs that have room, but are closed to new allocations (pvchange(8), --allocatable)."""
    return tuple(pv for pv in own_pvs(vg) if pv.unused_extents and not pv.allocatable and not pv.missing)


def is_lent(pv_uuid: str) -> bool:
    """Whether a PV's UUID says that lvmsnap lent it, on whichever host."""
    return pv_uuid.startswith((PV_UUID_PREFIX, OLD_PV_UUID_PREFIX))


def host_of_pv(pv_uuid: str) -> str:
    """Return the host that lent a PV, "" where its UUID names none."""
    return pv_uuid.split("-")[1] + pv_uuid.split("-")[2] if pv_uuid.startswith(PV_UUID_PREFIX) else ""


def host_prefix(host: str) -> str:
    """Return how the UUID of every PV lent by lvmsnap on `host` begins; "" is a host that is not known."""
    return f"{PV_UUID_PREFIX}{host[:4]}-{host[4:]}-" if host else OLD_PV_UUID_PREFIX
