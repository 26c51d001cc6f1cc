"""Walks a plan: the only module that changes anything. A failing `up` ends as a `down` does, by what then stands."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from dataclasses import replace
from typing import NoReturn

from lvmsnap.execution import places, records, teardown, verification
from lvmsnap.execution.context import Work, hold_for, run_all
from lvmsnap.execution.records import RecordError
from lvmsnap.execution.teardown import recorded
from lvmsnap.model.errors import (
    FAULTS,
    InterruptedBySignalError,
    LvmsnapError,
    ResidueError,
    StepError,
    explained,
    what_to_do,
)
from lvmsnap.model.plan import Action, Plan, Thing
from lvmsnap.model.profile import Argv
from lvmsnap.model.target import Record, Target
from lvmsnap.planning import hook_actions
from lvmsnap.system import mount_table
from lvmsnap.system.path_facts import file_facts
from lvmsnap.system.processes import shell_line


class _Stopped(Exception):
    """A step failed, or a signal came; what was begun is to be undone."""


def bring_up(plan: Plan, written: Record, work: Work) -> Target:
    """Do every action of an up plan. The record is written first and stays; on failure everything is undone.

    Returns the target as it is up: by now the backing file's inode is known.

    Raises StepError (undone), InterruptedBySignalError (undone) or ResidueError (something is left).
    """
    _write_first(written)
    try:
        work.progress.begin("up", plan.actions)
        for number, action in enumerate(plan.actions, 1):
            work.progress.step(action, number, len(plan.actions))
            written = records.owe(written, hook_actions.due_from(action.thing, written))
            hold_for(action.thing, written.target.vg, work.locks, is_up=True)
            written = _do(action, written, work)
            _stop_on_signal(work)
        records.owe(written, hook_actions.due_when_up(written.target.hooks))
        return written.target
    except FAULTS as error:
        # What was written down may be more than what is known here.
        _roll_back(recorded(written), error, work)
    finally:
        work.locks.release()


def _write_first(written: Record) -> None:
    try:
        records.write(written)
    except FAULTS:
        # It may be in place all the same, and would speak of what was never begun.
        with suppress(*FAULTS):
            records.remove(written.target.name)
        raise


def _do(action: Action, written: Record, work: Work) -> Record:
    start, mounts = time.monotonic(), mount_table.mounts()
    if unsafe := places.exposed(action.thing, written.target):
        work.progress.failed(action, unsafe)
        raise _Stopped(f"{action.summary} was not tried: {unsafe}")
    for argv in action.do:
        if complaint := _run(action, argv, written.target, work):
            work.progress.failed(action, complaint)
            _stop_on_signal(work)
            is_hook = action.thing in hook_actions.THINGS
            what = f"the {action.thing.value} failed" if is_hook else f"{action.summary} failed: {shell_line(argv)}"
            raise _Stopped(f"{what}: {complaint}")
    if action.thing is Thing.AFTER_SNAPSHOT:
        written = records.owe(written, ())
    if action.thing is Thing.FILE:
        written = _learn_file(written)
    missing = verification.not_standing(action, written.target) or places.exposed(action.thing, written.target)
    if missing:
        work.progress.failed(action, missing)
        run_all(places.take_back(action, written.target, mounts), work.runner)
        raise _Stopped(f"{action.summary} had no effect: {missing}")
    work.progress.done(action, time.monotonic() - start)
    if action.thing is Thing.SNAPSHOT:
        written = replace(written, snapshot_uuid=verification.snapshot_uuid(written.target))
        records.write(written)
    if action.thing is Thing.SNAPSHOT and (others := verification.others_on_lent_pv(written.target)):
        work.progress.warn(
            f"{', '.join(others)} was put on the lent space meanwhile; "
            f"before lvmsnap down {written.target.name}: pvmove {verification.loop_device(written.target)}"
        )
    return written


def _run(action: Action, argv: Argv, target: Target, work: Work) -> str:
    """Run one command of an action; return what is wrong, "" where nothing is."""
    if action.thing in hook_actions.THINGS:
        return work.hooks.run(action.thing, argv, target)
    finished = work.runner.run(argv)
    if finished.ok:
        return ""
    # Mounting what ran full only says that no superblock can be read.
    full = verification.overflowed(target) if action.thing is Thing.MOUNT else ""
    return f"{full} ({finished.complaint})" if full else finished.complaint


def _stop_on_signal(work: Work) -> None:
    if work.signals.received:
        raise _Stopped(f"interrupted by {work.signals.name}")


def _learn_file(written: Record) -> Record:
    """Write the new file's inode into the record: from now on it is known by that, not by its name."""
    lent = written.target.lent_pv
    file = file_facts(lent.path) if lent else None
    if lent is None or file is None or not file.is_empty_private:
        return written
    known = replace(lent, inode=file.inode, device=file.device)
    written = replace(written, target=replace(written.target, lent_pv=known))
    records.write(written)
    return written


