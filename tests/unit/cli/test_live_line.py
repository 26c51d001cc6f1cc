"""The line on a terminal that says what is going on: nothing of it stays, whatever ends it, and no pipe sees it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
import time

import pytest

from lvmsnap.cli import live_line
from lvmsnap.cli.live_line import ERASE
from tests import TOP
from tests.unit.cli.seen import read_to_the_end

BEGIN = """
import argparse, time
from lvmsnap.cli import live_line, parser
from lvmsnap.cli.progress import Reporter
from lvmsnap.model.errors import LvmsnapError
from lvmsnap.planning import planner
from tests import samples
reporter = Reporter()
action = planner.plan_up(samples.with_file(), samples.facts(), (samples.PV_UUID,)).actions[1]
reporter.begin("up", (action,))
"""


def typed(code: str, columns: int = 80, **environment: str) -> str:
    """Run code with stderr on a terminal, and return all that was written there."""
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, columns))
    given = {"PATH": os.environ["PATH"], "TERM": "xterm", **environment}
    done = subprocess.Popen([sys.executable, "-c", BEGIN + code], cwd=TOP, env=given, stderr=follower)
    os.close(follower)
    return read_to_the_end(leader, done)


def screen(told: str) -> list[str]:
    """The lines as the terminal has them in the end: each begins anew where it was erased."""
    return [line.rpartition(ERASE)[2] for line in told.split("\n")]


ENDS = {
    "a note": "reporter.note('words')",
    "a warning": "reporter.warn('words')",
    "a step that is done": "reporter.done(action, 1.0)",
    "a failure": "reporter.failed(action, 'words')",
    "an error of its own": "from lvmsnap.cli import error_view; error_view.fail(LvmsnapError('words'))",
}
SPINNING = "reporter.step(action, 1, 3); time.sleep(0.5); "


@pytest.mark.parametrize("end", ENDS)
def test_what_is_said_next_begins_where_the_line_began(end: str) -> None:
    told = typed(SPINNING + ENDS[end])

    assert "| 1/3 allocate all its blocks" in told
    *said, rest = screen(told)
    assert len(said) == 1
    assert said[0]
    assert "| 1/3" not in said[0]
    assert rest == ""


@pytest.mark.parametrize(
    "ended", ["raise LvmsnapError('words')", "raise ValueError('words')", "raise KeyboardInterrupt", "return 0"]
)
def test_whatever_ends_a_command_leaves_no_frozen_line(ended: str) -> None:
    code = f"""
def status(options):
    {SPINNING}
    {ended}
parser.parse = lambda _: argparse.Namespace(command=status)
parser.main([])
"""
    told = typed(code)

    assert "| 1/3 allocate all its blocks" in told
    assert not any("allocate" in line for line in screen(told)), told
    assert "\x1b[?25l" not in told, "the cursor is never hidden"


def test_it_goes_on_while_nothing_else_happens() -> None:
    told = typed(SPINNING + "reporter.note('done')")

    assert [f"{frame} 1/3" in told for frame in live_line.FRAMES[:2]] == [True, True]


def test_a_line_of_how_it_stands_is_written_over_and_cut_to_the_terminal() -> None:
    told = typed("for n in range(3): reporter.live(f'{n} ' + 'x' * 100)\nlive_line.clear()", columns=40)

    assert told == "".join(f"{ERASE}{n} {'x' * 34}..." for n in range(3)) + ERASE


@pytest.mark.parametrize("kind", ["dumb", ""])
def test_a_terminal_that_cannot_erase_sees_none_of_it(kind: str) -> None:
    assert typed(f"{SPINNING}reporter.live('x'); reporter.note('words')", TERM=kind) == "words\n"


def test_quietly_there_is_none() -> None:
    assert typed(f"reporter = Reporter(-1); {SPINNING}reporter.live('x')") == ""


def test_a_pipe_sees_none_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    live_line.show("x")
    live_line.spin("x")
    time.sleep(0.05)
    live_line.clear()

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("short", 10, "short"),
        ("exactly ten", 11, "exactly ten"),
        ("more than ten", 10, "more th..."),
        ("\u65e5\u672c\u8a9e", 6, "\u65e5\u672c\u8a9e"),
        ("\u65e5\u672c\u8a9e", 5, "..."),
        ("e\u0301" * 5, 5, "e\u0301" * 5),
        ("xyz", 0, ""),
    ],
)
def test_a_text_is_cut_to_so_many_columns(text: str, columns: int, shown: str) -> None:
    assert live_line.cut(text, columns) == shown
