"""The frozen types of what was read from the system: LVM's objects, the kernel's tables, one profile's paths.

No behaviour, and nothing here reads anything: the folder system/ does.
"""

from __future__ import annotations

from dataclasses import dataclass

SECTOR_BYTES = 512


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

    `size_bytes` of a snapshot is the size of its CoW space; its device is as large as its origin. `is_hidden`: LVM
    lists it only with --all, a merging snapshot or a part of another LV. `is_merging`: a snapshot that is being merged
    into its origin, or such an origin, begun or put off until both are closed (lvconvert(8)).
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
    is_hidden: bool = False
    is_merging: bool = False

    @property
    def is_active(self) -> bool:
        """Whether the LV has a device (lvs(8), lv_attr's fifth character)."""
        return self.attr[4:5] not in ("-", "", "X")

    @property
    def is_partial(self) -> bool:
        """Whether a PV that the LV lies on is missing (lvs(8), lv_attr's ninth character)."""
        return self.attr[8:9] == "p"

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
    """One line of /proc/self/mountinfo (proc(5)), octal escapes undone; `mount_id` and `options` are of this one mount.

    `filesystem_options` are those of the filesystem, which all its mounts share.

    `shared` and `master` are the peer groups it sends its mounts and unmounts to, and gets them from; "" for none.
    """

    device_number: str
    root: str
    mountpoint: str
    filesystem: str
    source: str
    mount_id: int = 0
    parent_id: int = 0
    shared: str = ""
    master: str = ""
    options: tuple[str, ...] = ()
    filesystem_options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Superblock:
    """What the origin's filesystem says of its journal (XFS: log).

    `journal_bytes` is its size on the origin itself. `needs_other_device`: its journal or other parts of it are on
    another device. `is_clean`: its journal need not be replayed; without a journal: it was unmounted in order.
    """

    journal_bytes: int
    needs_other_device: bool
    has_journal: bool
    is_clean: bool


@dataclass(frozen=True, slots=True)
class Loop:
    """A bound loop device and the file beneath it (LOOP_GET_STATUS64): its st_dev and inode, and its path as told.

    `block_device`: the MAJOR:MINOR of what it is bound to where that is a block device; "" where it is a file.
    """

    device: str
    device_number: str
    file_device: int
    file_inode: int
    file_path: str
    block_device: str = ""


@dataclass(frozen=True, slots=True)
class DmDevice:
    """A device-mapper device, with or without a table."""

    device_number: str
    name: str
    uuid: str
    suspended: bool


@dataclass(frozen=True, slots=True)
class SnapshotStatus:
    """What the kernel says of a snapshot's CoW space. `is_lost`: it overflowed, or lost a write.

    `uuid` is its device's in device-mapper, made of LVM's UUIDs: another snapshot of the same name has another one.
    """

    is_lost: bool
    used_bytes: int
    total_bytes: int
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class Enlargement:
    """Room that a snapshot was given while it stood: when (ISO 8601 UTC), and how much."""

    time: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a guard saw last of the snapshot whose device has `uuid`; `seconds` are of the clock since boot."""

    uuid: str
    seconds: float
    rate_bytes_per_second: float
    last_growth: Enlargement | None


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
class Layer:
    """What lies somewhere beneath a filesystem and gives its blocks only when they are written.

    `free_bytes` can still be written to it before it is full; None where it may run full whatever is written first.
    `is_unknown`: it cannot be examined, so nobody knows whether it does.
    """

    name: str
    free_bytes: int | None
    is_unknown: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """A directory on the way to a path: its owner and its permission bits; `has_acl`: it has more than these."""

    path: str
    uid: int
    gid: int
    mode: int
    has_acl: bool = False


@dataclass(frozen=True, slots=True)
class DirectoryFacts:
    """The directory that is to hold the backing file, its filesystem and every block device beneath it.

    `gates` are the directories on the way to it, itself included.
    """

    exists: bool
    real_path: str
    filesystem: str
    available_bytes: int
    block_devices: tuple[str, ...]
    logical_block_bytes: int
    mountpoint: str = ""
    layers: tuple[Layer, ...] = ()
    gates: tuple[Gate, ...] = ()


@dataclass(frozen=True, slots=True)
class MountpointFacts:
    """What is at the mountpoint's path; `gates` are the directories on the way to it, itself included if it exists."""

    kind: str  # "absent", "empty", "not empty", "mounted", "no directory", "symlink", "no parent", "unreachable"
    real_path: str
    claimed_by: str  # a line of fstab or a systemd mount unit that owns the path
    gates: tuple[Gate, ...] = ()
    stalling: str = ""  # the network or user-space filesystem on the way, which makes it "unreachable"


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
    listed_devices: tuple[str, ...] = ()  # by the devices file
    host: str = ""  # this machine's identity, "" where it has none
    missing_tools: tuple[str, ...] = ()
    boot_mountpoints: tuple[str, ...] = ("/",)
    boot_recovery: bool = False
    boot_tags: tuple[str, ...] = ()  # "UUID=...", "LABEL=...": what the boot looks for
    origin_tags: tuple[str, ...] = ()  # and what the origin bears
    vg_lock_holder: str = ""
    is_process_gone: bool = False  # the `lvmsnap run` that the record names has ended
    origin_filesystem: str = ""
    origin_superblock: Superblock | None = None
    ways_to_origin: tuple[tuple[Gate, ...], ...] = ()  # the directories above each place where all of it is mounted
    origin_is_mounted: bool = False  # on this host, in any mount namespace: LVM freezes it for the snapshot
    origin_mount_options: tuple[str, ...] = ()  # the filesystem's own, whichever mounts it has
    file: FileFacts | None = None
    directory: DirectoryFacts | None = None
    mountpoint: MountpointFacts | None = None
    pv_logical_block_bytes: int = SECTOR_BYTES

    def vg(self, name: str) -> VolumeGroup | None:
        """Return the VG of that name, if there is one."""
        return next((vg for vg in self.vgs if vg.name == name), None)
