"""`hold` as a whole, with what touches the system replaced: what it says when, which end wins, that all goes down."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lvmsnap.execution import hold_marks, records, run_history
from lvmsnap.model.errors import (
    InterruptedBySignalError,
    LvmsnapError,
    Refusal,
    RefusedError,
    ResidueError,
    SnapshotLostError,
    StepError,
)
from lvmsnap.model.facts import SnapshotStatus
from lvmsnap.model.past_run import Result
from lvmsnap.model.target import Loss, Process, Target
from lvmsnap.model.units import MIB
from lvmsnap.operations import given_snapshots, hold, killed_runs, leftovers, loss_watch, own_end, up_down, watch
from lvmsnap.operations.course import Course, kept
from lvmsnap.operations.leftovers import Seen
from lvmsnap.operations.sessions import Session
from lvmsnap.planning.state import State, Status
from lvmsnap.system import device_mapper, process_table, reading, service_manager
from lvmsnap.system.held_signals import Signals
from lvmsnap.system.processes import Runner
from tests import samples
from tests.unit.operations.running import RESIDUE, Notes, World

GOOD = ["up", "told", "READY=1", "STOPPING=1", "down"]


@pytest.fixture
def held(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """A hold that gets TERM the first time that its guard looks; `done` says what was told to systemd when."""

    def look(_: Any) -> float:
        os.kill(os.getpid(), signal.SIGTERM)
        return 60

    monkeypatch.setattr(hold_marks, "RUN_DIR", str(tmp_path))
    monkeypatch.setattr(service_manager, "tell", lambda state: world.done.append(state.partition("\n")[0]))
    monkeypatch.setattr(loss_watch, "why_hidden", lambda _: None)
    monkeypatch.setattr(own_end, "at_work", lambda _: ())
    monkeypatch.setattr(watch.Guards, "look", look)
    return world


def holding(world: World, notes: Notes | None = None, tell: Callable[[Target], None] | None = None) -> None:
    session = Session(Runner(), Signals(), notes or Notes(), "/etc/lvmsnap", 1)
    told = tell or (lambda _: world.done.append("told"))
    course = Course.of_hold()
    with kept(session, "nightly", course):
        hold.hold(session, samples.with_file(""), "", told, replace_old=False, course=course)


def past(result: Result, exit_code: int) -> bool:
    """Whether the history has that as the only hold, or the last one."""
    last = run_history.last("nightly")
    assert last
    return (last.command, last.kind, last.command_status) == ("lvmsnap hold", "hold", None) and (
        last.result,
        last.exit_code,
    ) == (result, exit_code)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_is_ready_once_it_is_up_and_says_that_it_stops_before_it_goes_down(
    held: World, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def look(_: Any) -> float:
        os.kill(os.getpid(), number)
        return 60

    monkeypatch.setattr(watch.Guards, "look", look)

    holding(held)

    assert held.done == GOOD
    assert hold_marks.read("nightly") is None
    assert past(Result.OK, 0)


def test_a_signal_is_noticed_at_once_though_the_guard_need_not_look(
    held: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks: list[Process | None] = []

    def stop() -> None:
        marks.append(hold_marks.read("nightly"))
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(watch.Guards, "look", lambda _: 60)
    began, timer = time.monotonic(), threading.Timer(0.3, stop)
    timer.start()

    holding(held)

    assert time.monotonic() - began < 20
    assert held.done == GOOD
    assert marks == [process_table.own()]


def test_a_lost_snapshot_ends_it_with_124_and_no_word_stands_for_it_any_more(
    held: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks: list[Process | None] = []
    held.lost, notes = Loss("it overflowed", "vg0/home"), Notes()
    monkeypatch.setattr(watch.Guards, "is_lost", lambda _: True)
    monkeypatch.setattr(watch.Guards, "look", lambda _: 60)
    monkeypatch.setattr(service_manager, "tell", lambda _: marks.append(hold_marks.read("nightly")))

    with pytest.raises(
        SnapshotLostError, match="nightly's snapshot of vg0/home was lost while it was held: it overflowed"
    ):
        holding(held, notes)

    assert held.done == ["up", "told", "down"]
    assert marks == [process_table.own(), None]
    assert notes.notes[0].startswith("warning: nightly's snapshot of vg0/home is lost: it overflowed; do not trust")
    assert past(Result.LOST, 124)


def test_what_was_unmounted_for_a_moment_is_lost(held: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch.Guards, "look", lambda _: 60)
    monkeypatch.setattr(given_snapshots.Unmounts, "happened", lambda _: True)

    with pytest.raises(SnapshotLostError, match="was unmounted for a while"):
        holding(held)
    assert held.done == GOOD


def test_a_loss_that_only_shows_at_the_end_is_124_too(held: World) -> None:
    held.lost = Loss("it overflowed")

    with pytest.raises(SnapshotLostError):
        holding(held)


def test_a_lost_snapshot_that_cannot_be_taken_down_is_124_and_says_what_is_left(held: World) -> None:
    held.lost, held.down = Loss("it overflowed"), RESIDUE

    with pytest.raises(SnapshotLostError) as caught:
        holding(held)
    assert caught.value.residue is RESIDUE


def test_residue_and_failed_hooks_have_their_own_codes(held: World) -> None:
    held.failed_hooks = ("the after_down hook failed: exit 9",)
    with pytest.raises(StepError, match="after_down"):
        holding(held)
    held.down = RESIDUE
    assert past(Result.FAILED, 1)
    with pytest.raises(ResidueError):
        holding(held)
    assert past(Result.FAILED, 4)


REFUSED = RefusedError((Refusal("x is taken", "give another"),))


@pytest.mark.parametrize("error", [REFUSED, RESIDUE, InterruptedBySignalError(15, "undone"), StepError("no")])
def test_what_never_was_up_was_never_ready_and_ends_as_up_does(held: World, error: LvmsnapError) -> None:
    held.up = error

    with pytest.raises(type(error)):
        holding(held)
    assert held.done == ["up"]
    is_interrupted = isinstance(error, InterruptedBySignalError)
    assert past(Result.INTERRUPTED if is_interrupted else Result.NEVER_STARTED, error.exit_code)


def test_a_signal_as_up_ends_takes_it_down_again_and_it_never_was_ready(
    held: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def up(*_: Any, **__: Any) -> Target:
        os.kill(os.getpid(), signal.SIGHUP)
        return samples.TARGET

    monkeypatch.setattr(up_down, "up", up)

    with pytest.raises(InterruptedBySignalError) as caught:
        holding(held)
    assert caught.value.exit_code == 129
    assert held.done == ["down"]


@pytest.mark.parametrize("error", [ValueError("x"), OSError(28, "No space left on device")])
def test_where_it_cannot_be_said_that_it_is_up_it_goes_down(held: World, error: Exception) -> None:
    def fails(_: Target) -> None:
        raise error

    with pytest.raises(LvmsnapError, match="hold of nightly was stopped") as caught:
        holding(held, tell=fails)
    assert caught.value.exit_code == 1
    assert held.done == ["up", "down"]
    assert hold_marks.read("nightly") is None


def test_users_are_named_and_waited_for_while_the_guard_goes_on_and_a_second_signal_ends_that(
    held: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    notes = Notes()

    def look(_: Any) -> float:
        looks.append(time.monotonic())
        if len(looks) in (1, 4):
            os.kill(os.getpid(), signal.SIGTERM)
        return 0.01

    monkeypatch.setattr(watch.Guards, "look", look)
    monkeypatch.setattr(own_end, "at_work", lambda _: ("pid 7 (tar)",))

    holding(held, notes)

    assert len(looks) == 4
    warned = "warning: hold is stopped, but /run/lvmsnap/nightly is still in use: pid 7 (tar)"
    assert notes.notes == [warned, "the hold took 0.0 s"]
    assert held.done == GOOD


def test_users_are_not_waited_for_beyond_the_bound(held: World, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []

    def look(_: Any) -> float:
        looks.append(time.monotonic())
        if len(looks) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return 0.01

    monkeypatch.setattr(hold, "USERS_SECONDS", 0.2)
    monkeypatch.setattr(own_end, "at_work", lambda _: ("pid 7 (tar)",))
    monkeypatch.setattr(watch.Guards, "look", look)

    holding(held)

    assert 0.1 < looks[-1] - looks[0] < 10
    assert held.done == GOOD


# --- hold NAME --check ------------------------------------------------------------------------------------------------

OWN = process_table.own()
GONE = Process(OWN.pid, OWN.start_ticks + 1)


def checking(monkeypatch: pytest.MonkeyPatch, state: State, lost: Loss | None = None, problem: str = "") -> None:
    seen = Seen(Status("nightly", state, problem=problem), lost, OWN.pid, is_left=False)
    monkeypatch.setattr(reading, "read_system", lambda *_, **__: samples.facts())
    monkeypatch.setattr(leftovers, "look", lambda *_: seen)
    hold.check(Session(Runner(), Signals(), Notes(), "/etc/lvmsnap", 1), "nightly")


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A record, and a mark, of this process."""
    monkeypatch.setattr(hold_marks, "RUN_DIR", str(tmp_path))
    monkeypatch.setattr(records, "read", lambda _: replace(samples.record(), process=OWN))
    hold_marks.write("nightly", OWN)


