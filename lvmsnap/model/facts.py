"""The frozen types of what was read from the system: LVM's objects, the kernel's tables, one profile's paths.

No behaviour, and nothing here reads anything: the folder system/ does.
"""

from __future__ import annotations

from collections.abc import Iterable

from lvmsnap.model.dataclass import dataclass, field
from lvmsnap.model.looked import Looked
from lvmsnap.model.luks_names import is_luks
from lvmsnap.model.paths import is_within

# Network, cluster and user-space filesystems.
_STALLING = (
    *("nfs", "cifs", "smb", "afs", "ceph", "glusterfs", "fuse", "virtiofs", "9p", "ocfs2", "gfs2"),
    *("lustre", "beegfs", "orangefs", "coda", "gpfs"),
)

# What LVM reports for a missing device, or for a group that it does not find.
UNKNOWN = "[unknown]"


@dataclass(frozen=True, slots=True)
class PhysicalVolume:
    """A PV as LVM reports it; `vg` is empty for an orphan, `device` is "[unknown]" if it is missing.

    `vg` is "[unknown]" if the PV's label says that it is in use, but LVM finds no group that has it.
    It is not `allocatable` if it is closed to new allocations (pvchange(8), --allocatable).
    """

    device: str
    uuid: str
    vg: str
    extents: int
    allocated_extents: int
    missing: bool
    allocatable: bool = True

    @property
    def unused_extents(self) -> int:
        """The unused extents, whether or not LVM would allocate them."""
        return self.extents - self.allocated_extents

    @property
    def free_extents(self) -> int:
        """The extents that LVM would allocate."""
        return self.unused_extents if self.allocatable and not self.missing else 0


