"""The three standard streams: missing ones are opened, and one that cannot be written to does not stop a change."""

from __future__ import annotations

import atexit
import io
import os
import sys
from contextlib import suppress
from typing import TextIO

from lvmsnap.system import unread_output

USUAL_COLUMNS = 80


def prepare() -> None:
    """Open /dev/null on any of the descriptors 0, 1 and 2 that is closed, and make any text writable.

    A file of ours must never get one of these numbers: children would read from it and write to it. Our own writes to a
    closed standard output fail as they would without this; those of children go to /dev/null.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)))
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(os.open(os.devnull, os.O_RDONLY), "w")))
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.BufferedWriter(io.FileIO(2, "w", closefd=False)), line_buffering=True)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        # A file name, or typed text, may contain bytes that the terminal's encoding does not have.
        if isinstance(stream, io.TextIOWrapper):
            with suppress(io.UnsupportedOperation):  # it was read from already
                stream.reconfigure(errors="backslashreplace")


def never_wait_on_stderr() -> None:
    """Never block on writing to stderr from now on; at exit, wait until everything has been read."""
    sys.stderr = unread_output.made_patient(sys.stderr)
    atexit.register(_drain)


def never_wait_on_stdout() -> None:
    """Never block on writing to stdout from now on, in a command that goes on working after its answer."""
    sys.stdout = unread_output.made_patient(sys.stdout)


def _drain() -> None:
    for stream in (sys.stdout, sys.stderr):
        if writer := unread_output.patient_writer(stream):
            flush(stream)
            with suppress(OSError):
                writer.drain()


def columns() -> int:
    """Return the width for output: COLUMNS, else that of the terminal on standard output.

    shutil.get_terminal_size does the same, but imports three compression libraries.
    """
    with suppress(ValueError):
        if (given := int(os.environ.get("COLUMNS", ""))) > 0:
            return given
    return terminal_columns(sys.__stdout__)


def terminal_columns(stream: TextIO | None) -> int:
    """Return the width of a stream's terminal; 80 if it has none, or is not open."""
    with suppress(OSError, ValueError):
        return (os.get_terminal_size(stream.fileno()).columns if stream else 0) or USUAL_COLUMNS
    return USUAL_COLUMNS


def give_up(stream: TextIO) -> None:
    """Discard everything for a stream that failed: what is buffered, what comes later, and the flush at exit."""
    if writer := unread_output.patient_writer(stream):
        writer.give_up()
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.dup2(null, stream.fileno(), inheritable=stream.fileno() <= 2)
        finally:
            os.close(null)


def flush(stream: TextIO) -> None:
    """Flush a stream; give it up if that fails."""
    try:
        stream.flush()
    except (OSError, ValueError):
        give_up(stream)


def answer(text: str) -> None:
    """Print the result of a change. If that fails it is no error: what was done decides the exit code."""
    try:
        print(text, flush=True)
    except (OSError, ValueError):
        give_up(sys.stdout)
