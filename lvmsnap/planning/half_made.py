"""What a killed command left of the devices of a snapshot and its origin: suspended, or incomplete. Pure."""

from __future__ import annotations

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.facts import DmDevice, LogicalVolume, VolumeGroup
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.target import Snapshot


@dataclass(frozen=True, slots=True)
class QueuedCreate:
    """The creation of a thin snapshot that LVM has not confirmed: the pool's device, and the transaction to confirm.

    LVM creates a thin snapshot by two messages to the pool: `create_snap`, and `set_transaction_id`, which confirms it.
    If it is killed in between, it repeats the first one before every change of the pool, and fails because the snapshot
    exists already.
    """

    pool_device: str
    thin_id: int
    transaction_id: int


def half_made(
    snapshot: Snapshot, lv: LogicalVolume, vg: VolumeGroup, devices: tuple[DmDevice, ...]
) -> tuple[str, ...] | None:
    """Return the unused devices of a snapshot in LVM's metadata if a killed command left them incomplete, else None.

    LVM cannot cope with them: while it loads the snapshot's table it would read a suspended -cow, and wait for ever.
    The origin's -real layer counts as the snapshot's if this is the only one.
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
    # Without the origin's UUID the prefix would match the whole group.
    return tuple(one for one in devices if snapshot.origin_uuid and one.uuid.startswith(prefix))


def suspended_devices(snapshot: Snapshot, devices: tuple[DmDevice, ...]) -> tuple[str, ...]:
    """Return the origin's devices that are suspended. One without any table cannot be resumed; it is removed."""
    origin = origin_devices(snapshot, devices)
    return tuple(one.name for one in origin if one.suspended and (one.has_table or one.is_loaded))


def queued_create(lv: LogicalVolume, vg: VolumeGroup, devices: tuple[DmDevice, ...]) -> QueuedCreate | None:
    """Return the queued creation of a thin snapshot, which may or may not have taken effect; None if there is none.

    The pool is then one transaction behind LVM's metadata, and the snapshot is from that transaction.
    """
    pool = vg.lv(lv.pool) if lv.is_thin and not lv.is_active else None
    if pool is None or pool.transaction_id is None or lv.thin_id is None:
        return None
    device = next((one for one in devices if one.uuid == f"{dm_uuid(vg.uuid, pool.uuid)}-tpool"), None)
    is_queued = device and device.transaction_id == lv.transaction_id == pool.transaction_id - 1
    return QueuedCreate(device.name, lv.thin_id, pool.transaction_id) if device and is_queued else None
