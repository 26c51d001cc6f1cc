"""How the presence of what an action makes is detected: data. No behaviour.

`execution/verification.py` checks, `planning/wording.py` puts it into words.
"""

from __future__ import annotations

from lvmsnap.model.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class FileMade:
    """The backing file of a loan is at its path: the file that was made there, by its inode."""

    path: str


@dataclass(frozen=True, slots=True)
class FileFilled:
    """The backing file has all its blocks."""

    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class LoopBound:
    """The loop device is bound to the backing file, by device and inode."""

    loop_device: str
    path: str


@dataclass(frozen=True, slots=True)
class LabelWritten:
    """The backing file has a PV label with this UUID."""

    path: str
    pv_uuid: str


@dataclass(frozen=True, slots=True)
class PVLent:
    """The PV is in the volume group."""

    pv_uuid: str
    path: str
    vg: str


@dataclass(frozen=True, slots=True)
class SnapshotTaken:
    """The group has a snapshot of the origin with our tag; `size_bytes` is its CoW space, None if unknown.

    `pool` is the thin pool that it lies in, "" if it has its own space.
    """

    vg: str
    name: str
    origin: str
    tag: str
    size_bytes: int | None
    pool: str = ""


@dataclass(frozen=True, slots=True)
class SnapshotsPrepared:
    """The groups have these snapshots, VG/LV, only in their metadata: the kernel has no devices for them yet."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AllTaken:
    """The kernel has the devices of all these snapshots, and the origins' tables are snapshot-origin."""

    snapshots: tuple[SnapshotTaken, ...]


@dataclass(frozen=True, slots=True)
class SnapshotMerging:
    """LVM is merging the snapshot into its origin: it is LVM's until that is done."""

    vg: str
    name: str


@dataclass(frozen=True, slots=True)
class UdevRuleWritten:
    """The file contains this udev rule, and nothing else."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class MappingOpen:
    """The LUKS mapping with this device-mapper UUID lies on the snapshot, and on nothing else.

    `key_file` is where the key is read from, "" for a passphrase. `is_examined`: its content was not known before, and
    must be a filesystem that can be mounted.
    """

    name: str
    dm_uuid: str
    vg: str
    snapshot: str
    key_file: str
    is_examined: bool


@dataclass(frozen=True, slots=True)
class SnapshotMounted:
    """The top mount at the mountpoint is of the snapshot's device, or of the mapping with `mapping_uuid` on it."""

    mountpoint: str
    vg: str
    name: str
    mapping_uuid: str = ""


@dataclass(frozen=True, slots=True)
class MountIncluded:
    """The top mount at the mountpoint is the one that is mounted at `source`, by its device number and root."""

    mountpoint: str
    source: str
    device_number: str
    root: str


@dataclass(frozen=True, slots=True)
class DirectoryMade:
    """The directory was made by this profile, and is empty."""

    path: str


@dataclass(frozen=True, slots=True)
class HookDue:
    """The hook must still run before everything is down."""

    hook: str


@dataclass(frozen=True, slots=True)
class HookOver:
    """The hook leaves nothing that could be detected."""

    hook: str


@dataclass(frozen=True, slots=True)
class OriginInactive:
    """The origin is inactive since a boot that found the lent PV missing."""

    vg: str
    origin: str


@dataclass(frozen=True, slots=True)
class OriginSuspended:
    """A device of the origin is suspended."""

    vg: str
    origin: str


@dataclass(frozen=True, slots=True)
class DevicesLeft:
    """Device-mapper has devices of the snapshot, and LVM's metadata has no snapshot."""

    names: tuple[str, ...]


Condition = (
    FileMade
    | FileFilled
    | LoopBound
    | LabelWritten
    | PVLent
    | SnapshotTaken
    | SnapshotsPrepared
    | AllTaken
    | SnapshotMerging
    | UdevRuleWritten
    | MappingOpen
    | SnapshotMounted
    | MountIncluded
    | DirectoryMade
    | HookDue
    | HookOver
    | OriginInactive
    | OriginSuspended
    | DevicesLeft
)
