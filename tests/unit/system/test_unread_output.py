"""What is written to stderr while nobody reads it: the writer goes on, and the reader gets all of it in the end."""

from __future__ import annotations

import fcntl
import os
import pty
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from lvmsnap.system import unread_output
from lvmsnap.system.unread_output import PatientWriter

LINES = [f"line {number} {'x' * 900}" for number in range(150)]
# More than any pipe, socket or terminal takes; that it went on is said through a file that nobody reads meanwhile.
SCRIPT = """
import os, sys
from lvmsnap.system import streams, unread_output
unread_output.PATIENCE_SECONDS = 0.1
streams.prepare()
streams.never_wait_on_stderr()
for number in range(150):
    print(f"line {number} {'x' * 900}", file=sys.stderr)
os.write(int(sys.argv[1]), b"went on")
"""


def read_all(descriptor: int) -> str:
    pieces = []
    with suppress(OSError):  # a terminal that nobody has open any more
        while piece := os.read(descriptor, 65536):
            pieces.append(piece)
    return b"".join(pieces).decode().replace("\r", "")


@pytest.fixture(params=["pipe", "terminal", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """The reader's end and the writer's."""
    if request.param == "socket":
        ours, theirs = socket.socketpair()
        reading, writing = ours.detach(), theirs.detach()
    else:
        reading, writing = os.pipe() if request.param == "pipe" else pty.openpty()
    yield reading, writing
    for one in (reading, writing):
        with suppress(OSError):
            os.close(one)


def test_whoever_writes_goes_on_and_the_reader_gets_all_of_it_in_the_end(ends: tuple[int, int]) -> None:
    reading, writing = ends
    told, telling = os.pipe()
    script = [sys.executable, "-c", SCRIPT, str(telling)]

    with subprocess.Popen(script, stderr=writing, pass_fds=[telling]) as process:
        os.close(writing)
        os.close(telling)
        assert os.read(told, 100) == b"went on"
        assert process.poll() is None

        assert read_all(reading).splitlines() == LINES
    assert process.returncode == 0
    os.close(told)


def test_a_slow_reader_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread_output, "PATIENCE_SECONDS", 0.2)
    reading, writing = os.pipe()
    writer = PatientWriter(writing)
    start = time.monotonic()

    for _ in range(20):
        writer.write(b"x" * 65536)

    assert 0.2 <= time.monotonic() - start < 0.4
    assert writer.is_unread
    assert not fcntl.fcntl(writing, fcntl.F_GETFL) & os.O_NONBLOCK
    os.close(reading)
    os.close(writing)


def test_what_is_too_much_to_keep_is_said_to_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread_output, "PATIENCE_SECONDS", 0.0)
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    writer = PatientWriter(writing)

    for _ in range(2 + unread_output.LARGEST_BYTES // 4096):
        writer.write(b"x" * 4096)
    child = os.fork()
    if not child:
        writer.drain()
        os._exit(0)
    os.close(writing)
    writer.give_up()
    said = read_all(reading)

    assert said.count("x") == unread_output.LARGEST_BYTES + 4096
    assert said.endswith("(4096 bytes of output are left out here: nobody read them)\n")
    os.waitpid(child, 0)
    os.close(reading)


@pytest.mark.parametrize("make", [os.pipe, lambda: [one.detach() for one in socket.socketpair()]])
def test_a_reader_that_is_gone_is_an_error_as_ever(make: Callable[[], tuple[int, int]]) -> None:
    reading, writing = make()
    writer = PatientWriter(writing)
    os.close(reading)

    with pytest.raises(BrokenPipeError):
        writer.write(b"x")
    assert not writer.is_unread
    os.close(writing)
