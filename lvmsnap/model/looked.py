"""The frozen types of what was looked at for one profile: its paths, its origins, its groups. No behaviour."""

from __future__ import annotations

from collections.abc import Mapping

from lvmsnap.model.dataclass import dataclass, field
from lvmsnap.model.units import SECTOR_BYTES


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
class LuksHeader:
    """What the header of a LUKS container says. `obstacle` is what keeps its snapshot from being opened, "" if nothing.

    `version` is 1 or 2, `uuid` as cryptsetup writes it.
    """

    version: int
    uuid: str
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is at the backing file's path. `is_empty_private`: nothing in it, mode 0600, root's."""

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
class Copy:
    """A snapshot's CoW device: what is written to the `origin`'s device -real goes to it too, and to all `beneath` it.

    Devices are MAJOR:MINOR. `beneath` holds `cow` itself, and no further copies.
    """

    origin: str
    cow: str
    beneath: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DirectoryFacts:
    """The directory that is to hold the backing file, its filesystem and every block device beneath it.

    `own_devices` are those without the `copies`: the spaces of snapshots to which a write goes too.
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
    own_devices: tuple[str, ...] = ()
    copies: tuple[Copy, ...] = ()

    def is_on_filesystem_of(self, other: DirectoryFacts) -> bool:
        """Whether both are on one filesystem, which may be mounted at several places."""
        mine, theirs = (one.block_devices or (one.mountpoint,) for one in (self, other))
        return mine == theirs


@dataclass(frozen=True, slots=True)
class KeyFileFacts:
    """What is at a key file's path, symlinks not followed; `gates` are the directories on the way to it."""

    kind: str  # "regular", "absent", "symlink", "other", "unreachable"
    uid: int = 0
    mode: int = 0
    size_bytes: int = 0
    gates: tuple[Gate, ...] = ()
    stalling: str = ""  # the network or user-space filesystem on the way, which makes it "unreachable"


@dataclass(frozen=True, slots=True)
class MountpointFacts:
    """What is at the mountpoint's path; `gates` are the directories on the way to it, itself included if it exists."""

    kind: str  # "absent", "empty", "not empty", "mounted", "no directory", "symlink", "no parent", "unreachable"
    real_path: str
    claimed_by: str  # a line of fstab or a systemd mount unit that owns the path
    gates: tuple[Gate, ...] = ()
    stalling: str = ""  # the network or user-space filesystem on the way, which makes it "unreachable"


@dataclass(frozen=True, slots=True)
class OriginFacts:
    """What is on an origin. `tags` are "UUID=..." and "LABEL=...", as a boot may look for them.

    `ways` are the directories above each place where all of it is mounted. `is_mounted`: on this host, in any mount
    namespace, so that LVM freezes it for the snapshot. `mount_options` are the filesystem's own, whichever mounts it
    has. `luks` is the header where it holds LUKS, `inside` what is in that where it is open on this host: there
    `is_in_luks`, which LVM's freeze does not reach, and `device_number` is the mapping's.
    """

    filesystem: str = ""
    superblock: Superblock | None = None
    ways: tuple[tuple[Gate, ...], ...] = ()
    is_mounted: bool = False
    mount_options: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    luks: LuksHeader | None = None
    inside: OriginFacts | None = None
    is_in_luks: bool = False
    device_number: str = ""


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """What was looked at for a volume group: who holds LVM's lock of it, and its PVs' largest logical block.

    `beneath_pvs` are the numbers of the block devices that its PVs are, and of all that they lie on; they are looked at
    only where origins are to be held.
    """

    lock_holder: str = ""
    logical_block_bytes: int = SECTOR_BYTES
    beneath_pvs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LvmPart:
    """A path that LVM's commands need, and the numbers of the block devices that it lies on."""

    path: str
    block_devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Looked:
    """What was looked at for one profile, each by what it is of: a path, a group's name, VG and LV.

    A key that is not here was not looked at, which says nothing of what is there: to ask for it is a mistake.
    """

    files: Mapping[str, FileFacts | None] = field(default_factory=dict)
    directories: Mapping[str, DirectoryFacts] = field(default_factory=dict)
    mountpoints: Mapping[str, MountpointFacts] = field(default_factory=dict)
    groups: Mapping[str, GroupFacts] = field(default_factory=dict)
    origins: Mapping[tuple[str, str], OriginFacts] = field(default_factory=dict)
    key_files: Mapping[str, KeyFileFacts] = field(default_factory=dict)
    has_terminal: bool = False
    udev_rules: Mapping[str, bool] = field(default_factory=dict)
    is_process_gone: bool = False  # the `lvmsnap run` that the record names has ended
    missing_tools: tuple[str, ...] = ()
    lvm_parts: tuple[LvmPart, ...] = ()  # looked at for the snapshots that are to be of one instant
    bound_to_group: str = ""  # the control group that no process of ours could leave
    boot_recovery: bool = False
    boot_tags: tuple[str, ...] = ()  # "UUID=...", "LABEL=...": what the boot looks for