def _roll_back(written: Record, error: BaseException, work: Work) -> NoReturn:
    why = str(error) if isinstance(error, _Stopped) else explained(error)
    mount = written.target.mount
    # Whatever the profile says of directories that were there before, a failed `up` leaves them there.
    target = replace(written.target, mount=mount and replace(mount, remove_directory=mount.make_directory))
    moved = places.moved_file(target)
    ended = _take_down_or_say(target, written, work, verb="undo", why=why)
    if ended.left:
        raise _residue(why, ended.left, target, work)
    if moved:
        # `down` knows the file once it is back, and has nothing else to look for.
        records.write(replace(written, snapshot_uuid="", hooks_due=()))
        raise _moved(why, moved, target) from error
    number = work.signals.received or (signal.SIGINT if isinstance(error, KeyboardInterrupt) else 0)
    if number:
        raise InterruptedBySignalError(number, f"{why}; everything begun was undone") from error
    todo = (isinstance(error, LvmsnapError) and error.hint) or what_to_do(why)
    raise StepError(why, hint=f"everything begun was undone; {todo}") from error


def bring_down(target: Target, written: Record | None, work: Work, lost: str = "") -> tuple[str, ...]:
    """Take down everything that stands of the target, and its record. Raises ResidueError where something is left.

    `lost` says how its snapshot was lost: it is written down first, for whoever has to try again.
    Returns what went wrong with the hooks around it, which keeps nothing from being taken down. A signal does not stop
    it half-way: it ends with everything taken down, then raises InterruptedBySignalError.
    """
    why = f"{target.name} could not be taken down"
    if written is not None and lost != written.lost:
        written = replace(written, lost=lost)
        with suppress(*FAULTS):
            records.write(written)
    ended = _take_down_or_say(target, written, work, verb="down", why=why)
    if ended.left:
        raise _residue(why, ended.left, target, work)
    if work.signals.received:
        raise InterruptedBySignalError(work.signals.received, f"interrupted by {work.signals.name}; it is all down")
    return ended.failed_hooks


def _take_down_or_say(target: Target, written: Record | None, work: Work, *, verb: str, why: str) -> teardown.TakenDown:
    """Take down; a system that cannot be read half-way is no reason to say that nothing was changed."""
    try:
        return teardown.take_down(target, written, work, verb=verb)
    except RecordError as error:
        raise ResidueError(
            f"{why}; nothing but its record is left: {error.message}",
            residue=(f"record: {records.record_path(target.name)}",),
            commands=(f"lvmsnap down {target.name}",),
            hint=error.hint,
        ) from error
    except FAULTS as error:
        unlocked = _give_back_unseen(target, written, work)
        raise ResidueError(
            f"{why}; what is left is not known, since the system cannot be read: {explained(error)}",
            residue=(f"unknown: whatever of {target.name} stands", *unlocked),
            commands=(f"lvmsnap down {target.name}",),
            hint=f"mend what it says, then lvmsnap down {target.name}: the record is kept",
        ) from error


def _give_back_unseen(target: Target, written: Record | None, work: Work) -> tuple[str, ...]:
    """Run a due after_snapshot though the system cannot be read: a database must not wait for that."""
    argv = target.hooks.after_snapshot
    if written is None or hook_actions.AFTER_SNAPSHOT not in written.hooks_due:
        return ()
    try:
        complaint = work.hooks.run(Thing.AFTER_SNAPSHOT, argv, target)
    except FAULTS as error:
        complaint = explained(error)
    if complaint:
        return (f"the {Thing.AFTER_SNAPSHOT.value} failed: {complaint}",)
    with suppress(*FAULTS):
        records.owe(written, ())
    return ()


def _residue(why: str, left: tuple[Action, ...], target: Target, work: Work) -> ResidueError:
    busy: tuple[str, ...] = ()
    with suppress(*FAULTS):
        busy = work.holders(target) if any(action.thing in (Thing.MOUNT, Thing.SNAPSHOT) for action in left) else ()
    return ResidueError(
        f"{why}; what is left is named below",
        residue=tuple(f"{action.thing.value}: {action.object}" for action in left)
        + tuple(f"held by {action.blocked}" for action in left if action.blocked)
        + tuple(f"held by {holder}" for holder in busy),
        commands=_by_hand(left, target),
        hint=f"lvmsnap down {target.name} tries again; the commands do the same by hand",
    )


def _moved(why: str, moved: str, target: Target) -> ResidueError:
    return ResidueError(
        f"{why}; what is left is named below",
        residue=(f"{Thing.FILE.value}: {moved}",),
        commands=(),
        hint=f"remove it where it is now, or put it back; then lvmsnap down {target.name}",
    )


def _by_hand(left: tuple[Action, ...], target: Target) -> tuple[str, ...]:
    """Return what finishes the work; what comes after something that is blocked is left to lvmsnap."""
    blocked = [action for action in left if action.blocked]
    if not blocked:
        return tuple(shell_line(argv) for action in left for argv in action.undo)
    return (*(shell_line(argv) for action in blocked for argv in action.by_hand), f"lvmsnap down {target.name}")
