"""The priority of this process: a low one is laid aside for LVM's commands, but not for the user's own.

A backup is often started with nice, ionice or chrt --idle. While origins are held, every writer of the server would
wait for a process that has to wait for everything else.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress

# ioprio_get and ioprio_set (asm/unistd.h); linux/ioprio.h: the class is above the level, which is 4 by default.
CALLS = {"x86_64": (252, 251), "aarch64": (31, 30), "riscv64": (31, 30)}
CLASS_SHIFT, BEST_EFFORT, IDLE, USUAL_LEVEL = 13, 2, 3, 4
OF_PROCESS = 1

_laid_aside: list[Callable[[], object]] = []


def lay_aside() -> None:
    """Run with the usual priority from now on, as far as that is allowed."""
    policy, nice, of_io = os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0), _io_priority()
    if policy in (os.SCHED_IDLE, os.SCHED_BATCH):
        _change(lambda: _set_policy(os.SCHED_OTHER), lambda: _set_policy(policy))
    if nice > 0:
        _change(lambda: _set_nice(0), lambda: _set_nice(nice))
    if _is_low(of_io):
        _change(lambda: _set_io_priority(0), lambda: _set_io_priority(of_io))


def is_laid_aside() -> bool:
    """Whether a low priority was laid aside."""
    return bool(_laid_aside)


def take_up() -> None:
    """Take it up again; for a child that is about to become the user's own command."""
    for back in _laid_aside:
        with suppress(OSError):
            back()


def _change(change: Callable[[], object], back: Callable[[], object]) -> None:
    with suppress(OSError):  # it takes CAP_SYS_NICE
        change()
        _laid_aside.append(back)


def _set_policy(policy: int) -> None:
    os.sched_setscheduler(0, policy, os.sched_param(0))


def _set_nice(nice: int) -> None:
    os.setpriority(os.PRIO_PROCESS, 0, nice)


def _is_low(of_io: int) -> bool:
    kind, level = of_io >> CLASS_SHIFT, of_io & 7
    return kind == IDLE or (kind == BEST_EFFORT and level > USUAL_LEVEL)


def _io_priority() -> int:
    """Return the I/O priority that was set, 0 if none was, or it is not known here."""
    numbers = CALLS.get(os.uname().machine)
    return max(0, ctypes.CDLL(None).syscall(numbers[0], OF_PROCESS, 0)) if numbers else 0


def _set_io_priority(of_io: int) -> None:
    if ctypes.CDLL(None, use_errno=True).syscall(CALLS[os.uname().machine][1], OF_PROCESS, 0, of_io):
        raise OSError(ctypes.get_errno(), "ioprio_set")
