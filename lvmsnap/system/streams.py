"""The three standard streams: missing ones are opened, and one that cannot be written to stops no change."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

USUAL_COLUMNS = 80


def prepare() -> None:
    """Open those of the descriptors 0, 1 and 2 that are closed on /dev/null, and let any text be written.

    A file of ours must never get one of these numbers: children would read from it and write into it. What is written
    to a standard output that was closed fails, as it would without us; a child's goes to /dev/null.
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
        # A file name, or what is typed, may have bytes that the terminal's encoding has not.
        if isinstance(stream, io.TextIOWrapper):
            with suppress(io.UnsupportedOperation):  # it was read from already
                stream.reconfigure(errors="backslashreplace")


def columns() -> int:
    """Return how wide what is printed may be: as COLUMNS has it, else as wide as the terminal of standard output.

    As shutil.get_terminal_size has it; with that come three libraries for compression.
    """
    with suppress(ValueError):
        if (given := int(os.environ.get("COLUMNS", ""))) > 0:
            return given
    return terminal_columns(sys.__stdout__)


def terminal_columns(stream: TextIO | None) -> int:
    """Return how wide the terminal of a stream is; 80 where it has none, or is not open."""
    with suppress(OSError, ValueError):
        return (os.get_terminal_size(stream.fileno()).columns if stream else 0) or USUAL_COLUMNS
    return USUAL_COLUMNS


def give_up(stream: TextIO) -> None:
    """Write no more to a stream that failed: neither what it still holds, nor what comes, and not when we exit."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.dup2(null, stream.fileno(), inheritable=stream.fileno() <= 2)
        finally:
            os.close(null)


def flush(stream: TextIO) -> None:
    """Have written what was printed, where that can be."""
    try:
        stream.flush()
    except (OSError, ValueError):
        give_up(stream)


def answer(text: str) -> None:
    """Print what a change ended in. That nobody can have it is no failure: what was done decides the exit code."""
    try:
        print(text, flush=True)
    except (OSError, ValueError):
        give_up(sys.stdout)
