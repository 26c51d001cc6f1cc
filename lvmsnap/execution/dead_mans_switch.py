"""The dead man's switch: a process of its own that resumes held origins, whatever happens to lvmsnap.

It is armed before the first origin is held, with all that it needs in locked memory: it reads and writes nothing but
device-mapper's control device and two pipes. It fires when origins have been held for too long, and when the last
process that could resume them is gone.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lvmsnap.model.dataclass import dataclass, field
from lvmsnap.model.errors import LvmsnapError
from lvmsnap.system import apart, device_mapper, dm_tree, processes
from lvmsnap.system.device_mapper import (
    ACTIVE_FLAG,
    CONTROL,
    DEV_STATUS,
    HEADER,
    INACTIVE_FLAG,
    SUSPEND_FLAG,
)
from lvmsnap.system.dm_tree import Tree

# The switch notices a hold a little late, and resuming takes a moment: within five seconds all origins are resumed.
LONGEST_SECONDS = 4.0
# After that, whatever holds an origin again is a late command: it gets no more than this.
AGAIN_SECONDS = 0.5
LOOK_SECONDS = 0.01
# After the last process has ended, one of its calls may still be running in the kernel.
QUIET_SECONDS = 1.0
ANSWER_SECONDS = 30.0
# Once LVM has resumed all, somebody who holds one is taking a snapshot of their own: resuming would break it (dm-thin).
OTHERS_SECONDS = 2.0

# linux/dm-ioctl.h
DEV_SUSPEND, TABLE_CLEAR = 0xC138FD06, 0xC138FD0A

DONE, GOOD = b"d", b"g"
REPORT = struct.Struct("=d?")


@dataclass(frozen=True, slots=True)
class Held:
    """How many seconds writers were held, and whether the switch resumed some origin."""

    seconds: float
    was_let_go: bool


@dataclass(slots=True)
class Switch:
    """An armed switch. Whatever may hold an origin must inherit `control`, its pipe's end; `held` is set at the end.

    Set `is_good` if the command that held the origins succeeded.
    """

    control: int
    is_good: bool = False
    held: Held = field(default=Held(0.0, True))


@contextmanager
def armed(origins: tuple[str, ...]) -> Iterator[Switch]:
    """Have a switch stand by for origins, given by their device-mapper UUIDs. Raises LvmsnapError if that fails."""
    trees = tuple(dm_tree.tree(uuid, device_mapper.devices()) for uuid in origins)
    listening, control = os.pipe()
    answering, report = os.pipe()
    device = os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC)

    def stand_by() -> None:
        os.close(control)
        os.close(answering)
        _stand_by(device, trees, listening, report)

    try:
        pid = processes.fork(stand_by)
    finally:
        for descriptor in (listening, report, device):
            os.close(descriptor)
    switch = Switch(control)
    try:
        if (word := _read(answering, 500)) != DONE:
            raise LvmsnapError(
                f"the dead man's switch cannot be armed: {word.decode(errors='replace') or 'it is gone'}",
                hint="nothing was suspended; in a systemd unit set ProtectControlGroups=no; or `consistent: false`",
            )
        yield switch
    finally:
        with suppress(OSError):
            os.write(control, GOOD if switch.is_good else DONE)
        os.close(control)
        if len(answer := _read(answering, REPORT.size)) == REPORT.size:
            switch.held = Held(*REPORT.unpack(answer))
        os.close(answering)
        with suppress(OSError):
            os.waitpid(pid, 0)


def _read(descriptor: int, most: int) -> bytes:
    """Read the switch's answer, b"" if it is gone, or too late."""
    ready, _, _ = select.select([descriptor], [], [], ANSWER_SECONDS)
    return os.read(descriptor, most) if ready else b""


# --- the switch's own process ---------------------------------------------------------------------------------------


