"""The one reading of the system: LVM's report, the kernel's tables and the profile's own paths become Facts."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lvmsnap import ancestors, device_mapper, kernel, layers, lvm_config, lvm_lock, lvm_report, processes
from lvmsnap.ancestors import Way
from lvmsnap.host import host_id
from lvmsnap.model import Process, Profile, Record, Target
from lvmsnap.paths import RUN_DIR, RUN_DIR_MODE
from lvmsnap.runner import Runner, environment
from lvmsnap.system import SECTOR_BYTES, DirectoryFacts, Facts, FileFacts, Gate, Mount, MountpointFacts

UNIT_DIRS = ("/etc/systemd/system", "/run/systemd/system", "/run/systemd/generator", "/usr/lib/systemd/system")


@dataclass(frozen=True, slots=True)
class Interest:
    """What a reading is to look at besides LVM: one profile's names and paths."""

    vg: str
    origin: str
    backing_path: str = ""
    mountpoint: str = ""
    process: Process | None = None

    @classmethod
    def of_profile(cls, profile: Profile) -> Interest:
        """Return what a profile names."""
        path = profile.backing_file.path if profile.backing_file else ""
        return cls(profile.volume.vg, profile.volume.origin, path, profile.volume.mountpoint or "")

    @classmethod
    def of_target(cls, target: Target, record: Record | None = None) -> Interest:
        """Return what a target names, and the process that its record does."""
        path = target.lent_pv.path if target.lent_pv else ""
        mountpoint = target.mount.mountpoint if target.mount else ""
        return cls(target.vg, target.origin, path, mountpoint, record.process if record else None)


def read_system(runner: Runner, *, locking: bool = True) -> Facts:
    """Read everything that is the same for all profiles, LVM in one process. Raises ToolError where LVM says nothing.

    Without `locking` the reading never waits for another LVM command, and may see the middle of its work.
    """
    vgs, orphan_pvs = lvm_report.read_report(runner, locking=locking)
    system_dir = lvm_config.system_dir()
    settings = lvm_config.read_settings(system_dir)
    devices_file = lvm_config.devices_file(settings, system_dir)
    return Facts(
        is_root=is_root(),
        boot_id=kernel.boot_id(),
        snapshot_target=kernel.has_module("dm-snapshot"),
        loop_driver=Path("/dev/loop-control").exists() or kernel.has_module("loop"),
        vgs=vgs,
        orphan_pvs=orphan_pvs,
        mounts=kernel.mounts(),
        loops=kernel.loops(),
        loop_numbers=kernel.loop_numbers(),
        dm_devices=device_mapper.devices(),
        lvm_filters=lvm_config.filters(settings),
        devices_file=devices_file,
        listed_devices=lvm_config.listed_devices(devices_file),
        boot_mountpoints=boot_mountpoints(),
        host=host_id(),
    )


def focus(facts: Facts, interest: Interest) -> Facts:
    """Add what stands at one profile's paths; starts no process."""
    vg = facts.vg(interest.vg)
    devices = vg.pvs if vg else ()
    present = [pv.device for pv in devices if Path(pv.device).is_block_device()]
    sizes = [kernel.logical_block_bytes(kernel.device_number(os.stat(device).st_rdev)) for device in present]
    return replace(
        facts,
        vg_lock_holder=lvm_lock.holder(f"V_{interest.vg}"),
        is_process_gone=interest.process is not None and not processes.is_running(interest.process),
        **_backing_place(interest.backing_path, facts.mounts),
        mountpoint=_mountpoint(interest.mountpoint, facts.mounts) if interest.mountpoint else None,
        pv_logical_block_bytes=max(sizes, default=SECTOR_BYTES),
    )


def origin_device_number(facts: Facts, interest: Interest) -> str:
    """Return "MAJOR:MINOR" of the origin's device, "" where it is not there or not active."""
    vg = facts.vg(interest.vg)
    lv = vg.lv(interest.origin) if vg else None
    return lv.device_number if lv else ""


def _backing_place(path: str, mounts: tuple[Mount, ...]) -> dict[str, Any]:
    if not path:
        return {"file": None, "directory": None}
    way = ancestors.walk(os.path.dirname(path), mounts)
    file = None if way.stalling else file_facts(path)
    return {"file": file, "directory": _directory(os.path.dirname(path), way, mounts)}


def missing_tools(tools: Iterable[str]) -> tuple[str, ...]:
    """Return those programs that are not on the PATH that children get."""
    path = environment()["PATH"]
    return tuple(tool for tool in tools if shutil.which(tool, path=path) is None)


def is_root() -> bool:
    """Whether we run as root."""
    return os.geteuid() == 0


