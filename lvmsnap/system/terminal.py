"""Asks for a passphrase on the terminal that lvmsnap was started from. Nothing of it is shown or kept anywhere."""

from __future__ import annotations

import os
import select
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TERMINAL = "/dev/tty"
LONGEST_BYTES = 512  # as cryptsetup's own prompt takes it
LOOK_SECONDS = 0.2


def is_there() -> bool:
    """Whether there is a terminal to ask on: not for a job of cron's, nor for a unit of systemd."""
    try:
        os.close(_open())
    except OSError:
        return False
    return True


def ask(question: str, is_stopped: Callable[[], bool]) -> bytes | None:
    """Ask for a line that is not shown; None where none was given, or where `is_stopped` became true meanwhile.

    Raises OSError where there is no terminal, or it went away.
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
    # What was typed before the question is no answer to it.
    termios.tcsetattr(descriptor, termios.TCSAFLUSH, silent)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)


def _line(descriptor: int, is_stopped: Callable[[], bool]) -> bytes | None:
    """Read a line; the terminal gives it whole. A signal only sets a mark, so that is looked at again and again."""
    while not is_stopped():
        if select.select([descriptor], [], [], LOOK_SECONDS)[0]:
            read = os.read(descriptor, LONGEST_BYTES + 2)
            return read.removesuffix(b"\n") if read.endswith(b"\n") else None
    return None
