"""The frozen types of what is asked for and what is done: profile, target, record, actions, plan. No behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB


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
    """One origin and the snapshot to make of it. `mountpoint` None: only the device is made.

    `allow_wider_access`: the mountpoint may be where more people come to than to the origin.
    """

    vg: str
    origin: str
    snapshot: str
    size: Size
    chunk_size_bytes: int | None
    mountpoint: str | None
    mount_options: tuple[str, ...]
    allow_wider_access: bool = False


@dataclass(frozen=True, slots=True)
class BackingFile:
    """The temporary file that lends the group space. `size_bytes` None: what the snapshot needs.

    It may grow to `max_size_bytes` while it is up; None: it does not grow.
    """

    path: str
    size_bytes: int | None
    loop_device: str | None
    allocation: Allocation
    allow_same_vg: bool
    accept_boot_risk: bool = False
    max_size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Overflow:
    """When a filling snapshot is warned of and given more room, in percent of its CoW space; and how much more."""

    warn_percent: int = 70
    extend_percent: int = 80
    by_percent: int = 50


Argv = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hooks:
    """Commands of the profile's own around the snapshot, () where there is none; each is stopped after its time-out."""

    before_snapshot: Argv = ()
    after_snapshot: Argv = ()
    before_down: Argv = ()
    after_down: Argv = ()
    timeout_seconds: int = 60


@dataclass(frozen=True, slots=True)
class Profile:
    """A named profile, with every default filled in. `path` is the file it was read from."""

    name: str
    path: str
    description: str
    volume: Volume
    backing_file: BackingFile | None
    remove_mountpoint: bool
    overflow: Overflow = Overflow()
    hooks: Hooks = Hooks()


# --- the target: what `up` decided and the record keeps --------------------------------------------------------


class Permission(Enum):
    """A snapshot's permission, as lvcreate(8) --permission takes it."""

    READ_ONLY = "r"
    READ_WRITE = "rw"


@dataclass(frozen=True, slots=True)
class LentPV:
    """The backing file and the PV made of it. Its loop device is never part of it: numbers change hands.

    `inode` and `device` are the file's, known once it was created; `device` (st_dev) holds for one boot only.
    `mounted_at` is where the file's filesystem is mounted: a file that is not found while nothing is mounted
    there is out of reach, not gone.
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
    mounted_at: str = ""


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
    """Everything a profile's stack is made of, decided: enough to make it, to recognise it and to take it back.

    `host` is the identity of the host that made it, "" where an older lvmsnap did, whose marks name no host.
    """

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
    hooks: Hooks = Hooks()
    host: str = ""

    @property
    def tag(self) -> str:
        """The LVM tag that says a snapshot is this profile's, on this host. An older lvmsnap does not know it."""
        return f"lvmsnap2.{self.host}.{self.name}" if self.host else f"lvmsnap.{self.name}"


@dataclass(frozen=True, slots=True)
class Process:
    """A process of this boot: its pid, and when it began in clock ticks since the boot (proc(5), starttime)."""

    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True)
class Record:
    """What `up` wrote down before its first change. `boot_id` is the kernel's of that boot, `time` ISO 8601 UTC.

    `hooks_due` names the hooks that are still to be run before all is down: after_snapshot once before_snapshot
    began, before_down and after_down once all was up. `process` is the `lvmsnap run` that all of it is up for, None
    where `up` made it to stay, and `command` what that one started. `snapshot_uuid` is the device-mapper UUID of the
    snapshot from when it was taken until it is to be removed. `lost` says how it was lost, once that was found out.
    """

    target: Target
    profile_text: str
    profile_path: str
    boot_id: str
    time: str
    hooks_due: tuple[str, ...] = ()
    process: Process | None = None
    command: Process | None = None
    snapshot_uuid: str = ""
    lost: str = ""


# --- the plan ---------------------------------------------------------------------------------------------------


class Thing(Enum):
    """What an action makes, in the order of the stack."""

    AFTER_DOWN = "after_down hook"
    FILE = "backing file"
    SPACE = "backing file's blocks"
    LOOP = "loop device"
    PV = "physical volume"
    BEFORE_SNAPSHOT = "before_snapshot hook"
    INACTIVE_ORIGIN = "inactive origin"
    VG_MEMBER = "lent PV in the volume group"
    LEFTOVER_DEVICES = "devices of a killed command"
    SNAPSHOT = "snapshot"
    AFTER_SNAPSHOT = "after_snapshot hook"
    SUSPENDED_ORIGIN = "suspended origin"
    DIRECTORY = "mountpoint directory"
    MOUNT = "mount"
    BEFORE_DOWN = "before_down hook"


@dataclass(frozen=True, slots=True)
class Action:
    """One reversible change: its command, its undo, and whether it stands (`condition` says how that is seen).

    `do` is empty where another action's command makes the thing too; `undo` is empty where undoing another
    action takes it along. `needs_gone` must be gone before the undo may run. `blocked` names what keeps the undo from
    working before a person has run `by_hand`, "" where nothing does.
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
    blocked: str = ""
    by_hand: tuple[Argv, ...] = ()


class Direction(Enum):
    """Which way a plan walks the stack."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what was looked at, whether it is good, and what to do where it is not.

    A `warning` refuses nothing; it is told once, before the first change.
    """

    title: str
    passed: bool
    found: str
    hint: str = ""
    warning: bool = False


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
