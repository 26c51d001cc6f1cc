"""`run` as a whole, with what touches the system replaced: which end wins, and that everything goes down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from lvmsnap.execution import records
from lvmsnap.model.errors import (
    InterruptedBySignalError,
    LvmsnapError,
    NotStartedError,
    Refusal,
    RefusedError,
    ResidueError,
    SnapshotLostError,
    StepError,
    ToolError,
)
from lvmsnap.model.target import Loss
from lvmsnap.model.units import MIB
from lvmsnap.operations import loss_watch, own_end, run, watch
from lvmsnap.planning import growth
from lvmsnap.planning.growth import Ask
from lvmsnap.planning.identify import find
from tests import samples
from tests.unit.operations.running import RESIDUE, Notes, World, going


@pytest.mark.parametrize("status", [0, 7, 130])
def test_the_status_is_the_commands_and_all_is_down(world: World, status: int) -> None:
    world.command = status

    assert going() == status
    assert world.done == ["up", "command", "down"]


def test_a_hook_that_failed_at_down_spoils_a_success_but_hides_no_failure(world: World) -> None:
    world.failed_hooks = ("the after_down hook failed: exit 9",)

    with pytest.raises(StepError, match="nightly is down, but the after_down hook failed: exit 9"):
        going()
    world.command = 7
    assert going() == 7


REFUSED = RefusedError((Refusal("x is taken", "give another"),))


@pytest.mark.parametrize("error", [REFUSED, StepError("no"), ToolError("no lvm"), LvmsnapError("?")])
def test_whatever_keeps_up_from_succeeding_keeps_the_command_from_starting(world: World, error: LvmsnapError) -> None:
    world.up = error

    with pytest.raises(NotStartedError) as caught:
        going()
    assert caught.value.exit_code == 125
    assert world.done == ["up"]


@pytest.mark.parametrize("error", [RESIDUE, InterruptedBySignalError(signal.SIGTERM, "undone")])
def test_residue_and_interruption_of_up_keep_their_own_status(world: World, error: LvmsnapError) -> None:
    world.up = error

    with pytest.raises(type(error)):
        going()
    assert world.done == ["up"]


def test_a_program_that_is_not_there_or_not_executable_changes_nothing(world: World, tmp_path: Any) -> None:
    (tmp_path / "text").write_text("")

    with pytest.raises(NotStartedError, match="no such program"):
        going("surely-not-there")
    with pytest.raises(NotStartedError, match="not executable"):
        going(str(tmp_path / "text"))
    assert world.done == []


def test_a_command_that_cannot_start_after_all_has_its_snapshot_taken_down(world: World) -> None:
    world.command = NotStartedError("true: Exec format error")

    with pytest.raises(NotStartedError):
        going()
    assert world.done == ["up", "command", "down"]


def test_a_lost_snapshot_is_124_though_the_command_exits_0(world: World) -> None:
    world.lost = Loss("it overflowed")

    with pytest.raises(SnapshotLostError, match="exited 0, but its snapshot was lost: it overflowed"):
        going()
    assert world.done == ["up", "command", "down"]


def test_of_several_the_one_that_was_lost_is_named_at_once_and_at_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.lost, notes = Loss("it overflowed", "vg0/home"), Notes()
    monkeypatch.setattr(watch.Guards, "is_lost", lambda _: True)
    monkeypatch.setattr(run, "supervise", lambda *given: given[3]() * 0)

    with pytest.raises(SnapshotLostError, match=r"exited 0\.0, but its snapshot of vg0/home was lost: it overflowed"):
        going(notes=notes)
    told = "the snapshot of vg0/home is lost while true runs: it overflowed; do not trust its result"
    assert notes.notes == [f"warning: {told}"]


def test_a_lost_snapshot_that_cannot_be_taken_down_is_124_and_says_what_is_left(world: World) -> None:
    world.lost, world.down = Loss("it overflowed"), RESIDUE

    with pytest.raises(SnapshotLostError) as caught:
        going()
    assert "it overflowed" in caught.value.message
    assert caught.value.residue is RESIDUE


def test_residue_after_a_good_command_is_4(world: World) -> None:
    world.down = RESIDUE

    with pytest.raises(ResidueError):
        going()


@pytest.mark.parametrize("lost", [None, Loss("it overflowed")])
def test_a_signal_while_it_goes_down_does_not_change_the_result(world: World, lost: Loss | None) -> None:
    def interrupt(work: Any) -> None:
        work.signals.received = signal.SIGINT

    world.lost, world.before_down, world.command = lost, interrupt, 5

    if lost:
        with pytest.raises(SnapshotLostError):
            going()
    else:
        assert going() == 5


def test_an_error_of_lvmsnaps_own_while_the_command_runs_still_takes_all_down(world: World) -> None:
    world.command = ValueError("a bug")

    with pytest.raises(
        LvmsnapError, match="true was stopped: an internal error of lvmsnap: ValueError: a bug"
    ) as caught:
        going()
    assert caught.value.exit_code == 1
    assert world.done == ["up", "command", "down"]


@pytest.mark.parametrize("error", [ValueError("x"), MemoryError(), OSError(5, "Input/output error"), KeyError("x")])
def test_what_cannot_be_looked_at_keeps_nothing_from_being_taken_down(
    world: World, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fails(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(own_end, "at_work", fails)
    monkeypatch.setattr(loss_watch, "why_lost", fails)

    with pytest.raises(LvmsnapError) as caught:
        going()
    assert caught.value.exit_code == 1
    assert world.done == ["up", "command", "down"]


def test_an_unreadable_record_keeps_nothing_from_being_taken_down(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: str) -> Any:
        raise records.RecordError("the record cannot be read")

    monkeypatch.setattr(records, "read", fails)

    assert going() == 0
    assert world.done == ["up", "command", "down"]


@pytest.mark.parametrize("error", [ValueError("x"), MemoryError(), OSError(5, "Input/output error")])
def test_whatever_is_raised_before_the_command_began_is_exit_125(world: World, error: BaseException) -> None:
    world.up = error

    with pytest.raises(NotStartedError, match="the command was not started"):
        going()
    assert world.done == ["up"]


def test_a_file_that_grew_without_its_pv_gives_its_extents_first() -> None:
    group = samples.vg(samples.snapshot_lv(chunk_size_bytes=4096), pvs=(samples.DISK, samples.lent_pv()))
    facts = samples.up_facts(group)
    found = find(samples.TARGET, facts)
    (lent,) = found.loans
    assert lent.file is not None
    found = replace(found, loans=(replace(lent, file=replace(lent.file, size_bytes=81 * MIB)),))

    (room,) = growth.plan(samples.TARGET, found, (Ask(1, 100 * MIB, largest_file_bytes=81 * MIB),), facts)

    (made,) = room.growths
    assert (made.extents, room.filling) == (4, ())
    assert [argv[0] for argv in (*room.resizing, *made.commands)] == ["losetup", "pvresize", "lvextend", "lvchange"]


def test_messages_that_nobody_reads_any_more_stop_nothing() -> None:
    code = """
import os
from lvmsnap.cli.error_view import fail
from lvmsnap.cli.progress import Reporter
from lvmsnap.model.errors import StepError
Reporter().note("one")
Reporter().note("two")
raise SystemExit(fail(StepError("three")) + 40)
"""
    reading, writing = os.pipe()
    os.close(reading)

    assert subprocess.run([sys.executable, "-c", code], stderr=writing, check=False).returncode == 41
