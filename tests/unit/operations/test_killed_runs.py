"""A run that was killed is in the history once what it left is taken down, and only where its end is not known."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from lvmsnap.execution import run_history
from lvmsnap.model.past_run import HOLD, PastRun, Result
from lvmsnap.model.target import Process, Record
from lvmsnap.operations import killed_runs
from lvmsnap.system import process_table
from tests import samples

GONE = Process(os.getpid(), 1)
RECORD = replace(samples.record(), process=GONE, command=Process(1, 1))
KILLED = PastRun(samples.TIME, 0.0, 137, Result.KILLED, "")
BEFORE = PastRun("2024-05-04T02:59:58+00:00", 1.0, 0, Result.OK, "borg", 0)


def test_one_whose_process_is_gone_is_kept_once() -> None:
    for _ in range(3):
        killed_runs.keep(RECORD, samples.BOOT)

    assert run_history.read("nightly") == (KILLED,)


def test_a_hold_is_known_by_having_started_no_other_process() -> None:
    killed_runs.keep(replace(RECORD, command=GONE), samples.BOOT)

    assert run_history.read("nightly") == (replace(KILLED, command=HOLD),)


def test_one_of_an_earlier_boot_is_gone_whatever_process_has_its_number_now() -> None:
    killed_runs.keep(replace(RECORD, process=process_table.own(), boot_id=samples.EARLIER_BOOT), samples.BOOT)

    assert run_history.read("nightly") == (KILLED,)


@pytest.mark.parametrize(
    "record",
    [
        None,
        samples.record(),
        replace(RECORD, command=None),
        replace(RECORD, process=process_table.own()),
    ],
    ids=["no record", "up made it", "its command never began", "it still runs"],
)
def test_what_is_no_killed_run_is_not_kept(record: Record | None) -> None:
    killed_runs.keep(record, samples.BOOT)

    assert run_history.read("nightly") == ()


def test_one_whose_end_is_known_is_not_kept_again_and_earlier_and_later_ones_do_not_count() -> None:
    residue = replace(BEFORE, duration_seconds=60.0, exit_code=4, result=Result.FAILED)
    refused = replace(BEFORE, started="2024-05-04T03:00:20+00:00", exit_code=125, result=Result.NEVER_STARTED)
    just_before = replace(BEFORE, started="2024-05-04T02:59:59.400+00:00", duration_seconds=0.5)
    for known in (replace(BEFORE, duration_seconds=0.5), just_before, refused):
        run_history.add("nightly", known)
    killed_runs.keep(RECORD, samples.BOOT)
    assert run_history.read("nightly")[-1] == KILLED

    run_history.path("nightly").unlink()
    run_history.add("nightly", residue)
    killed_runs.keep(RECORD, samples.BOOT)
    assert run_history.read("nightly") == (residue,)


def test_a_history_that_cannot_be_kept_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_history, "STATE_DIR", "/dev/null/x")

    killed_runs.keep(RECORD, samples.BOOT)
