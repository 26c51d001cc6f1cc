"""The frozen types of what was examined for one profile: its paths, its origins, its groups. No behaviour."""

from __future__ import annotations

from collections.abc import Mapping

from lvmsnap.model.dataclass import dataclass, field
from lvmsnap.model.units import SECTOR_BYTES


@dataclass(frozen=True, slots=True)
class Superblock:
    """What the origin's superblock says about its journal (XFS: log).

    `journal_bytes` is its size on the origin itself. `needs_other_device`: its journal or other parts of it are on
    another device. `is_clean`: its journal need not be replayed; without a journal: it was cleanly unmounted.
    """

    journal_bytes: int
    needs_other_device: bool
    has_journal: bool
    is_clean: bool


@dataclass(frozen=True, slots=True)
class LuksHeader:
    """The header of a LUKS container. `obstacle` is what keeps its snapshot from being opened, "" if nothing does.

    `version` is 1 or 2, `uuid` as cryptsetup writes it.
    """

    version: int
    uuid: str
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is at the backing file's path. `is_empty_private`: an empty file of root's with mode 0600."""

    device: int
    inode: int
    is_regular: bool
    size_bytes: int
    allocated_bytes: int
    is_empty_private: bool
    pv_uuid: str


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer somewhere below a filesystem that allocates blocks only when they are written.

    `free_bytes` can still be written to it before it is full; None if it may run full whatever is written first.
    `is_unknown`: it cannot be examined, so it might be such a layer.
    """

    name: str
    free_bytes: int | None
    is_unknown: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """A directory on a path: its owner and its permission bits; `has_acl`: it also has an ACL."""

    path: str
    uid: int
    gid: int
    mode: int
    has_acl: bool = False


@dataclass(frozen=True, slots=True)
class Copy:
    """A snapshot's CoW device: a write to `origin`, the -real device, also reaches it and all devices below it.

    Devices are MAJOR:MINOR. `beneath` includes `cow` itself, and no further copies.
    """

    origin: str
    cow: str
    beneath: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DirectoryFacts:
    """The directory that will hold the backing file, its filesystem and every block device below it.

    `own_devices` are those without the `copies`, the CoW devices of snapshots that a write also reaches.
    `gates` are the directories on the path, including itself.
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
        """Whether both are on the same filesystem, which may be mounted in several places."""
        mine, theirs = (one.block_devices or (one.mountpoint,) for one in (self, other))
        return mine == theirs


@dataclass(frozen=True, slots=True)
class KeyFileFacts:
    """What is at a key file's path, without following symlinks; `gates` are the directories on the path."""

    kind: str  # "regular", "absent", "symlink", "other", "unreachable"
    uid: int = 0
    mode: int = 0
    size_bytes: int = 0
    gates: tuple[Gate, ...] = ()
    stalling: str = ""  # the network or user-space filesystem on the way, which makes it "unreachable"


@dataclass(frozen=True, slots=True)
class MountpointFacts:
    """What is at the mountpoint's path; `gates` are the directories on the path, including itself if it exists."""

    kind: str  # "absent", "empty", "not empty", "mounted", "no directory", "symlink", "no parent", "unreachable"
    real_path: str
    claimed_by: str  # a line of fstab or a systemd mount unit that owns the path
    gates: tuple[Gate, ...] = ()
    stalling: str = ""  # the network or user-space filesystem on the way, which makes it "unreachable"


@dataclass(frozen=True, slots=True)
class OriginFacts:
    """What is on an origin. `tags` are "UUID=..." and "LABEL=...", as the boot may look for them.

    `ways` are the directories above each place where the whole origin is mounted. `is_mounted`: on this host, in any
    mount namespace, so that LVM freezes it for the snapshot. `mount_options` are the filesystem's own, common to all
    its mounts. `luks` is the header if it holds LUKS, `inside` its content if it is open on this host: that has
    `is_in_luks` set, since LVM's freeze does not reach it, and its `device_number` is the mapping's.
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
    """What was examined for a volume group: who holds LVM's lock on it, and its PVs' largest logical block size.

    `beneath_pvs` are the numbers of its PVs' block devices and of all devices below them; they are examined only if
    origins will be held.
    """

    lock_holder: str = ""
    logical_block_bytes: int = SECTOR_BYTES
    beneath_pvs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LvmPart:
    """A path that LVM's commands need, and the numbers of the block devices below it."""

    path: str
    block_devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Looked:
    """What was examined for one profile, by path, by the group's name, or by VG and LV.

    A missing key was not examined, which says nothing about what exists: asking for it is a bug.
    """

    files: Mapping[str, FileFacts | None] = field(default_factory=dict)
    directories: Mapping[str, DirectoryFacts] = field(default_factory=dict)
    mountpoints: Mapping[str, MountpointFacts] = field(default_factory=dict)
    groups: Mapping[str, GroupFacts] = field(default_factory=dict)
    origins: Mapping[tuple[str, str], OriginFacts] = field(default_factory=dict)
    key_files: Mapping[str, KeyFileFacts] = field(default_factory=dict)
    has_terminal: bool = False
    udev_rules: Mapping[str, bool] = field(default_factory=dict)
    is_process_gone: bool = False  # the `lvmsnap run` or `hold` that the record names has ended
    missing_tools: tuple[str, ...] = ()
    lvm_parts: tuple[LvmPart, ...] = ()  # examined only for snapshots of one instant
    bound_to_group: str = ""  # the control group that our processes cannot leave
    boot_recovery: bool = False
    boot_tags: tuple[str, ...] = ()  # "UUID=...", "LABEL=...": what the boot looks for
