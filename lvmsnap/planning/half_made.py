"""What a killed command left of a snapshot's and its origin's devices: suspended, or not all there. Pure."""

from __future__ import annotations

from lvmsnap.model.facts import DmDevice, LogicalVolume, VolumeGroup
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.target import Snapshot


def half_made(
    snapshot: Snapshot, lv: LogicalVolume, vg: VolumeGroup, devices: tuple[DmDevice, ...]
) -> tuple[str, ...] | None:
    """Return which devices of a snapshot that LVM's metadata have are not in use, where a killed command made not all.

    LVM stumbles over them: a -cow that is suspended it would read while it loads the snapshot's table, and wait for
    ever. The origin's layer -real is the snapshot's where it is the only one.
    """
    if not lv.origin or lv.is_merging or lv.is_thin:
        return None
    origin, uuid = dm_uuid(vg.uuid, snapshot.origin_uuid), dm_uuid(vg.uuid, lv.uuid)
    is_only = [one.name for one in vg.lvs if one.origin == lv.origin] == [lv.name]
    wanted = (uuid, f"{uuid}-cow", *([f"{origin}-real"] if is_only and snapshot.origin_uuid else []))
    found = sorted((one for one in devices if one.uuid in wanted), key=lambda one: wanted.index(one.uuid))
    is_loaded = any(one.has_table for one in found if one.uuid == uuid)
    stalls = {one.name for one in found if one.suspended and one.uuid == f"{uuid}-cow" and not is_loaded}
    unused = tuple(one.name for one in found if not one.has_table or one.name in stalls)
    return unused if found and len(found) - len(unused) < len(wanted) else None


def origin_devices(snapshot: Snapshot, devices: tuple[DmDevice, ...]) -> tuple[DmDevice, ...]:
    """Return the origin's device-mapper devices: its own, and -real while it has snapshots."""
    prefix = dm_uuid(snapshot.vg_uuid, snapshot.origin_uuid)
    # Without the origin's UUID it would be that of the whole group.
    return tuple(one for one in devices if snapshot.origin_uuid and one.uuid.startswith(prefix))


def suspended_devices(snapshot: Snapshot, devices: tuple[DmDevice, ...]) -> tuple[str, ...]:
    """Return the origin's devices that are suspended. One without any table cannot be resumed; it is removed."""
    origin = origin_devices(snapshot, devices)
    return tuple(one.name for one in origin if one.suspended and (one.has_table or one.is_loaded))
