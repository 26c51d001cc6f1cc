"""What `up` decided, and what the record keeps of it: the target and the record. No behaviour."""

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
    """A backing file and the PV made of it, lent to one volume group. It has no loop device: numbers may change.

    `vg` and `vg_uuid` are the group's; `vg_uuid` is "" if not known. `inode` and `device` are the file's, known once it
    was created; `device` (st_dev) is valid for one boot only. `mounted_at` is where the file's filesystem is mounted: a
    file that is not found while it is not mounted there is out of reach, not gone. `allocate_on` are PVs of the group
    that its snapshots may use besides the lent one.
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

    `parents` are the directories above it that are made and removed with it, the outermost first. `filesystem` is "" if
    it is not known before a LUKS container is open; `options` then lack those that it needs.
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

    `device_number` (MAJOR:MINOR) and `root` (proc(5), mountinfo) are the mount's, and identify the bind mount; they are
    valid for one boot, as mounts are.
    """

    source: str
    device_number: str
    root: str
    mount: MountTarget


@dataclass(frozen=True, slots=True)
class LuksMapping:
    """The mapping that opens the LUKS container in a snapshot. It holds no key: `key_file` is a path.

    `dm_uuid` is the mapping's device-mapper UUID: cryptsetup forms it from the container's UUID and the mapping's
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
        """The file with the rule that keeps udev off it; sorted before device-mapper's rules, for this boot only."""
        return f"/run/udev/rules.d/12-{self.name}.rules"


@dataclass(frozen=True, slots=True)
class CowSpace:
    """How a snapshot's CoW space is made; with `chunk_size_bytes` None, LVM chooses."""

    extents: int
    extent_size_bytes: int
    chunk_size_bytes: int | None

    @property
    def size_bytes(self) -> int:
        """Its size."""
        return self.extents * self.extent_size_bytes


@dataclass(frozen=True, slots=True)
class PoolSpace:
    """A snapshot in its origin's thin pool: it has no space of its own; both allocate new blocks in the pool."""

    pool: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot: its origin, how it is made and where it is mounted.

    UUIDs are LVM's, "" if not known; names may change while it is up. `cow` says where changes are kept; it is None if
    the snapshot is only known by marks. `dm_uuid` is its device-mapper UUID, once it was taken: it identifies the
    snapshot, and what a killed command leaves of it. `is_going`: its removal has begun, so once it is gone it does not
    count as lost. `luks` is the mapping that opens it. `bears_lvm`: LVM's own programs or files lie on its origin.
    `origin_mounted_at`: a visible mountpoint of its origin, "" if there is none.
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
        """Its own CoW space; None for a thin snapshot, and for one that is only known by marks."""
        return self.cow if isinstance(self.cow, CowSpace) else None

    @property
    def device(self) -> str:
        """The device to read it from: its own, or the mapping that opens it."""
        return self.luks.path if self.luks else f"/dev/{self.path}"


@dataclass(frozen=True, slots=True)
class Target:
    """Everything that a profile's stack consists of, decided: enough to make it, to recognise it and to take it down.

    `host` is the identity of the host that made it, "" if an older lvmsnap did, whose marks name no host. `tree` is the
    top of the tree in which its snapshots are mounted, "" if there is none. `is_consistent`: all snapshots are of one
    instant.
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
        """The LVM tag that marks a snapshot as this profile's, on this host. An older lvmsnap does not know it."""
        return snapshot_tag(self.name, self.host)

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of its volume groups, each once."""
        of_snapshots = (snapshot.vg for snapshot in self.snapshots)
        return tuple(dict.fromkeys((*of_snapshots, *(loan.vg for loan in self.loans))))

    @property
    def mounts(self) -> tuple[MountTarget, ...]:
        """Where its snapshots and includes are mounted, in the order of `up`: nested ones come later."""
        of_snapshots = tuple(snapshot.mount for snapshot in self.snapshots if snapshot.mount)
        return tuple(sorted((*of_snapshots, *(one.mount for one in self.includes)), key=lambda one: one.mountpoint))

    def loan_to(self, vg: str) -> Loan | None:
        """Return the loan to the group of that name, None if there is none."""
        return next((loan for loan in self.loans if loan.vg == vg), None)


@dataclass(frozen=True, slots=True)
class Loss:
    """How a snapshot was lost; `origin` is its origin, VG/LV, if the profile has several volumes, else ""."""

    how: str
    origin: str = ""

    @property
    def of(self) -> str:
        """Which snapshot it was, to follow the word "snapshot"."""
        return f" of {self.origin}" if self.origin else ""


@dataclass(frozen=True, slots=True)
class Process:
    """A process of this boot: its pid, and its start in clock ticks since boot (proc(5), starttime)."""

    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True)
class Record:
    """What `up` wrote down before its first change. `boot_id` is the kernel's ID of that boot, `time` ISO 8601 UTC.

    `hooks_due` names the hooks that must still run before everything is down: after_snapshot once before_snapshot has
    begun, before_down and after_down once everything was up. `process` is the `lvmsnap run` or `hold` that it is up
    for, None after a plain `up`; `command` is the command that the run started, or the hold itself once it is up.
    `lost` says how a snapshot was lost, once that was noticed, and `lost_origin` which one, if there are several.
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
