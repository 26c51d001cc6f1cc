"""What is at a profile's paths: the backing file and its directory, the mountpoint."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from lvmsnap.model.facts import Mount, mount_of
from lvmsnap.model.looked import DirectoryFacts, FileFacts, Gate, KeyFileFacts, MountpointFacts
from lvmsnap.model.paths import RUN_DIR, RUN_DIR_MODE
from lvmsnap.model.units import SECTOR_BYTES
from lvmsnap.system import (
    ancestors,
    block_devices,
    layers,
)
from lvmsnap.system.ancestors import Way
from lvmsnap.system.mount_owners import claimed_by


def file_facts(path: str) -> FileFacts | None:
    """Return what is at a backing file's path, without following symlinks; None if nothing is."""
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
        pv_uuid=pv_uuid(path) if is_regular and status.st_size else "",
    )


def pv_uuid(path: str) -> str:
    """Return the UUID in the PV label of a file or a device, "" if it has none.

    lvm2's label.h and layout.h: the label, "LABELONE", is in one of the first four sectors; 32 bytes further on, the
    PV header begins with the UUID without its dashes.
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


def directory_facts(path: str, way: Way, mounts: tuple[Mount, ...]) -> DirectoryFacts:
    """Return what is known of the directory that will hold a backing file; `way` leads to it."""
    mount = mount_of(way.real_path, mounts)
    filesystem, mountpoint = (mount.filesystem, mount.mountpoint) if mount else ("", "")
    if way.stalling or not way.exists:
        there = bool(way.stalling)  # It is refused by its type alone.
        return DirectoryFacts(there, way.real_path, filesystem, 0, (), SECTOR_BYTES, mountpoint)
    space, own = os.statvfs(path), block_devices.own_devices_under(path, mounts)
    copies = block_devices.copies_under(own, mounts)
    devices = block_devices.with_copies(own, copies)
    return DirectoryFacts(
        exists=True,
        real_path=way.real_path,
        filesystem=filesystem,
        available_bytes=space.f_bavail * space.f_frsize,
        block_devices=devices,
        logical_block_bytes=max(map(block_devices.logical_block_bytes, devices), default=SECTOR_BYTES),
        mountpoint=mountpoint,
        layers=layers.beneath(devices, mounts),
        gates=way.gates,
        own_devices=own,
        copies=copies,
    )


def key_file_facts(path: str, mounts: tuple[Mount, ...]) -> KeyFileFacts:
    """Return what is at a key file's path, without opening it."""
    parent = ancestors.walk(os.path.dirname(path), mounts)
    if parent.stalling:
        return KeyFileFacts("unreachable", gates=parent.gates, stalling=parent.stalling)
    try:
        status = os.lstat(path)
    except OSError:
        return KeyFileFacts("absent", gates=parent.gates)
    kind = "symlink" if stat.S_ISLNK(status.st_mode) else "regular" if stat.S_ISREG(status.st_mode) else "other"
    return KeyFileFacts(kind, status.st_uid, stat.S_IMODE(status.st_mode), status.st_size, parent.gates)


def mountpoint_facts(path: str, mounts: tuple[Mount, ...]) -> MountpointFacts:
    """Return what is at a mountpoint's path, and who else claims it."""
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
    """Return the gates as they will be once the lock is taken: that makes RUN_DIR, closed to others."""
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
        # After a boot RUN_DIR does not exist until the first change takes its lock there.
        return "absent" if os.path.isdir(parent) or parent == RUN_DIR else "no parent"
    except NotADirectoryError:
        return "no parent"
    except OSError:
        return "not empty"
