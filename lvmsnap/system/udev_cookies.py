"""Finds an LVM command that waits for udev in vain: udev has lost the event, and LVM would wait for ever.

libdevmapper waits on a semaphore, the cookie, that `dmsetup udevcomplete` in udev's rules decrements. That never runs
if /run is full, udev's worker was killed, or the kernel dropped the event. All other LVM commands then wait too.
"""

from __future__ import annotations

import os

from lvmsnap.model.profile import Argv
from lvmsnap.system import process_table

UDEV = "/run/udev"
# It exists while udev has events to handle.
QUEUE = f"{UDEV}/queue"
SEMAPHORES = "/proc/sysvipc/sem"
# libdm-common.c: the upper 16 bits of a cookie's key are DM_COOKIE_MAGIC.
MAGIC = 0x0D4D
# semop and semtimedop, as /proc/PID/syscall shows them (asm/unistd.h).
CALLS = {"x86_64": ("65", "220"), "aarch64": ("193", "192"), "riscv64": ("193", "192")}


def waited_for(leader: int) -> int:
    """Return the cookie that a process of this session waits for although udev's queue is empty; 0 if none."""
    if os.path.exists(QUEUE) or not os.path.isdir(UDEV) or not (cookies := _cookies()):
        return 0
    found = (cookies.get(_semaphore_of(pid), 0) for pid in process_table.of_session(leader))
    return next(filter(None, found), 0)


def completion(cookie: int) -> Argv:
    """Return the command that udev's rules would have run for the lost event."""
    return ("dmsetup", "udevcomplete", f"{cookie:#x}")


def _cookies() -> dict[str, int]:
    """Return each cookie's key by its semaphore id."""
    try:
        with open(SEMAPHORES, encoding="ascii") as table:
            rows = [line.split() for line in table][1:]
    except OSError:
        return {}
    keys = {row[1]: int(row[0]) & 0xFFFFFFFF for row in rows}
    return {semaphore: key for semaphore, key in keys.items() if key >> 16 == MAGIC}


def _semaphore_of(pid: int) -> str:
    """Return the id of the semaphore that a process waits for, "" if it waits for none."""
    try:
        call, first, *_ = process_table.start_of(f"/proc/{pid}/syscall").decode().split()
    except (OSError, ValueError):  # it has ended, or is in no system call
        return ""
    return str(int(first, 16)) if call in CALLS.get(os.uname().machine, ()) else ""
