"""Names who keeps a snapshot busy: processes, mounts, loop devices, devices above it. Changes nothing."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lvmsnap import device_mapper, kernel, mount_copies
from lvmsnap.model import Target
from lvmsnap.names import dm_name
from lvmsnap.system import Mount

PROC = Path("/proc")


def holders(mountpoint: str, device_number: str = "") -> tuple[str, ...]:
    """Return in words whatever keeps a mount or its device busy; `device_number` is for a device that is not mounted.

    A process has something open or mapped below the mountpoint; what `pins` returns comes after those.
    """
    mount = _top(mountpoint)
    number = mount.device_number if mount else device_number
    found = []
    for process in _processes():
        path = next(_paths_below(process, mountpoint), "") if mount else ""
        path = path or (_mapped(process, number) if number else "")
        if path:
            found.append(f"{_named(process)}: {path}")
    inside = [other.mountpoint for other in kernel.mounts() if mount and other.parent_id == mount.mount_id]
    return (*found, *(f"mount on {path}" for path in inside), *pins(mountpoint, device_number))


def pins(mountpoint: str, device_number: str = "") -> tuple[str, ...]:
    """Return in words what keeps a snapshot's device busy though umount of `mountpoint` would not notice it.

    Other mounts of it, here and in other mount namespaces; loop devices on it or on its files; processes that have
    the device itself open; devices above it.
    """
    mount = _top(mountpoint)
    number = mount.device_number if mount else device_number
    if not number:
        return ()
    return (*(_copies(mount) if mount else ()), *_loops(number), *_openers(number), *_above(number))


def snapshot_number(target: Target) -> str:
    """Return the number of the target's snapshot device, "" where there is none."""
    name = dm_name(target.vg, target.snapshot)
    return next((device.device_number for device in device_mapper.devices() if device.name == name), "")


def _top(mountpoint: str) -> Mount | None:
    return next((m for m in reversed(kernel.mounts()) if m.mountpoint == mountpoint), None)


def _processes() -> list[Path]:
    return sorted(PROC.glob("[0-9]*"), key=lambda path: int(path.name))


def _copies(top: Mount) -> Iterator[str]:
    """Say where else the filesystem is mounted and would stay so; one process stands for its namespace."""
    own = _namespace(PROC / "self")
    tables, of = {own: kernel.mounts()}, {own: PROC / "self"}
    for process in _processes():
        namespace = _namespace(process)
        if namespace and namespace not in tables:
            with suppress(OSError):  # it ended
                tables[namespace], of[namespace] = kernel.mounts_of(process), process
    for namespace, mount in mount_copies.staying(top, tables, own):
        if namespace == own:
            yield f"mount on {mount.mountpoint}"
        else:
            yield f"{_named(of[namespace])}: {mount.mountpoint} in its own mount namespace"


def _loops(number: str) -> Iterator[str]:
    table = kernel.mounts()
    for loop in kernel.loops():
        if number in (kernel.device_number(loop.file_device), _device_at(loop.file_path)):
            places = [mount.mountpoint for mount in table if mount.device_number == loop.device_number]
            yield f"{loop.device} on {loop.file_path}" + (f", mounted on {places[0]}" if places else "")


def _openers(number: str) -> Iterator[str]:
    for process in _processes():
        path = next((link for link, at in _links(process) if link.startswith("/dev/") and _device_at(at) == number), "")
        if path:
            yield f"{_named(process)}: {path}"


def _above(number: str) -> Iterator[str]:
    yield from (f"device {name} above it" for name in kernel.holders_of(number))


def _device_at(path: str) -> str:
    """Return the number of the block device at a path in /dev or of a descriptor in /proc, "" where it is none."""
    if not path.startswith(("/dev/", f"{PROC}/")):
        return ""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    return kernel.device_number(status.st_rdev) if stat.S_ISBLK(status.st_mode) else ""


def _paths_below(process: Path, mountpoint: str) -> Iterator[str]:
    yield from (link for link, _ in _links(process) if link == mountpoint or link.startswith(mountpoint + "/"))


def _links(process: Path) -> Iterator[tuple[str, str]]:
    """Give (where it leads, the link itself) of everything a process has open."""
    try:
        links = [process / "cwd", process / "root", process / "exe", *(process / "fd").iterdir()]
    except OSError:
        return
    for link in links:
        try:
            yield os.readlink(link), str(link)
        except OSError:
            continue


def _mapped(process: Path, number: str) -> str:
    """Return the path of a file of the device that the process has mapped; it may be closed by now (proc(5), maps)."""
    try:
        text = (process / "maps").read_bytes().decode(errors="surrogateescape")
    except OSError:
        return ""
    major, minor = map(int, number.split(":"))
    pattern = rf"^\S+ \S+ \S+ {major:02x}:{minor:02x} \d+ +(/.*)$"
    match = re.search(pattern, text, re.MULTILINE)
    return match[1] if match else ""


def _namespace(process: Path) -> str:
    try:
        return os.readlink(process / "ns/mnt")
    except OSError:
        return ""


def _named(process: Path) -> str:
    try:
        name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        name = "ended"
    return f"pid {process.name} ({name})"
