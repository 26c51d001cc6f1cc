"""The frozen types that everything else makes, shows or walks: profile, facts, actions, plan. No behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

SECTOR_BYTES = 512


# --- the profile, as read ---------------------------------------------------------------------------------------


class SizeUnit(Enum):
    """What a snapshot's size is measured in."""

    BYTES = "bytes"
    PERCENT_ORIGIN = "%ORIGIN"
    PERCENT_FREE = "%FREE"
    PERCENT_PVS = "%PVS"


@dataclass(frozen=True, slots=True)
class Size:
    """A snapshot's size: `amount` bytes, or `amount` percent of what `unit` names (LVM's words, lvcreate(8))."""

    amount: int
    unit: SizeUnit = SizeUnit.BYTES


class Allocation(Enum):
    """How the backing file gets its blocks."""

    FALLOCATE = "fallocate"
    ZERO_FILL = "zero-fill"


@dataclass(frozen=True, slots=True)
class Volume:
    """One origin and the snapshot to make of it. `mountpoint` None: only the device is made."""

    vg: str
    origin: str
    snapshot: str
    size: Size
    chunk_size_bytes: int | None
    mountpoint: str | None
    mount_options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BackingFile:
    """The temporary file that lends the group space. `size_bytes` None: what the snapshot needs."""

    path: str
    size_bytes: int | None
    loop_device: str | None
    allocation: Allocation
    allow_same_vg: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """A named profile, with every default filled in. `path` is the file it was read from."""

    name: str
    path: str
    description: str
    volume: Volume
    backing_file: BackingFile | None
    remove_mountpoint: bool


# --- the target: what `up` decided and the record keeps --------------------------------------------------------


class Permission(Enum):
    """A snapshot's permission, as lvcreate(8) --permission takes it."""

    READ_ONLY = "r"
    READ_WRITE = "rw"


@dataclass(frozen=True, slots=True)
class LentPV:
    """The backing file and the PV made of it. Its loop device is never part of it: numbers change hands.

    `inode` and `device` are the file's, known once it was created; `device` (st_dev) holds for one boot only.
    """

    path: str
    size_bytes: int
    allocation: Allocation
    pv_uuid: str
    sector_size_bytes: int
    direct_io: bool
    allocate_on: tuple[str, ...] = ()
    inode: int | None = None
    device: int | None = None


@dataclass(frozen=True, slots=True)
class MountTarget:
    """Where and how the snapshot is mounted. `make_directory`: it was absent, so it is ours to make and remove."""

    mountpoint: str
    filesystem: str
    options: tuple[str, ...]
    make_directory: bool
    remove_directory: bool


@dataclass(frozen=True, slots=True)
class Target:
    """Everything a profile's stack is made of, decided: enough to make it, to recognise it and to take it back."""

    name: str
    vg: str
    vg_uuid: str
    origin: str
    origin_uuid: str
    snapshot: str
    extents: int
    extent_size_bytes: int
    chunk_size_bytes: int | None
    permission: Permission
    lent_pv: LentPV | None
    mount: MountTarget | None

    @property
    def tag(self) -> str:
        """The LVM tag that says a snapshot is this profile's."""
        return f"lvmsnap.{self.name}"


@dataclass(frozen=True, slots=True)
class Record:
    """What `up` wrote down before its first change. `boot_id` is the kernel's of that boot, `time` ISO 8601 UTC."""

    target: Target
    profile_text: str
    profile_path: str
    boot_id: str
    time: str


# --- the facts, as read -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PhysicalVolume:
    """A PV as LVM reports it; `vg` is empty for an orphan, `device` is "[unknown]" where it is missing."""

    device: str
    uuid: str
    vg: str
    extents: int
    allocated_extents: int
    missing: bool


@dataclass(frozen=True, slots=True)
class LogicalVolume:
    """An LV as LVM reports it. `device_number` is "MAJOR:MINOR" while active, `devices` are the PVs it stands on.

    `size_bytes` of a snapshot is the size of its CoW space; its device is as large as its origin.
    """

    vg: str
    name: str
    uuid: str
    attr: str
    size_bytes: int
    tags: tuple[str, ...]
    origin: str
    segment_types: tuple[str, ...]
    chunk_size_bytes: int
    data_percent: float | None
    device_number: str
    devices: tuple[str, ...]

    @property
    def is_active(self) -> bool:
        """Whether the LV has a device (lvs(8), lv_attr's fifth character)."""
        return self.attr[4:5] not in ("-", "", "X")

    @property
    def is_invalid(self) -> bool:
        """Whether this snapshot overflowed or lost a write (lvs(8): I, or S for an invalid suspended one)."""
        return self.attr[4:5] in ("I", "S")


