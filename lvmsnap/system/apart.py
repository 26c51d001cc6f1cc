"""Isolates a process: its memory locked, and itself safe from what ends all others around it.

Locked memory is never paged in from a disk, so a process that has all it needs in memory waits for no device.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lvmsnap.system import held_signals, mount_table

# sys/mman.h
MCL_CURRENT, MCL_FUTURE = 1, 2
# systemd kills what is in a unit's control group; the other cgroup v1 hierarchies do not matter.
OF_SYSTEMD = ("", "name=systemd")


def lock_memory() -> str:
    """Lock all present and future memory of this process (mlockall(2)); return what is wrong, "" if nothing is."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(MCL_CURRENT | MCL_FUTURE):
        return f"its memory cannot be locked: {os.strerror(ctypes.get_errno())}"
    return ""


def unlock_memory() -> None:
    """Let the kernel page the memory out again (munlockall(2))."""
    ctypes.CDLL(None).munlockall()


def set_apart() -> str:
    """Leave session and control group, ignore signals, and be exempt from the OOM killer; return what is wrong."""
    os.setsid()
    for number in (*held_signals.ENDING, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):  # proc(5): a container may forbid it
        Path("/proc/self/oom_score_adj").write_text("-1000")
    return _leave_control_group() or lock_memory()


def bound_to_group() -> str:
    """Return the control group that this process could not leave, "" if it could, or is in none."""
    groups = ((path, root) for path, root in _control_groups() if not os.access(f"{root}/cgroup.procs", os.W_OK))
    return next((path for path, _ in groups), "")


def _leave_control_group() -> str:
    """Move to the root of each hierarchy through which a unit could be killed (cgroups(7)); return what is wrong."""
    for path, root in _control_groups():
        try:
            Path(root, "cgroup.procs").write_text(str(os.getpid()))
        except OSError as error:
            return f"the control group {path} cannot be left: {error.strerror}"
    return ""


def _control_groups() -> Iterator[tuple[str, str]]:
    """Yield the control groups that it could be killed with, each with the mountpoint of its hierarchy's root."""
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        _, controllers, path = line.split(":", 2)
        if path != "/" and controllers in OF_SYSTEMD:
            yield path, _root_of(controllers)


def _root_of(controllers: str) -> str:
    """Return where the root of a hierarchy is mounted, "" if it is not."""
    for mount in mount_table.mounts():
        is_it = mount.filesystem == "cgroup2" if not controllers else controllers in mount.filesystem_options
        if is_it and mount.root == "/":
            return mount.mountpoint
    return ""
