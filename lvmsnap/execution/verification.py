"""Verifies, by the kernel alone, whether a command took effect: checks conditions. An exit status is not enough.

What is learned once a condition holds, what to say if it does not, and how its removal is verified are here too, one
`match` each.
"""

from __future__ import annotations

import os
import time
from functools import reduce
from typing import assert_never

from lvmsnap.execution import mappings, places
from lvmsnap.model.condition import (
    AllTaken,
    Condition,
    DevicesLeft,
    DirectoryMade,
    FileFilled,
    FileMade,
    HookDue,
    HookOver,
    LabelWritten,
    LoopBound,
    MappingOpen,
    MountIncluded,
    OriginInactive,
    OriginSuspended,
    PVLent,
    SnapshotMerging,
    SnapshotMounted,
    SnapshotsPrepared,
    SnapshotTaken,
    UdevRuleWritten,
)
from lvmsnap.model.dataclass import replace
from lvmsnap.model.facts import top_mount
from lvmsnap.model.lvm_names import dm_name
from lvmsnap.model.target import Loan, Target
from lvmsnap.system import block_devices, device_mapper, mount_table
from lvmsnap.system.path_facts import file_facts

DETACH_SECONDS = 10.0
LINK_SECONDS = 60.0


def unmet(condition: Condition, target: Target) -> str:
    """Say why what was just made does not exist after all, "" if it does. Asks the kernel alone."""
    match condition:
        case FileMade() | FileFilled() | LoopBound() | LabelWritten():
            return _loan_unmet(condition, target)
        case SnapshotTaken() | SnapshotsPrepared() | AllTaken():
            return _snapshots_unmet(condition)
        case UdevRuleWritten() | MappingOpen() | SnapshotMounted() | MountIncluded():
            return _not_shown(condition)
        case PVLent() | DirectoryMade():
            return ""  # The next step's command fails without it.
        case HookDue() | HookOver():
            return ""  # A hook's exit status is all there is to see.
        case SnapshotMerging() | OriginInactive() | OriginSuspended() | DevicesLeft():
            return "nothing of `up` makes that"
        case _:
            assert_never(condition)


def _snapshots_unmet(condition: SnapshotTaken | SnapshotsPrepared | AllTaken) -> str:
    match condition:
        case SnapshotTaken():
            return _snapshot_missing(condition)
        case SnapshotsPrepared(names):
            return _active_already(names)
        case AllTaken(snapshots):
            return next(filter(None, map(_taken_missing, snapshots)), "")
        case _:
            assert_never(condition)


def _loan_unmet(condition: FileMade | FileFilled | LoopBound | LabelWritten, target: Target) -> str:
    loan = next((loan for loan in target.loans if loan.path == condition.path), None)
    match condition:
        case FileMade(path):
            return "" if loan and loan.inode else f"{path} is not a new, empty file of root's"
        case FileFilled(path):
            return _blocks_missing(loan) if loan else f"{path} is not a backing file of {target.name}"
        case LoopBound(device, path):
            return "" if places.is_bound(condition, target) else f"{device} is not attached to {path}"
        case LabelWritten(path, pv_uuid):
            # vgextend would turn any device into a PV by itself, with a UUID that nobody recognises as ours.
            file = file_facts(path)
            return "" if file and file.pv_uuid == pv_uuid else f"{path} does not carry the PV's UUID"
        case _:
            assert_never(condition)


def learned(condition: Condition, target: Target) -> Target:
    """Return the target with what a command has made known: a new file's inode, a snapshot's device."""
    match condition:
        case FileMade(path):
            loans = (_learn_file(loan) if loan.path == path else loan for loan in target.loans)
            return replace(target, loans=tuple(loans))
        case SnapshotTaken():
            return _learn_device(condition, target)
        case AllTaken(snapshots):
            return reduce(lambda known, one: _learn_device(one, known), snapshots, target)
    return target


def as_going(condition: Condition, target: Target) -> Target:
    """Return the target to record before this is undone: a snapshot that is being removed is not lost."""
    if not isinstance(condition, SnapshotTaken):
        return target
    return replace(target, snapshots=tuple(replace(one, is_going=True) for one in target.snapshots))


