"""The conditions of actions in words, for a reader. Pure."""

from __future__ import annotations

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
from lvmsnap.planning.hook_actions import AFTER_SNAPSHOT


def in_words(condition: Condition) -> str:
    """Return in words how the presence of a thing is detected."""
    of_snapshot = _of_snapshot(condition) or _of_cut(condition) or _of_mapping(condition)
    return _of_loan(condition) or of_snapshot or _of_leftovers(condition)


def _of_loan(condition: Condition) -> str:
    match condition:
        case FileMade(path):
            return f"{path} is the file with the recorded inode"
        case FileFilled(path, size_bytes):
            return f"{path} has {size_bytes} bytes and no holes"
        case LoopBound(_, path):
            return f"a loop device is attached to the device and inode of {path}"
        case LabelWritten(_, pv_uuid):
            return f"a PV with UUID {pv_uuid} exists"
        case PVLent(pv_uuid, _, vg):
            return f"the PV with UUID {pv_uuid} is in {vg}"
    return ""


def _of_cut(condition: Condition) -> str:
    match condition:
        case SnapshotsPrepared(names):
            return f"LVM's metadata has {', '.join(names)}, and the kernel has no devices for them"
        case AllTaken(snapshots):
            names = tuple(f"{one.vg}/{one.name}" for one in snapshots)
            return f"the devices of {', '.join(names)} exist, and the origins' tables are snapshot-origin"
    return ""


def _of_snapshot(condition: Condition) -> str:
    match condition:
        case SnapshotTaken(vg, _, origin, tag):
            return f"{vg} has an LV tagged {tag} whose origin is {origin}"
        case SnapshotMerging(vg, name):
            return f"LVM is merging {vg}/{name}"
        case SnapshotMounted(mountpoint, mapping_uuid=mapping_uuid):
            device = "mapping on the snapshot" if mapping_uuid else "snapshot's device"
            return f"the top mount at {mountpoint} is of the {device}"
        case MountIncluded(mountpoint, source):
            return f"the top mount at {mountpoint} is the one of {source}"
        case DirectoryMade(path):
            return f"{path} was made by this profile, and is empty"
    return ""


def _of_mapping(condition: Condition) -> str:
    match condition:
        case UdevRuleWritten(path):
            return f"{path} has the rule in it"
        case MappingOpen(_, dm_uuid):
            return f"the device with UUID {dm_uuid} lies on the snapshot alone"
    return ""


def _of_leftovers(condition: Condition) -> str:
    match condition:
        case HookOver():
            return "it is over at once: nothing of it remains"
        case HookDue(hook):
            began = "before_snapshot began, and this hook has not succeeded since"
            return began if hook == AFTER_SNAPSHOT else "all was up, and this hook has not been run since"
        case OriginInactive(vg, origin):
            return f"{vg}/{origin} is inactive since a boot that found the lent PV missing"
        case OriginSuspended(vg, origin):
            return f"a device of {vg}/{origin} is suspended"
        case DevicesLeft():
            return "device-mapper has devices of a snapshot that is not in LVM's metadata"
    return ""
