"""Nothing is imported after the first change: an upgrade may replace lvmsnap, and what it uses, in mid-run."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress

import pytest

from tests import TOP
from tests.unit.test_architecture import modules

WAYS = {
    ("up", ""): 0,
    ("up", "fails"): 1,
    ("up", "fails for ever"): 4,
    ("down", ""): 0,
    ("run", ""): 0,
    ("run", "breaks"): 125,
    ("run", "lost"): 124,
    ("recover", ""): 0,
}
ALL_IMPORTED = """
import sys
from lvmsnap.cli import beforehand
beforehand.import_all()
print(*sys.modules)
"""


def on_a_terminal(argv: list[str]) -> str:
    """Run a command on a terminal of its own; return all that it prints there."""
    ours, its = pty.openpty()
    with subprocess.Popen(argv, cwd=TOP, stdin=its, stdout=its, stderr=its, start_new_session=True):
        os.close(its)
        printed = b""
        with suppress(OSError):  # EIO: nobody has the terminal open any more
            while piece := os.read(ours, 4096):
                printed += piece
    os.close(ours)
    return printed.decode()


def in_a_pipe(argv: list[str]) -> str:
    return subprocess.run(argv, cwd=TOP, capture_output=True, text=True, check=True).stdout


def ended(printed: str) -> str:
    """Return the line that names the exit code, and what was imported late; a spinner may be beside it."""
    return next(line for line in printed.splitlines() if line.startswith("exit "))


@pytest.mark.parametrize(("command", "fault"), WAYS)
def test_nothing_is_imported_after_the_first_change(command: str, fault: str) -> None:
    printed = on_a_terminal([sys.executable, "-m", "tests.simulation.late_imports", command, fault])

    assert ended(printed) == f"exit {WAYS[command, fault]}"


@pytest.mark.parametrize(("command", "fault"), [("up", "fails"), ("run", "lost")])
def test_nor_is_it_in_a_pipe(command: str, fault: str) -> None:
    printed = in_a_pipe([sys.executable, "-m", "tests.simulation.late_imports", command, fault])

    assert ended(printed) == f"exit {WAYS[command, fault]}"


def test_every_module_of_lvmsnap_and_what_it_reads_profiles_with_is_imported_beforehand() -> None:
    done = subprocess.run([sys.executable, "-c", ALL_IMPORTED], cwd=TOP, capture_output=True, text=True, check=True)

    needed = {"yaml", "traceback", *(f"lvmsnap.{module}" for module in modules())}
    assert needed - set(done.stdout.split()) == set()
