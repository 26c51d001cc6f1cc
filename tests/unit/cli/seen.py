"""What a reader sees: as text, on a terminal, and as it is kept in a file that a test compares."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterable

from lvmsnap.cli import layout
from lvmsnap.cli.layout import Line
from tests import TOP

GOLDEN = TOP / "tests/unit/golden"


class Terminal(io.StringIO):
    """A stream of a terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def shown(lines: Iterable[Line]) -> str:
    stream = io.StringIO()
    layout.show(lines, stream)
    return stream.getvalue()


def golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("LVMSNAP_WRITE_GOLDEN"):
        path.write_text(text)
    assert text.splitlines() == path.read_text().splitlines()


def read_to_the_end(leader: int, done: subprocess.Popen[bytes]) -> str:
    """Return what a program wrote to a terminal whose other end is `leader`, until it ended well."""
    told = b""
    try:
        while part := os.read(leader, 65536):
            told += part
    except OSError:
        pass  # EIO: the other end is closed.
    os.close(leader)
    assert done.wait() == 0, told
    return told.decode().replace("\r\n", "\n")