def why_failed(condition: Condition) -> str:
    """Say why a command failed if the system knows better than its message, else ""."""
    match condition:
        case SnapshotMounted(_, vg, name) | MappingOpen(_, _, vg, name):
            # Mounting a full snapshot only reports that it cannot read the superblock.
            return overflowed(vg, name)
    return ""


def warning(condition: Condition, target: Target) -> str:
    """Say what a person should know although the command took effect, "" for nothing."""
    match condition:
        case SnapshotTaken(vg):
            return _others_warning(vg, target)
        case AllTaken(snapshots):
            groups = dict.fromkeys(one.vg for one in snapshots)
            return "; ".join(filter(None, (_others_warning(vg, target) for vg in groups)))
    return ""


def _others_warning(vg: str, target: Target) -> str:
    if (loan := target.loan_to(vg)) and (others := others_on_lent_pv(loan, target)):
        down = f"before lvmsnap down {target.name}: pvmove {loop_device(loan)}"
        return f"the lent space now also has extents of {', '.join(others)}; {down}"
    return ""


def remains(condition: Condition, target: Target, undo: str) -> str:
    """Say what still exists although it was just undone, "" if it is gone; `undo` is the command that was run."""
    match condition:
        case LoopBound(device):
            # losetup(8): a device in use is detached at its last close; its file must stay until then.
            is_gone = _is_detached(condition, target)
            return "" if is_gone else f"{device} is still in use {DETACH_SECONDS:g} s after losetup --detach"
        case MappingOpen(name, dm_uuid):
            return f"{name} still exists after {undo}" if mappings.is_there(dm_uuid) else ""
        case FileMade(path) | DirectoryMade(path) | UdevRuleWritten(path):
            return f"{path} still exists after {undo}" if os.path.lexists(path) else ""
        case LabelWritten() | PVLent() | SnapshotTaken() | SnapshotMounted() | MountIncluded():
            return ""  # If it is not gone, the next undo fails; the snapshot's devices are looked for at the end.
        case FileFilled() | HookDue() | HookOver() | SnapshotMerging() | OriginInactive() | OriginSuspended():
            return ""  # There is nothing to remove.
        case SnapshotsPrepared() | AllTaken() | DevicesLeft():
            return ""  # Each snapshot is undone by itself; devices are looked for at the end.
        case _:
            assert_never(condition)


def is_gone_by_itself(condition: Condition, target: Target) -> bool:
    """Whether it is gone although its undo failed: a loop device detached while in use goes away at its last close."""
    return isinstance(condition, LoopBound) and not places.is_bound_to_inode(condition, target)


def overflowed(vg: str, name: str) -> str:
    """Say that a snapshot is full, "" if it has room: under heavy writes that may take less than a second."""
    status = device_mapper.snapshot_status(dm_name(vg, name))
    if status and status.is_lost and status.pool:
        return f"its thin pool {status.pool} is full, or failed: extend it"
    return "the snapshot is full already: give it a larger size" if status and status.is_lost else ""


def loop_device(loan: Loan) -> str:
    """Return the loop device that is bound to the loan's backing file, "" if none is."""
    identity = (loan.device, loan.inode)
    return next((loop.device for loop in block_devices.loops() if (loop.file_device, loop.file_inode) == identity), "")


def others_on_lent_pv(loan: Loan, target: Target) -> tuple[str, ...]:
    """Return the devices on the lent PV that are not our snapshots': somebody else got extents there."""
    device = loop_device(loan)
    ours = {f"{dm_name(one.vg, one.name)}-cow" for one in target.snapshots}
    return tuple(name for name in block_devices.dm_holders(device) if name not in ours) if device else ()


def snapshot_uuid(vg: str, name: str) -> str:
    """Return the device-mapper UUID of a snapshot, "" if it has no device."""
    wanted = dm_name(vg, name)
    return next((device.uuid for device in device_mapper.devices() if device.name == wanted), "")


