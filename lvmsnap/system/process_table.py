"""Identifies processes by more than their pid, which is reused: whether one still runs, what it has open."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from lvmsnap.model.errors import is_used_up
from lvmsnap.model.target import Process

PROC = Path("/proc")

# In /proc/PID/stat: the states of a process that has ended, and PF_KTHREAD (include/linux/sched.h) in its flags.
DEAD = ("Z", "X")
KERNEL_THREAD = 0x00200000


def own() -> Process:
    """Return this process, cached, in case /proc becomes inaccessible later, or no more files can be opened."""
    return _known(os.getpid())


@lru_cache(maxsize=1)
def _known(pid: int) -> Process:
    return identify(pid)


def identify(pid: int) -> Process:
    """Return the process that has this pid now; its start is 0 if it is gone already."""
    return Process(pid, _start_ticks(_fields(PROC / str(pid))))


def is_running(process: Process) -> bool:
    """Whether that process, of this boot, is still running; a zombie is not.

    Raises OSError if something is used up, so that this is not known.
    """
    fields = _fields(PROC / str(process.pid))
    return bool(fields) and fields[0] not in DEAD and _start_ticks(fields) == process.start_ticks


def running() -> list[Path]:
    """Return the directory in /proc of each process that may have something open, sorted by pid.

    Kernel threads, hundreds on a server, and dead processes are left out. If a process's first thread has ended before
    the others, it is the directory of one of those: the first one's shows nothing.
    """
    pids = sorted(int(name) for name in os.listdir(PROC) if name.isascii() and name.isdigit())
    return [PROC / str(pid) for pid in map(_with_something_open, pids) if pid]


def _with_something_open(pid: int) -> int:
    """Return the pid, or the ID of the thread to look at instead, or 0."""
    try:
        os.readlink(f"{PROC}/{pid}/exe")
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ESRCH):
            return pid  # another user's, if we are not root; or its path is too long
        return _without_a_program(pid)
    return pid


def _without_a_program(pid: int) -> int:
    """Do as `_with_something_open` for a process whose exe link leads nowhere.

    That is also so for one that is exiting, and while a silent server blocks that it still has its directories open.
    """
    fields = _fields(PROC / str(pid))
    if len(fields) < 18 or int(fields[6]) & KERNEL_THREAD:
        return 0
    if fields[0] not in DEAD:
        return pid
    return _living_thread(pid) if int(fields[17]) > 1 else 0


def _living_thread(pid: int) -> int:
    try:
        threads = sorted(map(int, os.listdir(f"{PROC}/{pid}/task")))
    except OSError:  # it ended
        return 0
    # Each thread has an unlisted directory beside those of the processes (proc(5)).
    return next((one for one in threads if (fields := _fields(PROC / str(one))) and fields[0] not in DEAD), 0)


def links(process: Path) -> Iterator[tuple[str, str]]:
    """Yield (where it leads, the link itself) for everything a process has open."""
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


def start_of(path: str) -> bytes:
    """Return the first 4096 bytes of a file in /proc. Avoids the overhead of `open`: there may be a hundred thousand.

    Raises OSError.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, 4096)
    finally:
        os.close(file)


def mount_namespace(process: Path) -> str:
    """Return the ID of a process's mount namespace, such as mnt:[4026531841], "" if the process is gone."""
    try:
        return os.readlink(process / "ns/mnt")
    except OSError:
        return ""


def group_of(leader: Process) -> tuple[str, ...]:
    """Return "pid PID (NAME)" for each process of the group that `leader` began, even if the leader is gone."""
    found = []
    for folder in running():
        fields = _fields(folder)
        if len(fields) < 3 or fields[0] in DEAD or int(fields[2]) != leader.pid:
            continue
        if int(folder.name) == leader.pid and _start_ticks(fields) != leader.start_ticks:
            return ()  # The group is gone, and its number was reused.
        found.append(named(int(folder.name)))
    return tuple(found)


def of_session(leader: int) -> tuple[int, ...]:
    """Return the pids of the processes in the session led by `leader` (setsid(2))."""
    found = ((folder, _fields(folder)) for folder in running())
    return tuple(int(folder.name) for folder, fields in found if fields and int(fields[3]) == leader)


def ancestors(pid: int) -> tuple[int, ...]:
    """Return the pids of a process's parent, its parent's parent, and so on."""
    found: list[int] = []
    while pid > 1 and (fields := _fields(PROC / str(pid))) and (pid := int(fields[1])) > 0 and pid not in found:
        found.append(pid)
    return tuple(found)


def named(pid: int) -> str:
    """Return "pid PID (NAME)" for a process, with "ended" for the name if it is gone."""
    try:
        name = (PROC / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        name = "ended"
    return f"pid {pid} ({name})"


def _fields(folder: Path) -> list[str]:
    """Return the fields of /proc/PID/stat from the third, the state, on (proc(5)): names may contain parentheses.

    Raises OSError if something is used up.
    """
    try:
        text = start_of(f"{folder}/stat").decode(errors="replace")
    except OSError as error:
        if is_used_up(error):
            raise
        return []  # it ended
    return text.rpartition(")")[2].split()


def _start_ticks(fields: list[str]) -> int:
    return int(fields[19]) if len(fields) > 19 else 0
