"""What is known of a run at its end: said where somebody listens, kept in its history, and never its failure."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from lvmsnap.cli import parser
from lvmsnap.execution import run_history
from lvmsnap.model.errors import (
    InterruptedBySignalError,
    LvmsnapError,
    Refusal,
    RefusedError,
    StepError,
)
from lvmsnap.model.facts import SnapshotStatus
from lvmsnap.model.past_run import PastRun, Result
from lvmsnap.model.target import Loss
from lvmsnap.model.units import MIB
from lvmsnap.operations import run
from lvmsnap.operations.course import Course, kept
from lvmsnap.operations.sessions import Session
from lvmsnap.operations.user_command import KilledBy, supervise
from lvmsnap.system import device_mapper, programs
from lvmsnap.system.held_signals import Signals
from lvmsnap.system.processes import Runner
from tests import samples
from tests.unit.operations.running import RESIDUE, Notes, World

ARGV = ("/usr/bin/borg", "create", "--password=secret")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run_history, "STATE_DIR", f"{tmp_path}/state")
    monkeypatch.setattr(programs, "which", lambda name, *_: name)
    return tmp_path / "state"


def outcome(notes: Notes | None = None, signals: Signals | None = None) -> PastRun:
    """Run to the end, whatever that is, and return what is kept of it."""
    signals = signals or Signals()
    session = Session(Runner(signals=signals), signals, notes or Notes(), "/etc/lvmsnap", 1)
    begun, raised = Course.of(ARGV), None
    try:
        with kept(session, "nightly", begun):
            begun.exit_code = run.run(session, samples.with_file(""), "", ARGV, replace_old=False, course=begun)
    except (LvmsnapError, KeyboardInterrupt) as error:
        raised = error
    last = run_history.last("nightly")
    assert last
    assert last.exit_code == (getattr(raised, "exit_code", 130) if raised else begun.exit_code)
    return last


@pytest.mark.usefixtures("world")
def test_a_good_run_is_kept_by_the_name_of_its_program_and_no_argument() -> None:
    last = outcome()

    assert (last.command, last.command_status, last.exit_code, last.result) == ("borg", 0, 0, Result.OK)
    assert not last.has_failed
    assert "secret" not in run_history.path("nightly").read_text()


REFUSED = RefusedError((Refusal("x is taken", "give another"),))


@pytest.mark.parametrize(
    ("met", "code", "result", "status", "killed_by"),
    [
        ({"command": 2}, 2, Result.FAILED, 2, ""),
        ({"command": KilledBy(137)}, 137, Result.FAILED, None, "SIGKILL"),
        ({"command": KilledBy(128 + 40)}, 168, Result.FAILED, None, "signal 40"),
        ({"command": 137}, 137, Result.FAILED, 137, ""),
        ({"lost": Loss("it overflowed")}, 124, Result.LOST, 0, ""),
        ({"down": RESIDUE}, 4, Result.FAILED, 0, ""),
        ({"failed_hooks": ("the after_down hook failed",)}, 1, Result.FAILED, 0, ""),
        ({"command": ValueError("a bug")}, 1, Result.NEVER_STARTED, None, ""),
        ({"up": REFUSED}, 125, Result.NEVER_STARTED, None, ""),
        ({"up": StepError("no")}, 125, Result.NEVER_STARTED, None, ""),
        ({"up": RESIDUE}, 4, Result.NEVER_STARTED, None, ""),
        ({"up": InterruptedBySignalError(signal.SIGTERM, "undone")}, 143, Result.INTERRUPTED, None, ""),
    ],
)
def test_however_it_ends_that_is_kept(
    world: World, met: dict[str, object], code: int, result: Result, status: int | None, killed_by: str
) -> None:
    for name, value in met.items():
        setattr(world, name, value)

    last = outcome()

    assert (last.exit_code, last.result) == (code, result)
    assert (last.command_status, last.command_signal) == (status, killed_by)
    assert last.has_failed


@pytest.mark.parametrize("status", [0, KilledBy(143), 2])
@pytest.mark.usefixtures("world")
def test_one_that_a_signal_ended_was_interrupted_whatever_the_command_made_of_it(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    signals = Signals()

    def interrupted(*_: object) -> int:
        signals.received = signal.SIGTERM
        return status

    monkeypatch.setattr(run, "supervise", interrupted)

    last = outcome(signals=signals)

    assert (last.result, last.exit_code) == (Result.INTERRUPTED, status or 143)


def test_the_peak_is_that_of_the_last_moment_before_it_is_taken_down(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = [8 * MIB]
    monkeypatch.setattr(
        device_mapper, "snapshot_status", lambda *_: SnapshotStatus(False, used[0], 64 * MIB, name="vg0/s")
    )

    def command(*_: object) -> int:
        used[0] = 40 * MIB
        return 0

    monkeypatch.setattr(run, "supervise", command)
    world.before_down = lambda _: used.__setitem__(0, 0)
    notes = Notes()

    last = outcome(notes)

    (peak,) = last.snapshots
    assert (peak.peak_bytes, peak.size_bytes, peak.peak_fill_ratio) == (40 * MIB, 64 * MIB, 0.625)
    assert notes.notes == [
        f"borg ended with exit status 0; the run took {last.duration_seconds:.1f} s",
        "peak fill 62.5 % (40 MiB of 64 MiB); `size: 64MiB` would have been enough",
    ]


def test_of_one_that_was_lost_no_size_is_kept_as_enough(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        device_mapper, "snapshot_status", lambda *_: SnapshotStatus(False, 60 * MIB, 64 * MIB, name="vg0/s")
    )
    world.lost, notes = Loss("it overflowed"), Notes()

    last = outcome(notes)

    assert [(peak.peak_fill_ratio, peak.enough_bytes) for peak in last.snapshots] == [(0.9375, 0)]
    assert notes.notes[-1] == "peak fill 93.8 % when last seen (60 MiB of 64 MiB)"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device", "/var/x"), ValueError("x"), MemoryError()])
@pytest.mark.usefixtures("world")
def test_a_history_that_cannot_be_kept_is_a_warning_and_no_failure(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(run_history, "add", fails)
    signals, notes, begun = Signals(), Notes(), Course.of(ARGV)
    session = Session(Runner(signals=signals), signals, notes, "/etc/lvmsnap", 1)

    with kept(session, "nightly", begun):
        begun.exit_code = run.run(session, samples.with_file(""), "", ARGV, replace_old=False, course=begun)

    assert begun.exit_code == 0
    assert notes.notes[-1].startswith("warning: this run of nightly is missing from its history: ")


def test_one_that_was_refused_does_not_complain_of_its_history_too(world: World, state: Path) -> None:
    state.write_text("no directory")
    world.up = REFUSED
    signals, notes = Signals(), Notes()
    session = Session(Runner(signals=signals), signals, notes, "/etc/lvmsnap", 1)

    with pytest.raises(LvmsnapError), kept(session, "nightly", Course.of(ARGV)):
        run.run(session, samples.with_file(""), "", ARGV, replace_old=False)

    assert notes.notes == []


def test_a_wrong_profile_is_kept_and_a_name_that_is_nobodys_is_not(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("volumes: 5\n")
    line = ["--profile-dir", str(tmp_path), "run", "--", "true"]

    codes = [parser.main([*line[:3], name, *line[3:]]) for name in ("wrong", "nobody", "no/name")]

    assert codes == [125, 2, 2]
    assert run_history.names() == ("wrong",)
    assert run_history.read("wrong")[0].result is Result.NEVER_STARTED


@pytest.mark.usefixtures("world")
def test_a_signal_after_the_run_changes_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    add = run_history.add

    def late(name: str, past: PastRun) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        add(name, past)

    monkeypatch.setattr(run_history, "add", late)

    assert outcome().result is Result.OK


@pytest.mark.parametrize(
    ("command", "status", "says"),
    [
        ("exit 7", 7, "sh ended with exit status 7"),
        ("kill -9 $$", 137, "sh was ended by SIGKILL (exit status 137)"),
        ("exit 137", 137, "sh ended with exit status 137"),
    ],
)
def test_how_a_command_failed_is_said_by_name(command: str, status: int, says: str) -> None:
    ended = Course.of(("sh",))

    ended.ended(supervise(("sh", "-c", command), {}, Signals(), lambda: 1.0), 0)
    ended.exit_code = ended.status or 0

    assert (ended.status, ended.complaint("sh")) == (status, says)


def test_one_that_swallowed_a_signal_is_said_to_be_interrupted() -> None:
    ended = replace(Course.of(("sh",)), exit_code=143)
    ended.ended(0, signal.SIGTERM)

    assert ended.complaint("sh") == "interrupted: sh got the signal, and ended with exit status 0"