@pytest.mark.usefixtures("marked")
def test_what_is_held_and_well_passes_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    checking(monkeypatch, State.UP)


@pytest.mark.usefixtures("marked")
@pytest.mark.parametrize(
    ("state", "lost", "says"),
    [
        (State.LOST, Loss("it overflowed"), "it overflowed"),
        (State.PARTIAL, None, "it is partial"),
        (State.STALE, None, "it is stale"),
    ],
)
def test_what_is_lost_does_not_pass_though_the_hold_has_not_seen_it_yet(
    monkeypatch: pytest.MonkeyPatch, state: State, lost: Loss | None, says: str
) -> None:
    with pytest.raises(SnapshotLostError, match=says):
        checking(monkeypatch, state, lost)


@pytest.mark.usefixtures("marked")
@pytest.mark.parametrize("of", ["no record", "no word", "another's word", "its process is gone", "an up's record"])
def test_without_a_hold_that_runs_and_says_so_nothing_passes(monkeypatch: pytest.MonkeyPatch, of: str) -> None:
    if of == "no record":
        monkeypatch.setattr(records, "read", lambda _: None)
    elif of == "no word":
        hold_marks.remove("nightly")
    elif of == "another's word":
        hold_marks.write("nightly", Process(1, 1))
    elif of == "its process is gone":
        hold_marks.write("nightly", GONE)
        monkeypatch.setattr(records, "read", lambda _: replace(samples.record(), process=GONE))
    else:
        monkeypatch.setattr(records, "read", lambda _: samples.record())

    with pytest.raises(SnapshotLostError, match="no hold has nightly up"):
        checking(monkeypatch, State.UP)