def file_facts(path: str) -> FileFacts | None:
    """Return what stands at a backing file's path, symlinks not followed; None where nothing does."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    is_regular = stat.S_ISREG(status.st_mode)
    private = is_regular and stat.S_IMODE(status.st_mode) == 0o600 and status.st_uid == 0
    return FileFacts(
        device=status.st_dev,
        inode=status.st_ino,
        is_regular=is_regular,
        size_bytes=status.st_size,
        allocated_bytes=status.st_blocks * SECTOR_BYTES,
        is_empty_private=private and status.st_size == 0,
        pv_uuid=_pv_uuid(path) if is_regular and status.st_size else "",
    )


def _pv_uuid(path: str) -> str:
    """Return the UUID in the PV label of a file, "" where it has none.

    lvm2's label.h and layout.h: the label lies in one of the first four sectors, "LABELONE", and 32 bytes on
    follows the PV header with the UUID without its dashes.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(4 * SECTOR_BYTES)
    except OSError:
        return ""
    for start in range(0, len(head), SECTOR_BYTES):
        if head[start : start + 8] == b"LABELONE":
            raw = head[start + 32 : start + 64].decode("ascii", errors="replace")
            return "-".join((raw[:6], raw[6:10], raw[10:14], raw[14:18], raw[18:22], raw[22:26], raw[26:]))
    return ""


def _directory(path: str, way: Way, mounts: tuple[Mount, ...]) -> DirectoryFacts:
    mount = kernel.mount_of(way.real_path, mounts)
    filesystem, mountpoint = (mount.filesystem, mount.mountpoint) if mount else ("", "")
    if way.stalling or not way.exists:
        there = bool(way.stalling)  # It is refused by its type alone.
        return DirectoryFacts(there, way.real_path, filesystem, 0, (), SECTOR_BYTES, mountpoint)
    space, devices = os.statvfs(path), kernel.devices_under(path, mounts)
    return DirectoryFacts(
        exists=True,
        real_path=way.real_path,
        filesystem=filesystem,
        available_bytes=space.f_bavail * space.f_frsize,
        block_devices=devices,
        logical_block_bytes=max(map(kernel.logical_block_bytes, devices), default=SECTOR_BYTES),
        mountpoint=mountpoint,
        layers=layers.beneath(devices, mounts),
        gates=way.gates,
    )


def _mountpoint(path: str, mounts: tuple[Mount, ...]) -> MountpointFacts:
    parent, claimed = ancestors.walk(os.path.dirname(path), mounts), claimed_by(path)
    real_path = os.path.join(parent.real_path, os.path.basename(path))
    gates = _as_locked(parent)
    if any(mount.mountpoint == path for mount in mounts):
        return MountpointFacts("mounted", real_path, claimed, gates)
    if parent.stalling:
        return MountpointFacts("unreachable", real_path, claimed, gates, parent.stalling)
    kind = _kind(path)
    own = (ancestors.gate(path),) if kind in ("empty", "not empty") else ()
    return MountpointFacts(kind, real_path, claimed, (*gates, *own))


def _as_locked(parent: Way) -> tuple[Gate, ...]:
    """Return the gates as they are once the lock was taken, which makes RUN_DIR and shuts it to others."""
    if parent.real_path != RUN_DIR:
        return parent.gates
    return (*(gate for gate in parent.gates if gate.path != RUN_DIR), Gate(RUN_DIR, 0, 0, RUN_DIR_MODE))


def _kind(path: str) -> str:
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            return "symlink"
        if not stat.S_ISDIR(status.st_mode):
            return "no directory"
        with os.scandir(path) as entries:
            return "not empty" if next(entries, None) else "empty"
    except FileNotFoundError:
        parent = os.path.dirname(path)
        # After a boot RUN_DIR is absent until the first change takes its lock in it.
        return "absent" if os.path.isdir(parent) or parent == RUN_DIR else "no parent"
    except NotADirectoryError:
        return "no parent"
    except OSError:
        return "not empty"


def boot_mountpoints() -> tuple[str, ...]:
    """Return the mountpoints that a boot does not do without: the root, and fstab's, but noauto and nofail ones."""
    fields = [field for field in _fstab() if len(field) > 3 and not {"noauto", "nofail"} & set(field[3].split(","))]
    return ("/", *(kernel.unescape_octal(field[1]) for field in fields if field[1].startswith("/") and field[1] != "/"))


def _fstab() -> list[list[str]]:
    path = Path("/etc/fstab")
    return fstab_fields(path.read_bytes() if path.is_file() else b"")


def fstab_fields(raw: bytes) -> list[list[str]]:
    """Return the fields of each line of an fstab: tabs or blanks are between them, and nothing else (fstab(5))."""
    rows = [line.strip(" \t") for line in kernel.lines(raw)]
    return [re.split(r"[ \t]+", row) for row in rows if row and not row.startswith("#")]


def claimed_by(path: str) -> str:
    """Return the fstab or the systemd unit file that has the mountpoint `path`, "" where none has."""
    if any(len(field) > 1 and kernel.unescape_octal(field[1]).rstrip("/") == path for field in _fstab()):
        return "/etc/fstab"
    names = [f"{unit_name(path)}.{suffix}" for suffix in ("mount", "automount")]
    units = (Path(directory, name) for directory in UNIT_DIRS for name in names)
    return next((str(unit) for unit in units if unit.exists()), "")


def unit_name(path: str) -> str:
    """Return the name systemd gives a mountpoint's unit (systemd-escape(1) --path)."""
    text = path.strip("/").replace("/", "\0")
    escaped = "".join(
        c if re.match(r"[A-Za-z0-9:_.\0]", c) else "".join(f"\\x{b:02x}" for b in os.fsencode(c)) for c in text
    )
    return re.sub(r"^\.", r"\\x2e", escaped).replace("\0", "-")
