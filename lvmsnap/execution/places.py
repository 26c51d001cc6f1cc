"""Checks a step's paths again right before and after it: a directory may have changed hands in the meantime."""

from __future__ import annotations

import os

from lvmsnap.execution import mappings
from lvmsnap.model.condition import (
    Condition,
    FileFilled,
    FileMade,
    LoopBound,
    MappingOpen,
    MountIncluded,
    PVLent,
    SnapshotMounted,
)
from lvmsnap.model.facts import Mount
from lvmsnap.model.lvm_names import dm_name, dm_uuid
from lvmsnap.model.plan import Action
from lvmsnap.model.profile import Argv
from lvmsnap.model.target import Loan, Target
from lvmsnap.planning import access, file_actions
from lvmsnap.system import ancestors, block_devices, device_mapper, mount_table
from lvmsnap.system.path_facts import file_facts


def exposed(condition: Condition, target: Target) -> str:
    """Say who other than root could now redirect the step that makes this, "" if nobody could."""
    match condition:
        case PVLent(_, path, _):
            return ring(path, target)
        case MappingOpen(key_file=key_file) if key_file:
            return access.exposed(ancestors.walk(os.path.dirname(key_file), mount_table.mounts()).gates)
        case FileMade(path) | FileFilled(path) | LoopBound(_, path):
            return _exposed(path, ())
        case SnapshotMounted(path) | MountIncluded(path):
            return _exposed(path, _read_only(target, path))
        case _:
            return ""


def _exposed(path: str, read_only: tuple[str, ...]) -> str:
    """Say who could redirect a path; nobody can change what is in one of the `read_only` mountpoints."""
    way = ancestors.walk(os.path.dirname(path), mount_table.mounts())
    if way.stalling:
        return f"{path} crosses {way.stalling}"
    elsewhere = f"{os.path.dirname(path)} leads to {way.real_path}" if way.real_path != os.path.dirname(path) else ""
    gates = tuple(gate for gate in way.gates if not f"{gate.path}/".startswith(read_only))
    return access.exposed(gates) or elsewhere


def _read_only(target: Target, path: str) -> tuple[str, ...]:
    """Return the innermost mountpoint above a path, with a slash, if it is of a snapshot of ours; else ()."""
    snapshots = {f"{one.mount.mountpoint}/" for one in target.snapshots if one.mount}
    above = [f"{one.mountpoint}/" for one in target.mounts if path.startswith(f"{one.mountpoint}/")]
    return (above[-1],) if above and above[-1] in snapshots else ()


def ring(path: str, target: Target) -> str:
    """Say that the backing file at `path` now lies on an origin of the target, "" if it lies on none.

    Another profile may have taken a snapshot of a device below the file, with space lent from this origin: each write
    would wait for one to the other origin, and that for this one.
    """
    folder = os.path.dirname(path)
    numbers = block_devices.devices_under(folder, mount_table.mounts())
    prefixes = tuple(dm_uuid(one.vg_uuid, one.origin_uuid) for one in target.snapshots)
    beneath = (device for device in device_mapper.devices() if device.device_number in numbers)
    name = next((device.name for device in beneath if device.uuid.startswith(prefixes)), "")
    return f"{folder} now lies on {name}, through snapshots of the devices beneath it" if name else ""


def is_bound(condition: LoopBound, target: Target) -> bool:
    """Whether this very loop device is bound to the target's backing file."""
    bound = next((loop for loop in block_devices.loops() if loop.device == condition.loop_device), None)
    loan = next((loan for loan in target.loans if loan.path == condition.path), None)
    if bound is None or loan is None:
        return False
    return (bound.file_device, bound.file_inode) == (loan.device, loan.inode)


def is_bound_to_inode(condition: LoopBound, target: Target) -> bool:
    """Whether the loop device is bound to a file with the backing file's inode, on any device."""
    inode = next((loan.inode for loan in target.loans if loan.path == condition.path), None)
    return any(loop.device == condition.loop_device and loop.file_inode == inode for loop in block_devices.loops())


def moved_files(target: Target) -> tuple[str, ...]:
    """Name each backing file that was made and is no longer at its path."""
    return tuple(
        f"inode {loan.inode}, which somebody moved or removed from {loan.path}"
        for loan in target.loans
        if loan.inode is not None and not _is_there(loan)
    )


def _is_there(loan: Loan) -> bool:
    file = file_facts(loan.path)
    return file is not None and (file.device, file.inode) == (loan.device, loan.inode)


def take_back(action: Action, target: Target, mounts_before: tuple[Mount, ...]) -> tuple[Argv, ...]:
    """Return the commands that undo one that succeeded, but on the wrong file or in the wrong place.

    `down` would not find that: it looks for the file's own inode, and at the mountpoint.
    """
    match action.condition:
        case LoopBound(device) as condition if any(loop.device == device for loop in block_devices.loops()):
            return () if is_bound(condition, target) else action.undo
        case MappingOpen(dm_uuid=uuid) as condition if any(one.uuid == uuid for one in device_mapper.devices()):
            return () if mappings.number_of(condition) else action.undo
        case SnapshotMounted(mountpoint) as condition:
            return _astray(mountpoint, mounted_number(condition), mounts_before)
        case MountIncluded(mountpoint, _, device_number):
            return _astray(mountpoint, device_number, mounts_before)
        case _:
            return ()


def mounted_number(condition: SnapshotMounted) -> str:
    """Return the number of the device that is to be mounted, "" if it does not exist."""
    name, uuid = dm_name(condition.vg, condition.name), condition.mapping_uuid
    own = (one for one in device_mapper.devices() if (one.uuid == uuid if uuid else one.name == name))
    return next((device.device_number for device in own), "")


def _astray(mountpoint: str, number: str, mounts_before: tuple[Mount, ...]) -> tuple[Argv, ...]:
    known = {mount.mount_id for mount in mounts_before}
    new = [mount for mount in mount_table.mounts() if mount.device_number == number and mount.mount_id not in known]
    return tuple(file_actions.unmount_astray(m.mountpoint) for m in new if m.mountpoint != mountpoint)