@pytest.mark.usefixtures("marked")
def test_a_word_that_is_taken_back_while_it_is_looked_at_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    given = iter((OWN, None))
    monkeypatch.setattr(hold_marks, "read", lambda _: next(given))

    with pytest.raises(SnapshotLostError, match="the hold reported the loss"):
        checking(monkeypatch, State.UP)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff", b"x" * 9000])
def test_a_mark_that_makes_no_sense_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes) -> None:
    monkeypatch.setattr(hold_marks, "RUN_DIR", str(tmp_path))
    hold_marks.path("nightly").write_bytes(content)

    assert hold_marks.read("nightly") is None


def test_it_says_what_it_guards_and_in_the_end_how_full_that_became(
    held: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = SnapshotStatus(False, 40 * MIB, 64 * MIB, name="vg0/s")
    monkeypatch.setattr(device_mapper, "snapshot_status", lambda *_: seen)
    notes = Notes()

    holding(held, notes)

    assert held.done == GOOD
    assert notes.notes == [
        "guarding vg0/s, 62.5 % of 64 MiB used: warns at 70 %, extends at 80 %",
        "the hold took 0.0 s",
        "peak fill 62.5 % (40 MiB of 64 MiB); `size: 64MiB` would have been enough",
    ]
    last = run_history.last("nightly")
    assert last
    assert [one.peak_bytes for one in last.snapshots] == [40 * MIB]


def test_a_hold_that_is_up_has_itself_in_its_record_so_that_its_being_killed_is_kept(
    held: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[tuple[str, Process]] = []
    monkeypatch.setattr(killed_runs, "began", lambda *of: began.append(of))

    holding(held)

    assert began == [("nightly", process_table.own())]


def test_what_else_is_in_the_process_group_of_a_killed_hold_is_none_of_its_doing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process_table, "group_of", lambda _: ("pid 7 (tee)",))
    beside = replace(samples.record(), process=OWN, command=OWN)

    assert leftovers.survivors(beside, samples.facts()) == ()
    assert leftovers.survivors(replace(beside, process=GONE), samples.facts()) == ("pid 7 (tee)",)
