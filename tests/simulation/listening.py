"""Calls lvmsnap's command line in this process, and listens to it as a terminal, a pipe, cron or the journal."""

from __future__ import annotations

import os
import pty
import signal
import sys
import tempfile
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import pytest

from lvmsnap.cli import parser
from tests.heard import TERMINALS, on_screen
from tests.simulation.parts import Killed

Call = Callable[[], int]


def heard(place: str, call: Call, patch: pytest.MonkeyPatch) -> str:
    """Call it, and return what is heard of it at that place, and its exit code."""
    for name in ("JOURNAL_STREAM", "NO_COLOR", "COLUMNS"):
        patch.delenv(name, raising=False)
    if place in TERMINALS:
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", str(TERMINALS[place]))  # rich asks the terminal that the test was started on
        code, told = _on_terminal(TERMINALS[place], call)
        return f"{on_screen(told)}exit code {code}\n"
    patch.setenv("TERM", "")
    with _file() as out, _file() as err:
        if place == "journal":
            stream = os.fstat(err.fileno())
            patch.setenv("JOURNAL_STREAM", f"{stream.st_dev}:{stream.st_ino}")
        code = _with_streams(out, out if place == "cron" else err, call)
        if place == "cron":
            return f"{_content(out)}exit code {code}\n"
        return f"{_content(out)}{_marked(_content(err))}exit code {code}\n"


def _marked(text: str) -> str:
    return "".join(f"stderr: {line}\n" for line in text.splitlines())


def _on_terminal(columns: int, call: Call) -> tuple[int, str]:
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, columns))
    parts: list[bytes] = []
    reader = threading.Thread(target=_read, args=(leader, parts))
    reader.start()
    with os.fdopen(follower, "w", buffering=1, encoding="utf-8") as terminal:
        code = _with_streams(terminal, terminal, call)
    reader.join()
    os.close(leader)
    return code, b"".join(parts).decode()


def _read(leader: int, parts: list[bytes]) -> None:
    try:
        while part := os.read(leader, 65536):
            parts.append(part)
    except OSError:
        pass  # EIO: the other end is closed


def _with_streams(out: TextIO, err: TextIO, call: Call) -> int:
    with pytest.MonkeyPatch.context() as streams:
        streams.setattr(sys, "stdout", out)
        streams.setattr(sys, "stderr", err)
        return call()


@contextmanager
def _file() -> Iterator[TextIO]:
    with tempfile.TemporaryFile("w+", buffering=1, encoding="utf-8") as file:
        yield file


def _content(file: TextIO) -> str:
    file.flush()
    file.seek(0)
    return file.read()


def lvmsnap(arguments: str) -> Call:
    """Return a call of the command line."""

    def call() -> int:
        try:
            return parser.main(arguments.split())
        except Killed:
            return 128 + signal.SIGKILL

    return call