def _learn_file(loan: Loan) -> Loan:
    """Return the loan with the new file's inode: from now on the file is recognised by that, not by its name."""
    file = file_facts(loan.path)
    if file is None or not file.is_empty_private:
        return loan
    return replace(loan, inode=file.inode, device=file.device)


def _blocks_missing(loan: Loan) -> str:
    file = file_facts(loan.path)
    if file is None or (file.device, file.inode) != (loan.device, loan.inode):
        return f"{loan.path} is no longer the file that was made there"
    whole = file.size_bytes == loan.size_bytes <= file.allocated_bytes
    return "" if whole else f"{loan.path} does not have all of its {loan.size_bytes} bytes allocated"


def _learn_device(condition: SnapshotTaken, target: Target) -> Target:
    """Return the target with the device of a snapshot that was taken."""
    vg, name = condition.vg, condition.name
    uuid = snapshot_uuid(vg, name)
    taken = (replace(one, dm_uuid=uuid) if one.path == f"{vg}/{name}" else one for one in target.snapshots)
    return replace(target, snapshots=tuple(taken))


def _active_already(names: tuple[str, ...]) -> str:
    """Say which of these snapshots, VG/LV, is already active in the kernel, although none should be yet."""
    known = {device.name for device in device_mapper.devices()}
    active = [name for name in names if dm_name(*name.split("/")) in known]
    return f"{active[0]} is active already: somebody else activated it" if active else ""


def _taken_missing(condition: SnapshotTaken) -> str:
    """Say what a snapshot that LVM did not wait for lacks: device, snapshot-origin on its origin, or link."""
    if missing := _snapshot_missing(condition):
        return missing
    origin = device_mapper.first_target(dm_name(condition.vg, condition.origin))
    if origin is None or origin.kind != "snapshot-origin":
        return f"the table of {condition.vg}/{condition.origin} is not snapshot-origin"
    link, deadline = f"/dev/{condition.vg}/{condition.name}", time.monotonic() + LINK_SECONDS
    while not os.path.lexists(link):
        if time.monotonic() >= deadline:
            return f"udev has not made {link} within {LINK_SECONDS:g} s"
        time.sleep(0.02)
    return ""


def _snapshot_missing(condition: SnapshotTaken) -> str:
    numbers = {device.name: device.device_number for device in device_mapper.devices()}
    name = dm_name(condition.vg, condition.name)
    if name not in numbers:
        return f"device {name} does not exist"
    if condition.pool:
        return overflowed(condition.vg, condition.name)
    cow_bytes = block_devices.device_bytes(numbers.get(f"{name}-cow", ""))
    if cow_bytes != condition.size_bytes:
        return f"{name}-cow has {cow_bytes} bytes instead of {condition.size_bytes}"
    return overflowed(condition.vg, condition.name)


def _not_shown(condition: UdevRuleWritten | MappingOpen | SnapshotMounted | MountIncluded) -> str:
    match condition:
        case UdevRuleWritten():
            return mappings.rule_unmet(condition)
        case MappingOpen(_, _, vg, name):
            return mappings.mapping_unmet(condition) or overflowed(vg, name)
        case SnapshotMounted() | MountIncluded():
            return _mount_missing(condition)
        case _:
            assert_never(condition)


def _is_mounted(condition: SnapshotMounted) -> bool:
    top = top_mount(mount_table.mounts(), condition.mountpoint)
    return top is not None and top.device_number == places.mounted_number(condition)


def _mount_missing(condition: SnapshotMounted | MountIncluded) -> str:
    if isinstance(condition, SnapshotMounted):
        unseen = "" if _is_mounted(condition) else f"{condition.mountpoint} does not show the snapshot"
        return unseen or overflowed(condition.vg, condition.name)
    top = top_mount(mount_table.mounts(), condition.mountpoint)
    if top is None or (top.device_number, top.root) != (condition.device_number, condition.root):
        return f"{condition.mountpoint} does not show {condition.source}"
    return "" if "ro" in top.options else f"{condition.mountpoint} is not read-only"


def _is_detached(condition: LoopBound, target: Target) -> bool:
    deadline = time.monotonic() + DETACH_SECONDS
    while places.is_bound_to_inode(condition, target):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True
