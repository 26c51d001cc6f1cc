"""Queries what may never answer, a network filesystem for instance, in a process that is killed then, or abandoned."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from lvmsnap.system import processes

LET_GO_SECONDS = 0.5


def read(argv: tuple[str, ...], seconds: float) -> str | None:
    """Return the output of a program that only reads; None if it cannot be started, is killed, or takes too long."""
    try:
        process = processes.start_reading(argv)
    except OSError:
        return None
    assert process.stdout is not None
    with process.stdout as output:
        printed, is_all = _read_all(output.fileno(), time.monotonic() + seconds)
    if not is_all:
        _let_go(process.pid)
        process.returncode = -signal.SIGKILL  # so that nobody waits for it
    return printed.decode(errors="surrogateescape") if process.wait() >= 0 else None


def ask(look: Callable[[int], None], seconds: float) -> bytes:
    """Have a copy of this process do `look`, which writes what it finds to a descriptor; return what it wrote.

    The copy holds nothing of ours. If it has not ended after `seconds` it is killed, and abandoned if even that does
    not end it. Returns b"" if the fork fails.
    """
    reading, writing = os.pipe()
    try:
        pid = processes.fork(lambda: _look_alone(look, writing))
    except OSError:
        os.close(reading)
        return b""
    finally:
        os.close(writing)
    try:
        return _read_all(reading, time.monotonic() + seconds)[0]
    finally:
        os.close(reading)
        _let_go(pid)


def _look_alone(look: Callable[[int], None], writing: int) -> None:
    """Be the copy. It closes all descriptors: a lock that it inherited would stay held as long as it is stuck."""
    os.setsid()
    os.chdir("/")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(writing, 1)
    for descriptor in (0, 2):
        os.dup2(nowhere, descriptor)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    look(1)


def _read_all(descriptor: int, deadline: float) -> tuple[bytes, bool]:
    """Read up to the end, or until the deadline; return what was read, and whether it is complete."""
    read = b""
    while (left := deadline - time.monotonic()) > 0 and select.select([descriptor], [], [], left)[0]:
        more = os.read(descriptor, 1 << 16)
        if not more:
            return read, True
        read += more
    return read, False


def _let_go(pid: int) -> None:
    """Kill a process that is no longer needed; it may be stuck in the kernel for ever, so do not wait long."""
    deadline = time.monotonic() + LET_GO_SECONDS
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)
        while os.waitpid(pid, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.002)
