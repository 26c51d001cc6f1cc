"""Looks again at the place of a step, right before it and after it: a directory may have changed hands meanwhile."""

from __future__ import annotations

import os

from lvmsnap.model.facts import Mount
from lvmsnap.model.lvm_names import dm_name, dm_uuid
from lvmsnap.model.plan import Action, Thing
from lvmsnap.model.profile import Argv
from lvmsnap.model.target import Target
from lvmsnap.planning import access, file_actions
from lvmsnap.system import ancestors, block_devices, device_mapper, mount_table
from lvmsnap.system.path_facts import file_facts


def exposed(thing: Thing, target: Target) -> str:
    """Say who else than root could lead the step elsewhere now, "" where nobody could."""
    if thing is Thing.VG_MEMBER:
        return ring(target)
    path = ""
    if thing in (Thing.FILE, Thing.SPACE, Thing.LOOP) and target.lent_pv:
        path = target.lent_pv.path
    if thing is Thing.MOUNT and target.mount:
        path = target.mount.mountpoint
    if not path:
        return ""
    way = ancestors.walk(os.path.dirname(path), mount_table.mounts())
    if way.stalling:
        return f"{way.stalling} is on the way to {path}"
    elsewhere = f"{os.path.dirname(path)} leads to {way.real_path}" if way.real_path != os.path.dirname(path) else ""
    return access.exposed(way.gates) or elsewhere


def ring(target: Target) -> str:
    """Say that the backing file lies on the origin by now, "" where it does not.

    Another profile may have taken a snapshot of what is beneath the file, and lent its space from this origin: each
    write would wait for one to the other origin, and that for this one.
    """
    folder = os.path.dirname(target.lent_pv.path) if target.lent_pv else ""
    numbers = block_devices.devices_under(folder, mount_table.mounts()) if folder else ()
    prefix = dm_uuid(target.vg_uuid, target.origin_uuid)
    beneath = (device for device in device_mapper.devices() if device.device_number in numbers)
    name = next((device.name for device in beneath if device.uuid.startswith(prefix)), "")
    return f"{folder} lies on {name} by now, through snapshots of what is beneath it" if name else ""


def is_bound(action: Action, target: Target) -> bool:
    """Whether the very loop device of the action is bound to the target's backing file."""
    lent = target.lent_pv
    bound = next((loop for loop in block_devices.loops() if loop.device == action.object), None)
    return bound is not None and lent is not None and (bound.file_device, bound.file_inode) == (lent.device, lent.inode)


def moved_file(target: Target) -> str:
    """Say that the backing file that was made is not at its path any more, "" where it is or was never made."""
    lent = target.lent_pv
    if lent is None or lent.inode is None:
        return ""
    file = file_facts(lent.path)
    is_there = file is not None and (file.device, file.inode) == (lent.device, lent.inode)
    return "" if is_there else f"inode {lent.inode}, which somebody moved or removed from {lent.path}"


def take_back(action: Action, target: Target, mounts_before: tuple[Mount, ...]) -> tuple[Argv, ...]:
    """Return what undoes a command that succeeded, but on another file or at another place than was meant.

    `down` would not find it there: it looks for the file's own inode, and at the mountpoint.
    """
    if action.thing is Thing.LOOP and any(loop.device == action.object for loop in block_devices.loops()):
        return () if is_bound(action, target) else action.undo
    if action.thing is not Thing.MOUNT or target.mount is None:
        return ()
    name = dm_name(target.vg, target.snapshot)
    number = next((device.device_number for device in device_mapper.devices() if device.name == name), "")
    known = {mount.mount_id for mount in mounts_before}
    new = [mount for mount in mount_table.mounts() if mount.device_number == number and mount.mount_id not in known]
    return tuple(file_actions.unmount_astray(m.mountpoint) for m in new if m.mountpoint != target.mount.mountpoint)
