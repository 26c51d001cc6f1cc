"""What `up` decided and the record keeps: the target, and what was written down of it. No behaviour."""

from __future__ import annotations

from enum import Enum

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.lvm_names import snapshot_tag
from lvmsnap.model.profile import Allocation, Hooks


class Permission(Enum):
    """A snapshot's permission, as lvcreate(8) --permission takes it."""

    READ_ONLY = "r"
    READ_WRITE = "rw"


@dataclass(frozen=True, slots=True)
class Loan:
    """A backing file and the PV made of it, lent to one volume group. Its loop device is no part of it: numbers move.

    `vg` and `vg_uuid` are the group's; `vg_uuid` "" where it is not known. `inode` and `device` are the file's, known
    once it was created; `device` (st_dev) holds for one boot only. `mounted_at` is where the file's filesystem is
    mounted: a file that is not found while nothing is mounted there is out of reach, not gone. `allocate_on` are PVs of
    the group that its snapshots may use beside the lent one.
    """

    vg: str
    vg_uuid: str
    path: str
    size_bytes: int
    allocation: Allocation
    pv_uuid: str
    sector_size_bytes: int
    direct_io: bool
    allocate_on: tuple[str, ...] = ()
    inode: int | None = None
    device: int | None = None
    mounted_at: str = ""


@dataclass(frozen=True, slots=True)
class MountTarget:
    """Where and how something is mounted. `make_directory`: it was absent, so it is ours to make and remove.

    `parents` are the directories above it that are made and removed with it, the outermost first. `filesystem` is ""
    where it is not known before a LUKS container is open; `options` then lack its own.
    """

    mountpoint: str
    filesystem: str
    options: tuple[str, ...]
    make_directory: bool
    remove_directory: bool
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Include:
    """A mount of the server that is bound into the tree as it is: `source` is its mountpoint there.

    `device_number` (MAJOR:MINOR) and `root` (proc(5), mountinfo) are the mount's own, by which the bound one is known;
    they hold for one boot, as mounts do.
    """

    source: str
    device_number: str
    root: str
    mount: MountTarget


@dataclass(frozen=True, slots=True)
class LuksMapping:
    """The mapping that opens the LUKS container in a snapshot. No key is in it: `key_file` is a path.

    `dm_uuid` is the mapping's UUID in device-mapper: cryptsetup makes it of the container's UUID and the mapping's
    name. `key_file` "": the passphrase is asked for on the terminal.
    """

    name: str
    dm_uuid: str
    key_file: str = ""

    @property
    def path(self) -> str:
        """Its device."""
        return f"/dev/mapper/{self.name}"

    @property
    def udev_rule(self) -> str:
        """The file with the rule that keeps udev from it; before those of device-mapper, for this boot alone."""
        return f"/run/udev/rules.d/12-{self.name}.rules"


@dataclass(frozen=True, slots=True)
class CowSpace:
    """How a snapshot's space for changes is made; a `chunk_size_bytes` of None is LVM's own choice."""

    extents: int
    extent_size_bytes: int
    chunk_size_bytes: int | None

    @property
    def size_bytes(self) -> int:
        """How large it is made."""
        return self.extents * self.extent_size_bytes


