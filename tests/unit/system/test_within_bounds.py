"""What may never answer is asked by somebody who can be left behind."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path

import pytest

from lvmsnap.system import within_bounds


def test_what_a_program_prints_is_read_unless_it_takes_too_long_or_is_not_there() -> None:
    assert within_bounds.read(("sh", "-c", "pwd; echo x >&2; exit 1"), 30.0) == "/\n"
    assert within_bounds.read(("no-such-program",), 30.0) is None
    assert within_bounds.read(("sh", "-c", "echo some; kill -KILL $$"), 30.0) is None
    began = time.monotonic()
    assert within_bounds.read(("sh", "-c", "echo begun; exec sleep 60"), 0.2) is None
    assert time.monotonic() - began < 20


def test_what_was_printed_in_time_is_returned_and_the_rest_not_waited_for() -> None:
    def look_for_long(output: int) -> None:
        os.write(output, b"seen\n")
        time.sleep(60)

    def see_much(output: int) -> None:
        for _ in range(999):
            os.write(output, b"x" * 1000)

    began = time.monotonic()

    assert within_bounds.ask(look_for_long, 3.0) == b"seen\n"
    assert within_bounds.ask(see_much, 30.0) == b"x" * 999_000
    assert within_bounds.ask(lambda _: os._exit(1), 3.0) == b""
    assert time.monotonic() - began < 40


def test_whoever_is_asked_holds_no_descriptor_of_ours(tmp_path: Path) -> None:
    def held(output: int) -> None:
        os.write(output, " ".join(sorted(os.listdir("/proc/self/fd"))).encode())

    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # The last is what the directory is read by.
        assert within_bounds.ask(held, 3.0) == b"0 1 2 3"


def test_whoever_cannot_be_killed_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(output: int) -> None:
        os.write(output, str(os.getpid()).encode())
        time.sleep(60)

    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", lambda *_: None)
        patch.setattr(within_bounds, "LET_GO_SECONDS", 0.1)
        pid = int(within_bounds.ask(look, 3.0))

    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