def _stand_by(device: int, trees: tuple[Tree, ...], listening: int, report: int) -> None:
    """Be the switch. It imports and opens nothing after it has reported that it is ready."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    buttons = tuple(_Buttons(device, tree) for tree in trees)
    poll = select.poll()
    poll.register(listening, select.POLLIN)
    if complaint := apart.set_apart():
        os.write(report, complaint.encode()[:500])
        return
    any(one.is_held() for one in buttons)
    os.write(report, DONE)
    held = _watch(buttons, poll, listening)
    with suppress(OSError):  # nobody reads the answer any more
        os.write(report, REPORT.pack(held.seconds, held.was_let_go))


class _Buttons:
    """What can be done to one origin, as prepared device-mapper requests."""

    def __init__(self, device: int, tree: Tree) -> None:
        self._device = device
        self._origin, self._real = _request(tree.origin), _request(tree.real)
        self._below = tuple(_request(uuid) for uuid in tree.below)

    def is_held(self) -> bool:
        """Whether the origin is suspended."""
        return bool(self._flags(self._origin) & SUSPEND_FLAG)

    def let_go(self) -> bool:
        """Resume the origin if it is held, the devices below it first; return whether it was.

        A killed LVM may have loaded a new table: it becomes live only if the -real device below it has a live one.
        """
        for below in self._below:
            if self._flags(below) & SUSPEND_FLAG:
                self._do(DEV_SUSPEND, below)
        flags = self._flags(self._origin)
        if not flags & SUSPEND_FLAG:
            return False
        if flags & INACTIVE_FLAG:
            if self._flags(self._real) & INACTIVE_FLAG:
                self._do(DEV_SUSPEND, self._real)
            if not self._flags(self._real) & ACTIVE_FLAG:
                self._do(TABLE_CLEAR, self._origin)
        self._do(DEV_SUSPEND, self._origin)
        return True

    def _flags(self, request: bytes) -> int:
        return self._do(DEV_STATUS, request)

    def _do(self, command: int, request: bytes) -> int:
        """Make a call without flags, so that DEV_SUSPEND resumes; return the device's flags, 0 if there is none."""
        buffer = bytearray(request)
        try:
            fcntl.ioctl(self._device, command, buffer)
        except OSError:
            return 0
        flags: int = HEADER.unpack_from(buffer)[7]
        return flags


def _request(uuid: str) -> bytes:
    return HEADER.pack(4, 0, 0, HEADER.size, HEADER.size, 0, 0, 0, 0, 0, 0, b"", uuid.encode(), b"")


def _watch(buttons: tuple[_Buttons, ...], poll: select.poll, listening: int) -> Held:
    """Wait for the end, and resume what is held for too long."""
    began, held_seconds, was_let_go = 0.0, 0.0, False
    while not poll.poll(LOOK_SECONDS * 1000):
        now = time.monotonic()
        if not any(one.is_held() for one in buttons):
            began = 0.0
            continue
        began = began or now
        held_seconds = max(held_seconds, now - began)
        if now - began > (AGAIN_SECONDS if was_let_go else LONGEST_SECONDS):
            was_let_go = _let_all_go(buttons) or was_let_go
    word = os.read(listening, 1)
    if word == GOOD and _all_go_on(buttons):
        return Held(held_seconds, was_let_go)
    if word:
        was_let_go = _let_all_go(buttons) or was_let_go
        return Held(held_seconds, was_let_go)
    quiet = time.monotonic()
    while time.monotonic() - quiet < QUIET_SECONDS:
        if _let_all_go(buttons):
            quiet = time.monotonic()
        time.sleep(LOOK_SECONDS)
    return Held(held_seconds, was_let_go=True)


def _all_go_on(buttons: tuple[_Buttons, ...]) -> bool:
    """Whether all origins are resumed, or will be within OTHERS_SECONDS."""
    began = time.monotonic()
    while any(one.is_held() for one in buttons):
        if time.monotonic() - began > OTHERS_SECONDS:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def _let_all_go(buttons: tuple[_Buttons, ...]) -> bool:
    """Resume all that are held; return whether any was."""
    return sum([one.let_go() for one in buttons]) > 0
