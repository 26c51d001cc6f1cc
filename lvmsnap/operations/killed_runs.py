"""A run or hold that was killed wrote no line of its end: whoever takes down what it left adds it to its history."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from lvmsnap.execution import locks, records, run_history
from lvmsnap.execution.locks import Waiting
from lvmsnap.model.dataclass import replace
from lvmsnap.model.past_run import HOLD, PastRun, Result
from lvmsnap.model.target import Process, Record
from lvmsnap.system import process_table

# As a shell reports what SIGKILL ended.
EXIT_CODE = 137


def began(name: str, command: Process) -> None:
    """Write down what a run started, or a hold itself: killed from here on, it is kept and named. Raises nothing."""
    # Whoever holds the lock now takes the profile down.
    with suppress(Exception), locks.profile(name, Waiting(0, lambda _: None)):
        record = records.read(name)
        if record and record.process == process_table.own():
            records.write(replace(record, command=command))


def keep(record: Record | None, boot_id: str) -> None:
    """Keep that the run or hold which the record is of was killed, unless its end is known. Raises nothing.

    Only one that began its work has that in its record. `boot_id` is of the present boot.
    """
    with suppress(Exception):
        if record is None or record.process is None or record.command is None:
            return
        if record.boot_id == boot_id and process_table.is_running(record.process):
            return
        if not any(_is_of(run, record) for run in run_history.read(record.target.name)):
            # When it was killed nobody knows, nor what a run's command was called.
            command = HOLD if record.command == record.process else ""
            run_history.add(record.target.name, PastRun(record.time, 0.0, EXIT_CODE, Result.KILLED, command))


def _is_of(run: PastRun, record: Record) -> bool:
    """Whether this is the run that the record is of: it wrote that between its start and its end.

    The next run may begin in the second in which that one ended: both times are in milliseconds.
    """
    began, up = datetime.fromisoformat(run.started).astimezone(UTC), datetime.fromisoformat(record.time)
    return began <= up <= began + timedelta(seconds=run.duration_seconds)
