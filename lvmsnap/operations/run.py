"""`lvmsnap run`: up, the command, down, whatever happens; one that read a lost snapshot never succeeds."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import replace

from lvmsnap.execution import executor, locks, records
from lvmsnap.execution.locks import Waiting
from lvmsnap.model.errors import (
    FAULTS,
    InterruptedBySignalError,
    LvmsnapError,
    NotStartedError,
    RefusedError,
    ResidueError,
    SnapshotLostError,
    StepError,
    explained,
)
from lvmsnap.model.profile import Profile
from lvmsnap.model.target import Loss, Record, Target
from lvmsnap.operations import sessions, up_down
from lvmsnap.operations.sessions import Session
from lvmsnap.operations.stands import Unmounts, look, why_hidden, why_lost
from lvmsnap.operations.user_command import supervise
from lvmsnap.operations.watch import Guards
from lvmsnap.planning import hook_actions
from lvmsnap.planning.state import REMEDIES
from lvmsnap.system import device_mapper, process_table
from lvmsnap.system.tree_users import at_work

STRAGGLER_SECONDS = 30.0
TRIES = 3


def run(session: Session, profile: Profile, text: str, argv: tuple[str, ...], *, replace_old: bool) -> int:
    """Bring the profile up, run the command, take the profile down; return run's exit code.

    Raises NotStartedError where the command never ran, SnapshotLostError where what it read does not count,
    ResidueError where something is left.
    """
    if shutil.which(argv[0]) is None:
        wrong = "not executable" if os.path.lexists(argv[0]) and "/" in argv[0] else "no such program"
        raise NotStartedError(f"{argv[0]}: {wrong}", hint="nothing was changed; give a program that is on the PATH")
    with session.signals:
        own = process_table.own()
        try:
            target = up_down.up(session, profile, text, replace_old=replace_old, if_down=False, process=own)
        except (ResidueError, InterruptedBySignalError):
            raise
        except LvmsnapError as error:
            raise NotStartedError.because(error) from error
        except FAULTS as error:
            raise NotStartedError(f"the command was not started: {explained(error)}") from error
        record = _record_of(target)
        outcome: int | LvmsnapError = LvmsnapError(f"{argv[0]} was stopped by an internal error of lvmsnap")
        try:
            outcome = _run_command(session, profile, target, argv)
        except FAULTS as error:
            outcome = LvmsnapError(f"{argv[0]} was stopped: {explained(error)}")
        finally:
            _take_down(session, target, record, outcome)
        if isinstance(outcome, LvmsnapError):
            raise outcome
        return outcome


def _run_command(session: Session, profile: Profile, target: Target, argv: tuple[str, ...]) -> int | LvmsnapError:
    """Run the command while the snapshot is up; return its exit status, or the error that it is to end in."""
    before, guarded = look(target), Guards(session, profile, target)
    unmounts = [Unmounts(stand.mountpoint) for stand in before]
    losses: list[Loss] = []

    def watch() -> float:
        with suppress(Exception):  # what cannot be seen now is seen when the command has ended, which it is left to do
            if not losses and (lost := why_hidden(before) or (why_lost(before, target) if guarded.is_lost() else None)):
                losses.append(lost)
                what = f"the snapshot{lost.of} is lost while {argv[0]} runs: {lost.how}"
                session.progress.warn(f"{what}; do not trust its result")
        return guarded.look()

    try:
        status = supervise(
            argv, hook_actions.variables(target), session.signals, watch, lambda pid: _keep(target.name, pid)
        )
    except NotStartedError as error:
        return error
    finally:
        unmounted = [watcher.mountpoint for watcher in unmounts if watcher.happened()]
    lost = losses[0] if losses else why_lost(before, target)
    if lost := lost or (Loss(f"{unmounted[0]} was unmounted for a while") if unmounted else None):
        larger = f"; {REMEDIES[lost.how]}, or run it when less is written" if lost.how in REMEDIES else ""
        what = f"{argv[0]} exited {status}, but its snapshot{lost.of} was lost: {lost.how}"
        return SnapshotLostError(what, hint=f"do not trust its result{larger}")
    if session.signals.received and not status:
        return 128 + session.signals.received
    return status


def _keep(name: str, pid: int) -> None:
    """Write the command down, so that what it leaves running can be named where this run is killed."""
    # Whoever holds the lock now takes the profile down.
    with suppress(Exception), locks.profile(name, Waiting(0, lambda _: None)):
        record = records.read(name)
        if record and record.process == process_table.own():
            records.write(replace(record, command=process_table.identify(pid)))


def _record_of(target: Target) -> Record | None:
    """Return the record that this run's `up` has just written, None where it cannot be read."""
    with suppress(*FAULTS):
        record = records.read(target.name)
        if record and record.process == process_table.own():
            return record
    return None


