"""Knows processes beyond their pid, which is given to others in time: whether one still runs, what it has open."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from lvmsnap.model.target import Process

PROC = Path("/proc")


def own() -> Process:
    """Return this process."""
    return identify(os.getpid())


def identify(pid: int) -> Process:
    """Return the process that has this pid now; its start is 0 where it is gone already."""
    return Process(pid, _start_ticks(_fields(PROC / str(pid))))


def is_running(process: Process) -> bool:
    """Whether that process, of this boot, has not ended; one that nobody waited for has."""
    fields = _fields(PROC / str(process.pid))
    return bool(fields) and fields[0] not in ("Z", "X") and _start_ticks(fields) == process.start_ticks


def running() -> list[Path]:
    """Return the folder in /proc of each process that runs a program, by its pid.

    The kernel's own threads, hundreds on a server, have nothing open: like the dead they lead to no program (proc(5)).
    """
    pids = sorted(int(name) for name in os.listdir(PROC) if name.isascii() and name.isdigit())
    return [PROC / str(pid) for pid in pids if _runs_a_program(pid)]


def _runs_a_program(pid: int) -> bool:
    try:
        os.readlink(f"{PROC}/{pid}/exe")
    except OSError as error:
        return error.errno == errno.EACCES  # another user's, for whoever is not root
    return True


def links(process: Path) -> Iterator[tuple[str, str]]:
    """Give (where it leads, the link itself) of everything a process has open."""
    try:
        descriptors = os.listdir(f"{process}/fd")  # there may be a hundred thousand: no Path for each
    except OSError:
        return
    for name in ("cwd", "root", "exe", *(f"fd/{descriptor}" for descriptor in descriptors)):
        link = f"{process}/{name}"
        try:
            yield os.readlink(link), link
        except OSError:
            continue


def mount_namespace(process: Path) -> str:
    """Return the id of the mount namespace of a process, such as mnt:[4026531841], "" where it is gone."""
    try:
        return os.readlink(process / "ns/mnt")
    except OSError:
        return ""


def group_of(leader: Process) -> tuple[str, ...]:
    """Return "pid PID (NAME)" for each process of the group that `leader` began, though it may be gone itself."""
    found = []
    for folder in running():
        fields = _fields(folder)
        if len(fields) < 3 or fields[0] in ("Z", "X") or int(fields[2]) != leader.pid:
            continue
        if int(folder.name) == leader.pid and _start_ticks(fields) != leader.start_ticks:
            return ()  # The group is over, and its number was given to another one.
        found.append(named(int(folder.name)))
    return tuple(found)


def ancestors(pid: int) -> tuple[int, ...]:
    """Return the pids of a process's parent, its parent's parent, and so on."""
    found: list[int] = []
    while pid > 1 and (fields := _fields(PROC / str(pid))) and (pid := int(fields[1])) > 0 and pid not in found:
        found.append(pid)
    return tuple(found)


def named(pid: int) -> str:
    """Return "pid PID (NAME)" of a process, with "ended" for the name where it is gone."""
    try:
        name = (PROC / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        name = "ended"
    return f"pid {pid} ({name})"


def _fields(folder: Path) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on, the state (proc(5)): names have brackets."""
    try:
        text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _start_ticks(fields: list[str]) -> int:
    return int(fields[19]) if len(fields) > 19 else 0
