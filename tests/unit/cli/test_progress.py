"""Progress as it is heard: a line a step, to who listens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvmsnap.cli import error_view, progress
from lvmsnap.cli.progress import Reporter
from lvmsnap.model.profile import Hooks
from lvmsnap.planning import planner
from lvmsnap.system.processes import Finished
from tests import samples
from tests.unit.cli.seen import golden


def progress_of(verbosity: int, capsys: pytest.CaptureFixture[str]) -> str:
    reporter = Reporter(verbosity)
    (file, space, loop, *_) = planner.plan_up(samples.with_file(), samples.facts(), (samples.PV_UUID,)).actions
    reporter.begin("up", (file, space, loop))
    for number, action in enumerate((file, space), 1):
        reporter.step(action, number, 3)
        reporter.observe(Finished(action.do[0], 0, "", "", 0.25))
        reporter.done(action, 0.25)
    reporter.stalled(loop.do[0], 15.2)
    reporter.failed(loop, "exit 1: no such device")
    reporter.begin("undo", (file,))
    reporter.step(file, 1, 1)
    reporter.done(file, 0.1)
    told = capsys.readouterr()
    assert told.out == ""
    return told.err


def test_progress_is_a_line_a_step_on_stderr_where_somebody_listens(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "is_listened_to", lambda: True)

    golden("progress.txt", progress_of(0, capsys))


@pytest.mark.parametrize("verbosity", [0, -1])
def test_where_nobody_listens_only_warnings_are_heard(verbosity: int, capsys: pytest.CaptureFixture[str]) -> None:
    Reporter(verbosity).note("half of it is done")
    assert capsys.readouterr().err == ""

    Reporter(verbosity).warn("it is 80 % full")
    assert capsys.readouterr().err == "warning: it is 80 % full\n"
    assert progress_of(verbosity, capsys) == "", "the error that follows says how a step failed"


def test_a_step_that_the_next_one_was_to_do_is_not_done_where_that_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "is_listened_to", lambda: True)
    (*_, directory, mount) = planner.plan_up(samples.with_file(), samples.facts(), (samples.PV_UUID,)).actions
    reporter = Reporter()
    reporter.begin("up", (directory, mount))
    reporter.step(directory, 1, 2)
    reporter.done(directory, 0.0)
    reporter.step(mount, 2, 2)
    reporter.failed(mount, "exit 32: no")
    reporter.begin("undo", (mount,))
    reporter.step(mount, 1, 1)
    reporter.done(mount, 0.1)

    assert "mountpoint directory" not in capsys.readouterr().err


def test_a_step_down_that_fails_is_in_the_error_and_heard_at_once_with_v_or_for_a_hook(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hooks = Hooks(after_down=("true",))
    record = replace(samples.record(hooks=hooks), hooks_due=("after_down",))
    (mount, *_, hook) = planner.plan_down(record.target, samples.up_facts(), record).actions
    heard = {}
    for verbosity in (-1, 0, 1):
        reporter = Reporter(verbosity)
        reporter.begin("down", ())
        for action in (mount, hook):
            reporter.failed(action, "it is busy")
        heard[verbosity] = capsys.readouterr().err.count("FAILED")
    assert heard == {-1: 1, 0: 1, 1: 2}


def test_the_journal_is_told_what_is_a_warning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_view, "_goes_to_journal", lambda: True)

    Reporter(0).warn("it is 80 % full")
    Reporter(0).note("half of it is done")

    assert capsys.readouterr().err == "<4>warning: it is 80 % full\nhalf of it is done\n"


def test_verbose_progress_has_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    golden("progress-verbose.txt", progress_of(1, capsys))


def test_quiet_progress_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    told = progress_of(-1, capsys)

    assert told == ""
