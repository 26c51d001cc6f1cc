"""Sees from the kernel alone whether a thing that was just made stands, so that a command's word is not enough."""

from __future__ import annotations

from lvmsnap.execution import places
from lvmsnap.model.lvm_names import dm_name
from lvmsnap.model.plan import Action, Thing
from lvmsnap.model.target import LentPV, Target
from lvmsnap.system import block_devices, device_mapper, mount_table
from lvmsnap.system.path_facts import file_facts


def not_standing(action: Action, target: Target) -> str:
    """Say why a thing that was just made is not there after all, "" where it is. Reads the kernel alone."""
    lent, mount, thing = target.lent_pv, target.mount, action.thing
    if thing is Thing.FILE and lent:
        return "" if lent.inode else f"{lent.path} is no new, empty file of root's"
    if thing in (Thing.SPACE, Thing.PV) and lent:
        return _content_missing(thing, lent)
    if thing is Thing.LOOP and lent:
        return "" if places.is_bound(action, target) else f"{action.object} is not bound to {lent.path}"
    if thing is Thing.SNAPSHOT:
        return _snapshot_not_standing(target)
    if thing is Thing.MOUNT and mount:
        unseen = "" if _is_mounted(target) else f"{mount.mountpoint} does not show the snapshot"
        return unseen or overflowed(target)
    return ""


def overflowed(target: Target) -> str:
    """Say that the snapshot ran full, "" where it has room: where much is written that may take less than a second."""
    status = device_mapper.snapshot_status(dm_name(target.vg, target.snapshot))
    return "the snapshot is full already: give it a larger size" if status and status.is_lost else ""


def loop_device(target: Target) -> str:
    """Return the loop device that is bound to the target's backing file, "" where none is."""
    lent = target.lent_pv
    identity = (lent.device, lent.inode) if lent else (None, None)
    return next((loop.device for loop in block_devices.loops() if (loop.file_device, loop.file_inode) == identity), "")


def others_on_lent_pv(target: Target) -> tuple[str, ...]:
    """Return the device-mapper devices on the lent PV that are not our snapshot's: somebody was given extents there."""
    device = loop_device(target)
    ours = f"{dm_name(target.vg, target.snapshot)}-cow"
    return tuple(name for name in block_devices.dm_holders(device) if name != ours) if device else ()


def snapshot_uuid(target: Target) -> str:
    """Return the device-mapper UUID of the snapshot, "" where it has no device."""
    name = dm_name(target.vg, target.snapshot)
    return next((device.uuid for device in device_mapper.devices() if device.name == name), "")


def _content_missing(thing: Thing, lent: LentPV) -> str:
    file = file_facts(lent.path)
    if thing is Thing.PV:
        # vgextend would make a PV of any device itself, with a UUID that nobody knows for ours.
        return "" if file and file.pv_uuid == lent.pv_uuid else f"{lent.path} does not bear the PV's UUID"
    if file is None or (file.device, file.inode) != (lent.device, lent.inode):
        return f"{lent.path} is no longer the file that was made there"
    whole = file.size_bytes == lent.size_bytes <= file.allocated_bytes
    return "" if whole else f"{lent.path} has not all of its {lent.size_bytes} bytes allocated"


def _snapshot_not_standing(target: Target) -> str:
    numbers = {device.name: device.device_number for device in device_mapper.devices()}
    name = dm_name(target.vg, target.snapshot)
    if name not in numbers:
        return f"device {name} is not there"
    cow_bytes = block_devices.device_bytes(numbers.get(f"{name}-cow", ""))
    wanted_bytes = target.extents * target.extent_size_bytes
    if cow_bytes != wanted_bytes:
        return f"{name}-cow has {cow_bytes} bytes instead of {wanted_bytes}"
    return overflowed(target)


def _is_mounted(target: Target) -> bool:
    name = dm_name(target.vg, target.snapshot)
    number = next((device.device_number for device in device_mapper.devices() if device.name == name), "")
    mountpoint = target.mount.mountpoint if target.mount else ""
    top = next((mount for mount in reversed(mount_table.mounts()) if mount.mountpoint == mountpoint), None)
    return top is not None and top.device_number == number
