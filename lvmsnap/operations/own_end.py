"""The end of a run or a hold: what it brought up is taken down, whatever happened meanwhile, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from lvmsnap.execution import executor, records
from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.errors import (
    FAULTS,
    InterruptedBySignalError,
    LvmsnapError,
    RefusedError,
    ResidueError,
    SnapshotLostError,
    StepError,
    explained,
)
from lvmsnap.model.target import Record, Target
from lvmsnap.operations import sessions, up_down
from lvmsnap.operations.sessions import Session
from lvmsnap.system import device_mapper, process_table
from lvmsnap.system.tree_users import at_work

TRIES = 3
PAUSE_SECONDS = 0.5
Outcome = int | LvmsnapError


@dataclass(frozen=True, slots=True)
class Work:
    """What is done while a target is up. What still uses the snapshots afterwards is named, and waited for that long.

    `before_down` is called last before anything is taken down; it raises nothing.
    """

    name: str
    do: Callable[[], Outcome]
    ended: str
    wait_seconds: float
    before_down: Callable[[], None] = lambda: None


def while_up(session: Session, target: Target, work: Work) -> int:
    """Do the work while the target is up, then take the target down, whatever happens; return the work's status.

    Raises what the work returned or failed with, ResidueError if something is left.
    """
    record = _record_of(target)
    outcome: Outcome = LvmsnapError(f"{work.name} was stopped by an internal error of lvmsnap")
    try:
        outcome = work.do()
    except FAULTS as error:
        outcome = LvmsnapError(f"{work.name} was stopped: {explained(error)}")
    finally:
        _take_down(session, target, record, outcome, work)
    if isinstance(outcome, LvmsnapError):
        raise outcome
    return outcome


def _record_of(target: Target) -> Record | None:
    """Return the record that our `up` has just written, None if it cannot be read."""
    with suppress(*FAULTS):
        record = records.read(target.name)
        if record and record.process == process_table.own():
            return record
    return None


def wait_for_users(
    session: Session, target: Target, ended: str, seconds: float, look: Callable[[], float] = lambda: PAUSE_SECONDS
) -> None:
    """Wait at most `seconds` for what is still using the snapshots, and name it; a signal ends the wait.

    `look` is called meanwhile; it returns the most seconds until its next call.
    """
    deadline = time.monotonic() + seconds
    named: tuple[str, ...] = ()
    while (busy := at_work(target)) and time.monotonic() < deadline:
        if session.signals.received:
            break
        if busy != named:
            named = busy
            where = target.tree or ", ".join(mount.mountpoint for mount in target.mounts)
            session.progress.warn(f"{ended}, but {where} is still in use: {'; '.join(busy)}")
        time.sleep(min(PAUSE_SECONDS, look()))


def _take_down(session: Session, target: Target, known: Record | None, outcome: Outcome, work: Work) -> None:
    # The work received the signal. One that arrives from here on is only noted: everything is taken down anyway.
    session.signals.received = 0
    with suppress(*FAULTS):  # it only waits and names
        wait_for_users(session, target, work.ended, work.wait_seconds)
    work.before_down()
    try:
        failed = _bring_down(session, target, known)
        if outcome == 0:
            up_down.raise_failed_hooks(target.name, failed)
    except StepError:
        raise
    except InterruptedBySignalError:
        session.progress.note(f"{session.signals.name} came too late to stop anything: {target.name} is down")
    except FAULTS as failure:
        error = _as_residue(target, failure)
        if not isinstance(outcome, SnapshotLostError):
            raise error from failure
        # A worthless result is the worse news, and has its own exit code.
        outcome.message += f"; and {error.message}"
        outcome.residue = error


def _bring_down(session: Session, target: Target, known: Record | None) -> tuple[str, ...]:
    """Take it down, and try again if something is raised on the way; return what went wrong with hooks.

    `known` is the record as it was before the command began, which may have removed or damaged it.
    """
    for attempt in range(TRIES):
        try:
            with sessions.walking(session, target.name):
                record, why = _read(target.name)
                # A failed try may have removed the snapshot; before the first one only somebody else can have.
                if not _is_ours(target, record, is_begun=attempt > 0):
                    session.progress.warn(f"left alone: {target.name} was taken down, or brought up again, meanwhile")
                    return ()
                if record is None and known is not None:
                    session.progress.warn(f"{why}; {target.name} is taken down as it was recorded before")
                    record = known
                known = None  # this try may run the hooks that are due
                return executor.bring_down(record.target if record else target, record, sessions.work(session))
        except (ResidueError, RefusedError, InterruptedBySignalError):
            raise
        except FAULTS:
            if attempt == TRIES - 1:
                raise
    return ()


def _read(name: str) -> tuple[Record | None, str]:
    """Return the record, or why there is none: an unreadable one must not prevent the teardown."""
    try:
        return records.read(name), f"the record of {name} is gone"
    except FAULTS as error:
        return None, explained(error)


def _is_ours(target: Target, record: Record | None, *, is_begun: bool) -> bool:
    """Whether what exists now is what we brought up, by its record or, without one, by its devices' UUIDs.

    A later `up` has the same names and tags.
    """
    if record is not None:
        return record.process == process_table.own()
    known = {snapshot.dm_uuid for snapshot in target.snapshots} - {""}
    return is_begun or not known or any(device.uuid in known for device in device_mapper.devices())


def _as_residue(target: Target, error: BaseException) -> ResidueError:
    """Return a ResidueError for whatever kept it from being taken down, somebody's lock for instance."""
    if isinstance(error, ResidueError):
        return error
    down = f"lvmsnap down {target.name}"
    why = f"{target.name} could not be taken down: {explained(error)}"
    hint = error.hint if isinstance(error, LvmsnapError) else ""
    return ResidueError(why, residue=(f"anything left of {target.name}",), commands=(down,), hint=hint)
