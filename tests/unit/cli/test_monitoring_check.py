"""`status --check` is one line and an exit code that monitoring systems know, whatever happens."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lvmsnap.cli import monitoring_check, parser
from lvmsnap.model.past_run import HOLD, PastRun, Result
from lvmsnap.planning.state import State, Status

UP = Status("nightly", State.UP, "vg0/s", 4 << 30, 12.34)
RAN = PastRun("2024-05-03T03:00:00+00:00", 723.4, 0, Result.OK, "borg", 0)


def told(*statuses: Status, are_named: bool = False) -> monitoring_check.Verdict:
    return monitoring_check.verdict(statuses, are_named=are_named)


def held(result: Result, code: int) -> Status:
    return replace(UP, last_run=replace(RAN, result=result, exit_code=code, command=HOLD, command_status=None))


def ran(result: Result, code: int) -> Status:
    return replace(UP, state=State.DOWN, fill_percent=None, last_run=replace(RAN, result=result, exit_code=code))


def test_all_is_well() -> None:
    idle = Status("idle", State.DOWN, last_run=RAN)

    assert told(UP, idle) == (0, "nightly is up, idle is down", "nightly=12.3%")
    assert told() == (0, "no profiles and no lvmsnap snapshots on this machine", "")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (replace(UP, state=State.STALE), 1, "nightly is stale: left by an earlier boot: lvmsnap recover cleans it up"),
        (replace(UP, state=State.PARTIAL, problem="missing: mount"), 1, "(missing: mount)"),
        (replace(UP, state=State.MERGING), 1, "nightly is merging"),
        (replace(UP, state=State.FOREIGN), 1, "nightly is foreign"),
        (replace(UP, state=State.DOWN, problem="its profile is invalid"), 1, "nightly: its profile is invalid"),
        (replace(UP, state=State.LOST), 2, "nightly is lost"),
        (ran(Result.FAILED, 2), 1, "nightly: the last run, of 2024-05-03T03:00:00+00:00, failed: borg (exit 2)"),
        (ran(Result.NEVER_STARTED, 125), 1, "never started its command"),
        (ran(Result.INTERRUPTED, 143), 1, "was interrupted (exit 143)"),
        (ran(Result.KILLED, 137), 1, "was killed, or the power failed"),
        (ran(Result.LOST, 124), 2, "lost its snapshot"),
        (
            held(Result.LOST, 124),
            2,
            "the last hold, of 2024-05-03T03:00:00+00:00, lost its snapshot: do not trust what was read",
        ),
        (held(Result.NEVER_STARTED, 3), 1, "the last hold, of 2024-05-03T03:00:00+00:00, never came up"),
        (held(Result.FAILED, 4), 1, "failed: lvmsnap hold (exit 4)"),
    ],
)
def test_what_is_wrong_is_named_with_its_exit_code(status: Status, code: int, words: str) -> None:
    found, line, _ = told(status, are_named=True)

    assert found == code
    assert words in line


def test_the_worst_decides_and_is_named_first() -> None:
    code, line, _ = told(UP, replace(UP, name="a", state=State.STALE), replace(UP, name="b", state=State.LOST))

    assert code == 2
    assert line.index("b is lost") < line.index("a is stale")
    assert "nightly is" not in line


def test_what_another_host_has_on_a_shared_disk_is_no_problem_unless_it_is_asked_for() -> None:
    theirs = Status("theirs", State.FOREIGN, problem="made on another host")

    assert told(UP, theirs)[0] == 0
    assert told(theirs, are_named=True)[0] == 1


def test_nothing_makes_a_second_line_or_false_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    code = monitoring_check.answer(lambda: told(replace(UP, problem="/srv/a\n    | b=7%\x1b[31m | x")))

    assert code == 1
    assert capsys.readouterr().out == "LVMSNAP WARNING - nightly: /srv/a / b=7%\\x1b[31m / x | nightly=12.3%\n"


def test_whatever_keeps_it_from_being_known_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> monitoring_check.Verdict:
        raise OSError(5, "Input/output error", "/etc/lvmsnap")

    assert monitoring_check.answer(fail) == 3
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("LVMSNAP UNKNOWN - ")
    assert "Input/output error" in line


def test_a_line_that_cannot_be_written_is_unknown_and_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert monitoring_check.answer(lambda: told(UP)) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status", "--check", "--chekc"], "--chekc"),
        (["status", "--check", "--json"], "--json"),
        (["status", "--check", "--history"], "cannot be combined"),
        (["status", "--check", "No Name"], "is not the name of a profile"),
    ],
)
def test_wrong_usage_is_unknown_too(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert parser.main(arguments) == 3

    out, err = capsys.readouterr()
    assert out.startswith("LVMSNAP UNKNOWN - ")
    assert words in out
    assert (len(out.splitlines()), err) == (1, "")


def test_who_is_not_root_knows_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    assert parser.main(["status", "--check"]) == 3
    assert "needs root" in capsys.readouterr().out
