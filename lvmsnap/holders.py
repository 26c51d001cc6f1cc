"""Names the processes that keep a mount busy, from /proc. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lvmsnap import kernel


def holders(mountpoint: str) -> tuple[str, ...]:
    """Return "pid PID (NAME): PATH" for each process that has something open below the mountpoint.

    A process in another mount namespace that still has the filesystem mounted is named too: it pins the device.
    """
    mount = next((m for m in reversed(kernel.mounts()) if m.mountpoint == mountpoint), None)
    if mount is None:
        return ()
    found = []
    for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        path = next(_paths_below(process, mountpoint), "") or _pinned(process, mount.device_number)
        if path:
            found.append(f"pid {process.name} ({_name(process)}): {path}")
    return tuple(found)


def _paths_below(process: Path, mountpoint: str) -> Iterator[str]:
    try:
        links = [process / "cwd", process / "root", process / "exe", *(process / "fd").iterdir()]
    except OSError:
        return
    for link in links:
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if target == mountpoint or target.startswith(mountpoint + "/"):
            yield target


def _pinned(process: Path, device_number: str) -> str:
    try:
        if os.readlink(process / "ns/mnt") == os.readlink("/proc/self/ns/mnt"):
            return ""
        text = (process / "mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    mounts = (kernel.parse_mount(line) for line in text.splitlines())
    place = next((m.mountpoint for m in mounts if m.device_number == device_number), "")
    return f"{place} in its own mount namespace" if place else ""


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "ended"
