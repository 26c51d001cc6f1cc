"""What `up` decided and the record keeps: the target, and what was written down of it. No behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lvmsnap.model.profile import Allocation, Hooks


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
