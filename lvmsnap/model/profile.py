"""What the user asks for: a profile as it was read, with every default filled in. No behaviour."""

from __future__ import annotations

from enum import Enum

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.paths import RUN_DIR


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


# The program that gives a backing file its blocks.
FILLERS = {Allocation.FALLOCATE: "fallocate", Allocation.ZERO_FILL: "dd"}


@dataclass(frozen=True, slots=True)
class Luks:
    """How a snapshot that holds LUKS is opened: with a key file or, if that is None, with a prompted passphrase."""

    key_file: str | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """One origin and the snapshot to make of it. `mountpoint` None: only the device is made.

    `is_in_tree`: it is mounted in the profile's tree, where the origin is mounted on the server; `mountpoint` is None
    until that was looked up. `size` None: not given; what is made then depends on the origin.
    `allow_wider_access`: more users may have access to the mountpoint than to the origin. `luks`: the origin holds
    LUKS, which is opened.
    """

    vg: str
    origin: str
    snapshot: str
    size: Size | None
    chunk_size_bytes: int | None
    mountpoint: str | None
    mount_options: tuple[str, ...]
    allow_wider_access: bool = False
    luks: Luks | None = None
    is_in_tree: bool = False

    @property
    def path(self) -> str:
        """The origin's LVM name, VG/LV."""
        return f"{self.vg}/{self.origin}"


@dataclass(frozen=True, slots=True)
class BackingFile:
    """The temporary file that lends space to group `vg`. `size_bytes` None: what the group's snapshots need.

    It may grow to `max_size_bytes` while it is up; None: it does not grow.
    """

    vg: str
    path: str
    size_bytes: int | None
    loop_device: str | None
    allocation: Allocation
    allow_same_vg: bool
    accept_boot_risk: bool = False
    max_size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Overflow:
    """When to warn of a filling snapshot and to give it more room, in percent of its CoW space; and how much more."""

    warn_percent: int = 70
    extend_percent: int = 80
    by_percent: int = 50


Argv = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hooks:
    """The profile's own commands around the snapshot, () for none; each is stopped after the time-out."""

    before_snapshot: Argv = ()
    after_snapshot: Argv = ()
    before_down: Argv = ()
    after_down: Argv = ()
    timeout_seconds: int = 60


@dataclass(frozen=True, slots=True)
class Profile:
    """A named profile, with every default filled in. `path` is the file it was read from.

    Each volume group has at most one backing file. `includes` are mounts of the server that are bound into the
    profile's tree as they are. `is_consistent`: all snapshots must be of one instant.
    """

    name: str
    path: str
    description: str
    volumes: tuple[Volume, ...]
    backing_files: tuple[BackingFile, ...]
    remove_mountpoint: bool
    overflow: Overflow = Overflow()
    hooks: Hooks = Hooks()
    includes: tuple[str, ...] = ()
    is_consistent: bool = True

    @property
    def tree(self) -> str:
        """The top of the tree in which its snapshots are mounted like their origins on the server; "" without one."""
        has_tree = self.includes or any(volume.is_in_tree for volume in self.volumes)
        return f"{RUN_DIR}/{self.name}" if has_tree else ""

    @property
    def is_cut(self) -> bool:
        """Whether its snapshots are taken by holding all origins; a single one is of one instant anyway."""
        return self.is_consistent and len(self.volumes) > 1

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of its volume groups, each once."""
        return tuple(dict.fromkeys(volume.vg for volume in self.volumes))

    def backing_file(self, vg: str) -> BackingFile | None:
        """Return the file that lends space to group `vg`, None if there is none."""
        return next((file for file in self.backing_files if file.vg == vg), None)

    def volumes_in(self, vg: str) -> tuple[Volume, ...]:
        """Return the volumes of the group `vg`."""
        return tuple(volume for volume in self.volumes if volume.vg == vg)