def _take_down(session: Session, target: Target, known: Record | None, outcome: int | LvmsnapError) -> None:
    # The command had the signal. One that comes from here on would only be noted: all goes down anyway.
    session.signals.received = 0
    with suppress(*FAULTS):  # it only waits and names
        _wait_for_stragglers(session, target)
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
        # That the result is worthless is the worse news, and has its own exit code.
        outcome.message += f"; and {error.message}"
        outcome.residue = error


def _bring_down(session: Session, target: Target, known: Record | None) -> tuple[str, ...]:
    """Take it down, and try again where something is raised on the way there; return what went wrong with hooks.

    `known` is the record as it was before the command began, which may have removed or spoilt it.
    """
    for attempt in range(TRIES):
        try:
            with sessions.walking(session, target.name):
                record, why = _read(target.name)
                # A try that failed may have taken the snapshot; before the first one only somebody else can have.
                if not _is_ours(target, record, is_begun=attempt > 0):
                    session.progress.warn(f"left alone: {target.name} was taken down, or brought up again, meanwhile")
                    return ()
                if record is None and known is not None:
                    session.progress.warn(f"{why}; {target.name} is taken down as it was recorded before")
                    record = known
                known = None  # a try that was begun may have run the hooks that were due
                return executor.bring_down(record.target if record else target, record, sessions.work(session))
        except (ResidueError, RefusedError, InterruptedBySignalError):
            raise
        except FAULTS:
            if attempt == TRIES - 1:
                raise
    return ()


def _read(name: str) -> tuple[Record | None, str]:
    """Return the record, or why there is none: one that cannot be read keeps nothing up."""
    try:
        return records.read(name), f"the record of {name} is gone"
    except FAULTS as error:
        return None, explained(error)


def _is_ours(target: Target, record: Record | None, *, is_begun: bool) -> bool:
    """Whether what is there now is what this run brought up, by its record or, without one, by its devices' UUIDs.

    A later `up` has the same names and tags.
    """
    if record is not None:
        return record.process == process_table.own()
    known = {snapshot.dm_uuid for snapshot in target.snapshots} - {""}
    return is_begun or not known or any(device.uuid in known for device in device_mapper.devices())


def _as_residue(target: Target, error: BaseException) -> ResidueError:
    """Return what kept it from being taken down, a lock that somebody held for instance, as what is left."""
    if isinstance(error, ResidueError):
        return error
    down = f"lvmsnap down {target.name}"
    why = f"{target.name} could not be taken down: {explained(error)}"
    hint = error.hint if isinstance(error, LvmsnapError) else ""
    return ResidueError(why, residue=(f"whatever there is of {target.name}",), commands=(down,), hint=hint)


def _wait_for_stragglers(session: Session, target: Target) -> None:
    """Wait, within bounds, for what the command left running in the snapshots; name it."""
    deadline = time.monotonic() + STRAGGLER_SECONDS
    named: tuple[str, ...] = ()
    while (busy := at_work(target)) and time.monotonic() < deadline:
        if session.signals.received:
            break
        if busy != named:
            named = busy
            where = target.tree or ", ".join(mount.mountpoint for mount in target.mounts)
            session.progress.warn(f"the command ended, but {where} is still in use: {'; '.join(busy)}")
        time.sleep(0.5)
