"""The end of a run beside a later `up`: it takes down what is its own alone, and knows its record."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from lvmsnap.execution import executor, locks, records
from lvmsnap.model.target import Process, Record, Target
from lvmsnap.operations import killed_runs, up_down
from lvmsnap.system import device_mapper, process_table
from tests import samples
from tests.unit.operations.running import LATER, OWN, Notes, World, going


@pytest.mark.parametrize(
    ("record", "device", "is_taken_down"),
    [
        (replace(samples.record(), process=process_table.own()), OWN, True),
        (replace(samples.record(), process=Process(1, 1)), LATER, False),
        (samples.record(), LATER, False),
        (None, OWN, True),
        (None, LATER, False),
        (None, "", False),
    ],
    ids=["its own record", "another run's", "an up's", "lost", "lost, of a later up", "lost, and nothing there"],
)
def test_a_run_takes_down_what_is_its_own_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, record: Record | None, device: str, is_taken_down: bool
) -> None:
    monkeypatch.setattr(records, "read", lambda _: record)
    monkeypatch.setattr(device_mapper, "devices", lambda: (samples.dm("x", device),) if device else ())
    monkeypatch.setattr(up_down, "up", lambda *_, **__: samples.target(dm_uuid=OWN))

    going()

    assert ("down" in world.done) is is_taken_down


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (None, "the record of nightly is gone"),
        (records.RecordError("the record cannot be read: x"), "the record cannot be read: x"),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
    ids=["gone", "garbled", "disk"],
)
def test_a_record_that_the_command_lost_is_known_all_the_same_and_that_is_reported(
    world: World, monkeypatch: pytest.MonkeyPatch, now: BaseException | None, says: str
) -> None:
    kept = replace(samples.record(), process=process_table.own(), hooks_due=("before_down", "after_down"))
    given: list[Record | None] = []
    notes = Notes()

    def read(_name: str) -> Record | None:
        if "command" not in world.done:
            return kept
        if now:
            raise now
        return None

    def down(_target: Target, record: Record | None, _work: Any) -> tuple[str, ...]:
        given.append(record)
        if len(given) == 1:
            raise ValueError("a first try that may have run the hooks")
        return ()

    monkeypatch.setattr(records, "read", read)
    monkeypatch.setattr(executor, "bring_down", down)

    assert going(notes=notes) == 0
    assert given == [kept, None]
    assert notes.notes == [f"warning: {says}; nightly is taken down as it was recorded before"]


def test_a_later_record_is_not_told_of_this_runs_command(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Record] = []
    monkeypatch.setattr(locks, "profile", lambda *_: nullcontext((3,)))
    monkeypatch.setattr(records, "write", written.append)
    for process in (Process(1, 1), None, process_table.own()):
        monkeypatch.setattr(records, "read", lambda _, process=process: replace(samples.record(), process=process))
        killed_runs.began("nightly", process_table.own())

    assert [record.process for record in written] == [process_table.own()]
