"""A killed run or hold could not record its end: whoever takes down what it left adds that to its history."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from lvmsnap.execution import locks, records, run_history
from lvmsnap.execution.locks import Waiting
from lvmsnap.model.dataclass import replace
from lvmsnap.model.past_run import HOLD, PastRun, Result
from lvmsnap.model.target import Process, Record
from lvmsnap.system import process_table

# The exit status that a shell reports after SIGKILL.
EXIT_CODE = 137


def began(name: str, command: Process) -> None:
    """Record the command that a run started, or the hold itself: needed if it is killed later. Raises nothing."""
    # If somebody holds the lock now, they are taking the profile down.
    with suppress(Exception), locks.profile(name, Waiting(0, lambda _: None)):
        record = records.read(name)
        if record and record.process == process_table.own():
            records.write(replace(record, command=command))


def keep(record: Record | None, boot_id: str) -> None:
    """Add to the history that the run or hold of this record was killed, unless its end is known. Raises nothing.

    Only one that began its work has a command in its record. `boot_id` is that of the present boot.
    """
    with suppress(Exception):
        if record is None or record.process is None or record.command is None:
            return
        if record.boot_id == boot_id and process_table.is_running(record.process):
            return
        if not any(_is_of(run, record) for run in run_history.read(record.target.name)):
            # Nobody knows when it was killed, nor the name of a run's command.
            command = HOLD if record.command == record.process else ""
            run_history.add(record.target.name, PastRun(record.time, 0.0, EXIT_CODE, Result.KILLED, command))


def _is_of(run: PastRun, record: Record) -> bool:
    """Whether the record is of this run: the run wrote it between its start and its end.

    The next run may begin within the second in which this one ended, so both times are in milliseconds.
    """
    began, up = datetime.fromisoformat(run.started).astimezone(UTC), datetime.fromisoformat(record.time)
    return began <= up <= began + timedelta(seconds=run.duration_seconds)