@dataclass(frozen=True, slots=True)
class PoolSpace:
    """A snapshot in its origin's thin pool: it has no space of its own, and both take new blocks from the pool."""

    pool: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot: of which origin, how it is made and where it is mounted.

    UUIDs are LVM's, "" where they are not known; names may change while it is up. `cow` says where changes are kept; it
    is None where only marks tell of it. `dm_uuid` is its device's in device-mapper, once it was taken: by that it is
    recognised, and so is what a killed command leaves of it. `is_going`: its removal has begun, so that it is not lost
    when it is gone. `luks` is the mapping that opens what is in it. `bears_lvm`: the programs that take it lie on its
    origin. `origin_mounted_at`: a mountpoint of its origin that can be reached, "" where there is none.
    """

    vg: str
    vg_uuid: str
    origin: str
    origin_uuid: str
    name: str
    cow: CowSpace | PoolSpace | None
    permission: Permission
    mount: MountTarget | None
    dm_uuid: str = ""
    is_going: bool = False
    luks: LuksMapping | None = None
    bears_lvm: bool = False
    origin_mounted_at: str = ""

    @property
    def path(self) -> str:
        """Its LVM name, VG/LV."""
        return f"{self.vg}/{self.name}"

    @property
    def origin_path(self) -> str:
        """The origin's LVM name, VG/LV."""
        return f"{self.vg}/{self.origin}"

    @property
    def own_space(self) -> CowSpace | None:
        """Its own space for changes; None for a thin snapshot, and where only marks tell of it."""
        return self.cow if isinstance(self.cow, CowSpace) else None

    @property
    def device(self) -> str:
        """The device with what is in it to be read: its own, or the mapping that opens it."""
        return self.luks.path if self.luks else f"/dev/{self.path}"


@dataclass(frozen=True, slots=True)
class Target:
    """Everything a profile's stack is made of, decided: enough to make it, to recognise it and to take it back.

    `host` is the identity of the host that made it, "" where an older lvmsnap did, whose marks name no host. `tree` is
    the top of the tree in which its snapshots are mounted, "" where there is none. `is_consistent`: all snapshots are
    of one instant.
    """

    name: str
    loans: tuple[Loan, ...]
    snapshots: tuple[Snapshot, ...]
    hooks: Hooks = Hooks()
    host: str = ""
    tree: str = ""
    includes: tuple[Include, ...] = ()
    is_consistent: bool = False

    @property
    def tag(self) -> str:
        """The LVM tag that says a snapshot is this profile's, on this host. An older lvmsnap does not know it."""
        return snapshot_tag(self.name, self.host)

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of its volume groups, each once."""
        of_snapshots = (snapshot.vg for snapshot in self.snapshots)
        return tuple(dict.fromkeys((*of_snapshots, *(loan.vg for loan in self.loans))))

    @property
    def mounts(self) -> tuple[MountTarget, ...]:
        """Where its snapshots, and what is included, are mounted, in the order of `up`: what is inside comes after."""
        of_snapshots = tuple(snapshot.mount for snapshot in self.snapshots if snapshot.mount)
        return tuple(sorted((*of_snapshots, *(one.mount for one in self.includes)), key=lambda one: one.mountpoint))

    def loan_to(self, vg: str) -> Loan | None:
        """Return what is lent to the group of that name, if anything is."""
        return next((loan for loan in self.loans if loan.vg == vg), None)


@dataclass(frozen=True, slots=True)
class Loss:
    """How a snapshot was lost; `origin` is its origin, VG/LV, where the profile has several volumes, "" where not."""

    how: str
    origin: str = ""

    @property
    def of(self) -> str:
        """Which snapshot it is of, to follow that word."""
        return f" of {self.origin}" if self.origin else ""


@dataclass(frozen=True, slots=True)
class Process:
    """A process of this boot: its pid, and when it began in clock ticks since the boot (proc(5), starttime)."""

    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True)
class Record:
    """What `up` wrote down before its first change. `boot_id` is the kernel's of that boot, `time` ISO 8601 UTC.

    `hooks_due` names the hooks that are still to be run before all is down: after_snapshot once before_snapshot began,
    before_down and after_down once all was up. `process` is the `lvmsnap run` or `hold` that all of it is up for, None
    where `up` made it to stay, and `command` what that run started, of a hold that is up itself. `lost` says how a
    snapshot was lost, once that was found out, and `lost_origin` which, where there are several.
    """

    target: Target
    profile_text: str
    profile_path: str
    boot_id: str
    time: str
    hooks_due: tuple[str, ...] = ()
    process: Process | None = None
    command: Process | None = None
    lost: str = ""
    lost_origin: str = ""