@dataclass(frozen=True, slots=True)
class LogicalVolume:
    """An LV as LVM reports it. `device_number` is "MAJOR:MINOR" while active, `devices` are the PVs it lies on.

    `size_bytes` of a snapshot is the size of its CoW space; its device is as large as its origin. `is_hidden`: LVM
    lists it only with --all: a merging snapshot or a sub-LV. `is_merging`: a snapshot that is being merged into its
    origin, or such an origin, in progress or deferred until both are closed (lvconvert(8)). `pool` is the name of the
    pool that it lies in; a thin pool's own `data_percent` and `metadata_percent` say how full it is. An external origin
    provides the data of thin volumes where these were not written. `reshape_bytes`: RAID's space for reshaping.
    `thin_id` is a thin volume's number in its pool; `transaction_id` that of the pool's last change, or, of a thin
    volume, of the last one before it was created.
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
    pool: str = ""
    metadata_percent: float | None = None
    metadata_bytes: int = 0
    is_external_origin: bool = False
    reshape_bytes: int = 0
    thin_id: int | None = None
    transaction_id: int | None = None

    @property
    def is_thin(self) -> bool:
        """Whether it is a volume in a thin pool, or a snapshot of one that shares its pool (lvmthin(7))."""
        return "thin" in self.segment_types

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
    """A VG as LVM reports it, with its PVs and LVs; not all free extents are allocatable, see PhysicalVolume."""

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
        """Return the LV of that name, None if there is none."""
        return next((lv for lv in self.lvs if lv.name == name), None)


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of /proc/self/mountinfo (proc(5)), octal escapes undone; `mount_id` and `options` are of this one mount.

    `filesystem_options` are those of the filesystem, which all its mounts share.

    `shared` is its own peer group, `master` the one that it receives mounts and unmounts from; "" for none.
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

    @property
    def may_stall(self) -> bool:
        """Whether access waits for a server or a program, possibly for ever."""
        return self.filesystem.startswith(_STALLING)


def mount_of(path: str, mounts: Iterable[Mount]) -> Mount | None:
    """Return the mount that a (real) path lies in, found like the kernel does: from a mount to those mounted on it.

    A later mount on a parent directory hides the mounts below it, although the table still lists them. A mount whose
    parent is not in the table counts as mounted on whatever is there.
    """
    table = [mount for mount in mounts if is_within(path, mount.mountpoint)]
    known = {mount.mount_id for mount in table if mount.mount_id != mount.parent_id}
    here: Mount | None = None
    while on_it := [mount for mount in table if _is_on(mount, here, known)]:
        here = min(on_it, key=lambda mount: len(mount.mountpoint))
        table.remove(here)
    return here


def _is_on(mount: Mount, here: Mount | None, known: set[int]) -> bool:
    if here is not None and len(mount.mountpoint) < len(here.mountpoint):
        return False
    return mount.parent_id not in known or (here is not None and mount.parent_id == here.mount_id)


def top_mount(mounts: Iterable[Mount], mountpoint: str) -> Mount | None:
    """Return the visible mount on a mountpoint, None if there is none, or it is hidden."""
    found = mount_of(mountpoint, mounts)
    return found if found and found.mountpoint == mountpoint else None


@dataclass(frozen=True, slots=True)
class Loop:
    """A bound loop device and the file below it (LOOP_GET_STATUS64): its st_dev and inode, and its path as reported.

    `block_device`: the MAJOR:MINOR of the block device that it is bound to, "" if it is bound to a file.
    """

    device: str
    device_number: str
    file_device: int
    file_inode: int
    file_path: str
    block_device: str = ""


@dataclass(frozen=True, slots=True)
class DmDevice:
    """A device-mapper device, with or without a table.

    `has_table`: a live one; `is_loaded`: an inactive one waits for the next resume. `beneath` are the numbers of the
    devices below its live table, else its inactive one; () for devices that cryptsetup did not make. `is_on_layer`: its
    live table uses its own -real layer, as an origin's does. `transaction_id` is a thin pool's, from its metadata.
    """

    device_number: str
    name: str
    uuid: str
    suspended: bool
    beneath: tuple[str, ...] = ()
    has_table: bool = True
    is_loaded: bool = False
    is_on_layer: bool = False
    transaction_id: int | None = None


@dataclass(frozen=True, slots=True)
class SnapshotStatus:
    """The kernel's status of a snapshot's CoW space. `is_lost`: it overflowed, or lost a write.

    A thin snapshot has none: its `pool`, VG/LV, fills; `part` is the fuller part of that, "data" or "metadata".

    `uuid` is its device-mapper UUID, made of LVM's UUIDs: another snapshot of the same name has a different one.
    `name` is its current LVM name, VG/LV. `origin_bytes` is the size of its origin when it was taken.
    """

    is_lost: bool
    used_bytes: int
    total_bytes: int
    uuid: str = ""
    name: str = ""
    pool: str = ""
    part: str = ""
    origin_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Enlargement:
    """Room that a snapshot was given while it was up: when (ISO 8601 UTC), and how much."""

    time: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a guard saw last of the snapshot whose device has `uuid`; `seconds` are by the monotonic clock."""

    uuid: str
    seconds: float
    rate_bytes_per_second: float
    last_growth: Enlargement | None


@dataclass(frozen=True, slots=True)
class Facts:
    """One reading of the system: what is the same for all profiles, and what was examined for one."""

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
    autoextend_percent: int = 100  # how full a thin pool may be for LVM to make a volume in it
    host: str = ""  # this machine's identity, "" if it has none
    boot_mountpoints: tuple[str, ...] = ("/",)
    crypt_target: bool = False
    looked: Looked = field(default_factory=Looked)

    def vg(self, name: str) -> VolumeGroup | None:
        """Return the VG of that name, None if there is none."""
        return next((vg for vg in self.vgs if vg.name == name), None)

    def luks_mapping_of(self, device_number: str) -> DmDevice | None:
        """Return the mapping of the LUKS container on a device; if it is open twice, one that is mounted."""
        mounted = {mount.device_number for mount in self.mounts}
        found = (one for one in self.dm_devices if one.beneath == (device_number,) and is_luks(one.uuid))
        return max(found, key=lambda one: one.device_number in mounted, default=None)
