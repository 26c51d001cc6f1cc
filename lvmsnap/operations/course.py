"""What is learned about a run or hold: reported at its end, and kept in its history. Never makes it fail."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from lvmsnap.execution import run_history
from lvmsnap.model.dataclass import dataclass, replace
from lvmsnap.model.errors import (
    FAULTS,
    InterruptedBySignalError,
    LvmsnapError,
    SnapshotLostError,
    UsageError,
    explained,
)
from lvmsnap.model.past_run import HOLD, PastRun, Peak, Result
from lvmsnap.operations.sessions import Session
from lvmsnap.operations.user_command import KilledBy
from lvmsnap.operations.watch import Guards
from lvmsnap.planning.run_summary import summary


@dataclass(slots=True)
class Course:
    """What is learned while a run or hold lasts; `command` is as in PastRun, `began` by the monotonic clock."""

    command: str
    started: datetime
    began: float
    exit_code: int = 0
    is_started: bool = False
    status: int | None = None
    interrupted_by: int = 0
    guards: Guards | None = None
    peaks: tuple[Peak, ...] = ()

    @classmethod
    def of(cls, argv: tuple[str, ...]) -> Course:
        """Return the course of a run of this command that starts now."""
        return cls(os.path.basename(argv[0]) or argv[0], datetime.now(UTC), time.monotonic())

    @classmethod
    def of_hold(cls) -> Course:
        """Return the course of a hold that begins now: it counts as started once it is up."""
        return cls(HOLD, datetime.now(UTC), time.monotonic())

    def ended(self, status: int, signal_number: int) -> None:
        """Note how the command ended, and which signal lvmsnap received before, 0 for none."""
        self.is_started, self.status, self.interrupted_by = True, status, signal_number

    def look(self) -> None:
        """Note how full the snapshots became: for the last time, before they are taken down. Raises nothing."""
        with suppress(*FAULTS):
            if self.guards:
                self.peaks = self.guards.peaks()

    def complaint(self, command: str) -> str:
        """Say how a command failed."""
        if isinstance(self.status, KilledBy):
            return f"{command} was ended by {self.status.signal_name} (exit status {self.status})"
        if self.interrupted_by and not self.status:
            return f"interrupted: {command} got the signal, and ended with exit status 0"
        return f"{command} ended with exit status {self.exit_code}"


@contextmanager
def kept(session: Session, name: str, course: Course) -> Iterator[None]:
    """Report and keep how the run inside ended: also a refused one, but none whose name or usage was wrong."""
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        if not isinstance(error, UsageError):
            with session.signals:  # everything is over: a signal no longer changes anything
                _keep(session, name, _past_run(course, error))


def _keep(session: Session, name: str, run: PastRun) -> None:
    try:
        for line in summary(run):
            session.progress.note(line)
        run_history.add(name, run)
    except Exception as error:
        # What kept a run from being started is reported anyway, and is usually the cause of this too.
        if run.result is not Result.NEVER_STARTED:
            session.progress.warn(f"this {run.kind} of {name} is missing from its history: {explained(error)}")


def _past_run(course: Course, error: BaseException | None) -> PastRun:
    result = _result(course, error)
    signal_name = course.status.signal_name if isinstance(course.status, KilledBy) else ""
    peaks = course.peaks
    if result is Result.LOST:
        # The highest fill that was seen is less than what was needed.
        peaks = tuple(replace(peak, enough_bytes=0) for peak in peaks)
    return PastRun(
        started=course.started.isoformat(timespec="milliseconds"),
        duration_seconds=round(time.monotonic() - course.began, 1),
        exit_code=_exit_code(course, error),
        result=result,
        command=course.command,
        command_status=None if signal_name else course.status,
        command_signal=signal_name,
        snapshots=peaks,
    )


def _exit_code(course: Course, error: BaseException | None) -> int:
    if error is None:
        return course.exit_code
    if isinstance(error, KeyboardInterrupt):
        return 130
    return error.exit_code if isinstance(error, LvmsnapError) else 1


def _result(course: Course, error: BaseException | None) -> Result:
    if isinstance(error, SnapshotLostError):
        return Result.LOST
    if course.interrupted_by or isinstance(error, InterruptedBySignalError | KeyboardInterrupt):
        return Result.INTERRUPTED
    if not course.is_started:
        return Result.NEVER_STARTED
    return Result.OK if _exit_code(course, error) == 0 else Result.FAILED
