"""Asks for a passphrase on the terminal that lvmsnap was started from. It is not echoed and not kept anywhere."""

from __future__ import annotations

import os
import select
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TERMINAL = "/dev/tty"
LONGEST_BYTES = 512  # like cryptsetup's own prompt
LOOK_SECONDS = 0.2


def is_there() -> bool:
    """Whether there is a terminal to ask on: a cron job or a systemd unit has none."""
    try:
        os.close(_open())
    except OSError:
        return False
    return True


def ask(question: str, is_stopped: Callable[[], bool]) -> bytes | None:
    """Ask for a line without echo; None if none was given, or if `is_stopped` became true meanwhile.

    Raises OSError if there is no terminal, or it went away.
    """
    descriptor = _open()
    try:
        with _silent(descriptor):
            os.write(descriptor, question.encode(errors="surrogateescape"))
            line = _line(descriptor, is_stopped)
            os.write(descriptor, b"\n")
            return line
    finally:
        os.close(descriptor)


def _open() -> int:
    return os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)


@contextmanager
def _silent(descriptor: int) -> Iterator[None]:
    before = termios.tcgetattr(descriptor)
    silent = list(before)
    silent[3] &= ~termios.ECHO
    # Discard what was typed before the question.
    termios.tcsetattr(descriptor, termios.TCSAFLUSH, silent)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)


def _line(descriptor: int, is_stopped: Callable[[], bool]) -> bytes | None:
    """Read a line, which the terminal delivers whole. A signal only sets a flag, so poll for that."""
    while not is_stopped():
        if select.select([descriptor], [], [], LOOK_SECONDS)[0]:
            read = os.read(descriptor, LONGEST_BYTES + 2)
            return read.removesuffix(b"\n") if read.endswith(b"\n") else None
    return None