@dataclass(frozen=True, slots=True)
class VolumeGroup:
    """A VG as LVM reports it, with its PVs and LVs."""

    name: str
    uuid: str
    extent_size_bytes: int
    free_extents: int
    missing_pv_count: int
    is_exported: bool
    is_shared: bool
    pvs: tuple[PhysicalVolume, ...]
    lvs: tuple[LogicalVolume, ...]

    def lv(self, name: str) -> LogicalVolume | None:
        """Return the LV of that name, if there is one."""
        return next((lv for lv in self.lvs if lv.name == name), None)


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of /proc/self/mountinfo (proc(5)), octal escapes undone."""

    device_number: str
    root: str
    mountpoint: str
    filesystem: str
    source: str


@dataclass(frozen=True, slots=True)
class Loop:
    """A bound loop device and the file beneath it (LOOP_GET_STATUS64): its st_dev and inode, and its path as told."""

    device: str
    device_number: str
    file_device: int
    file_inode: int
    file_path: str


@dataclass(frozen=True, slots=True)
class DmDevice:
    """A device-mapper device, with or without a table."""

    device_number: str
    name: str
    uuid: str
    suspended: bool


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What stands at the backing file's path. `is_empty_private`: nothing in it, mode 0600, root's."""

    device: int
    inode: int
    is_regular: bool
    size_bytes: int
    allocated_bytes: int
    is_empty_private: bool
    pv_uuid: str


@dataclass(frozen=True, slots=True)
class DirectoryFacts:
    """The directory that is to hold the backing file, its filesystem and every block device beneath it."""

    exists: bool
    real_path: str
    is_private: bool
    filesystem: str
    available_bytes: int
    block_devices: tuple[str, ...]
    logical_block_bytes: int


@dataclass(frozen=True, slots=True)
class MountpointFacts:
    """What stands at the mountpoint's path."""

    kind: str  # "absent", "empty", "not empty", "mounted", "no directory", "symlink", "no parent"
    real_path: str
    claimed_by: str  # a line of fstab or a systemd mount unit that owns the path


@dataclass(frozen=True, slots=True)
class Facts:
    """One reading of the system: everything that checks, planner and identification may look at."""

    is_root: bool
    boot_id: str
    snapshot_target: bool
    loop_driver: bool
    vgs: tuple[VolumeGroup, ...]
    orphan_pvs: tuple[PhysicalVolume, ...]
    mounts: tuple[Mount, ...]
    loops: tuple[Loop, ...]
    loop_numbers: tuple[int, ...]
    dm_devices: tuple[DmDevice, ...]
    lvm_filters: tuple[tuple[str, tuple[str, ...]], ...]
    devices_file: str
    missing_tools: tuple[str, ...] = ()
    vg_lock_holder: str = ""
    origin_filesystem: str = ""
    file: FileFacts | None = None
    directory: DirectoryFacts | None = None
    mountpoint: MountpointFacts | None = None
    pv_logical_block_bytes: int = SECTOR_BYTES

    def vg(self, name: str) -> VolumeGroup | None:
        """Return the VG of that name, if there is one."""
        return next((vg for vg in self.vgs if vg.name == name), None)


# --- the plan ---------------------------------------------------------------------------------------------------


class Thing(Enum):
    """What an action makes, in the order of the stack."""

    FILE = "backing file"
    SPACE = "backing file's blocks"
    LOOP = "loop device"
    PV = "physical volume"
    VG_MEMBER = "lent PV in the volume group"
    LEFTOVER_DEVICES = "devices of a killed command"
    SNAPSHOT = "snapshot"
    SUSPENDED_ORIGIN = "suspended origin"
    DIRECTORY = "mountpoint directory"
    MOUNT = "mount"


Argv = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Action:
    """One reversible change: its command, its undo, and whether it stands (`condition` says how that is seen).

    `do` is empty where another action's command makes the thing too; `undo` is empty where undoing another
    action takes it along. `needs_gone` must be gone before the undo may run.
    """

    thing: Thing
    object: str
    summary: str
    undo_summary: str
    do: tuple[Argv, ...]
    undo: tuple[Argv, ...]
    condition: str
    stands: bool
    needs_gone: tuple[Thing, ...] = ()


class Direction(Enum):
    """Which way a plan walks the stack."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Check:
    """One check of section 'checks': what was looked at, whether it is good, and what to do where it is not."""

    title: str
    passed: bool
    found: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What `up` or `down` will do, in order: the product that is shown, then walked.

    `target` is None where the group or the origin is not there, so that nothing could be decided.
    """

    direction: Direction
    target: Target | None
    actions: tuple[Action, ...]
    checks: tuple[Check, ...]
    facts: tuple[tuple[str, str], ...]
