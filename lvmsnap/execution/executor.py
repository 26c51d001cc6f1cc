"""Walks a plan: the only module that changes anything. A failed `up` ends like a `down`, by what exists then."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from typing import NoReturn

from lvmsnap.execution import held_origins, places, records, teardown, verification
from lvmsnap.execution.context import Work, hold_for, run_all
from lvmsnap.execution.records import RecordError
from lvmsnap.model.condition import MappingOpen, MountIncluded, SnapshotMounted, SnapshotTaken
from lvmsnap.model.dataclass import replace
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
from lvmsnap.model.target import Loss, Record, Snapshot, Target
from lvmsnap.planning import hook_actions
from lvmsnap.system import mount_table
from lvmsnap.system.processes import shell_line


class _Stopped(Exception):
    """A step failed, or a signal arrived; everything begun must be undone."""


def bring_up(plan: Plan, record: Record, work: Work) -> Target:
    """Do every action of an up plan. The record is written first and stays; on failure everything is undone.

    Returns the target as it is up: with what is known by now, such as the backing file's inode.

    Raises StepError (undone), InterruptedBySignalError (undone) or ResidueError (something is left).
    """
    _write_first(record)
    try:
        work.progress.begin("up", plan.actions)
        for number, action in enumerate(plan.actions, 1):
            work.progress.step(action, number, len(plan.actions))
            record = records.owe(record, hook_actions.due_from(action, record))
            hold_for(action, work.locks, is_up=True)
            record = _do(action, record, work)
            _stop_on_signal(work)
        records.owe(record, hook_actions.due_when_up(record.target.hooks))
        return record.target
    except FAULTS as error:
        # The record on disk may hold more than what is known here.
        _roll_back(_recorded(record), error, work)
    finally:
        work.locks.release()


def _recorded(record: Record) -> Record:
    """Return the record as it was last written, which says which hooks are due; if it is gone, as it is known here."""
    with suppress(*FAULTS):
        return records.read(record.target.name) or record
    return record


def _write_first(record: Record) -> None:
    try:
        records.write(record)
    except FAULTS:
        # It may be in place all the same, and would describe an `up` that never began.
        with suppress(*FAULTS):
            records.remove(record.target.name)
        raise


def _do(action: Action, record: Record, work: Work) -> Record:
    start, mounts = time.monotonic(), mount_table.mounts()
    if unsafe := places.exposed(action.condition, record.target):
        work.progress.failed(action, unsafe)
        raise _Stopped(f"{action.summary} was not attempted: {unsafe}")
    for argv in action.do:
        if complaint := _run(action, argv, record.target, work):
            work.progress.failed(action, complaint)
            _stop_on_signal(work)
            is_hook = bool(hook_actions.hook_of(action))
            what = f"the {action.thing.value} failed" if is_hook else f"{action.summary} failed: {shell_line(argv)}"
            raise _Stopped(f"{what}: {complaint}")
    record = _write_learned(action, hook_actions.settled_by(action, record), record)
    missing = verification.unmet(action.condition, record.target) or places.exposed(action.condition, record.target)
    if missing:
        work.progress.failed(action, missing)
        run_all(places.take_back(action, record.target, mounts), work.runner)
        raise _Stopped(f"{action.summary} had no effect: {missing}")
    work.progress.done(action, time.monotonic() - start)
    if warning := verification.warning(action.condition, record.target):
        work.progress.warn(warning)
    return record


def _write_learned(action: Action, due: tuple[str, ...], record: Record) -> Record:
    """Record what is known now that the action's commands have run; return the new record."""
    known = replace(record, target=verification.learned(action.condition, record.target), hooks_due=due)
    if known != record:
        records.write(known)
    return known


def _run(action: Action, argv: Argv, target: Target, work: Work) -> str:
    """Run one command of an action; return what is wrong, "" if nothing is."""
    if hook := hook_actions.hook_of(action):
        return work.hooks.run(hook, argv, target)
    if action.holds:
        return held_origins.run(action, argv, work)
    secret = work.secrets.get(action.key)
    finished = work.runner.run(argv) if secret is None else work.runner.run(argv, secret)
    if finished.ok:
        return ""
    why = verification.why_failed(action.condition)
    return f"{why} ({finished.complaint})" if why else finished.complaint


def _stop_on_signal(work: Work) -> None:
    if work.signals.received:
        raise _Stopped(f"interrupted by {work.signals.name}")


def _roll_back(record: Record, error: BaseException, work: Work) -> NoReturn:
    why = str(error) if isinstance(error, _Stopped) else explained(error)
    target = _leaving_directories(record.target)
    moved = places.moved_files(target)
    ended = _take_down_or_say(target, record, work, verb="undo", why=why)
    if ended.left:
        raise _residue(f"{why}; not all could be undone", ended, target, work)
    if moved:
        # `down` recognises the file once it is back, and has nothing else to look for.
        gone = replace(record.target, snapshots=tuple(replace(one, dm_uuid="") for one in record.target.snapshots))
        records.write(replace(record, target=gone, hooks_due=()))
        raise _moved(why, moved, target) from error
    number = work.signals.received or (signal.SIGINT if isinstance(error, KeyboardInterrupt) else 0)
    if number:
        raise InterruptedBySignalError(number, f"{why}; everything begun was undone") from error
    todo = (isinstance(error, LvmsnapError) and error.hint) or what_to_do(why)
    raise StepError(why, hint=f"everything begun was undone; {todo}") from error


def _leaving_directories(target: Target) -> Target:
    """Return the target for an undo: whatever the profile says, a failed `up` leaves directories that existed."""

    def left(snapshot: Snapshot) -> Snapshot:
        mount = snapshot.mount
        return replace(snapshot, mount=mount and replace(mount, remove_directory=mount.make_directory))

    return replace(target, snapshots=tuple(left(snapshot) for snapshot in target.snapshots))


def bring_down(target: Target, record: Record | None, work: Work, lost: Loss | None = None) -> tuple[str, ...]:
    """Take down everything that exists of the target, and its record. Raises ResidueError if something is left.

    `lost` says how a snapshot was lost: it is recorded first, in case `down` has to be tried again.
    Returns what went wrong with the hooks, which does not stop the teardown. Nor does a signal: everything is taken
    down first, then it raises InterruptedBySignalError.
    """
    why = f"{target.name} could not be taken down"
    if record is not None and (how := lost.how if lost else "") != record.lost:
        record = replace(record, lost=how, lost_origin=lost.origin if lost else "")
        records.keep(record)
    ended = _take_down_or_say(target, record, work, verb="down", why=why)
    if ended.left:
        raise _residue(why, ended, target, work)
    if work.signals.received:
        raise InterruptedBySignalError(
            work.signals.received, f"interrupted by {work.signals.name}; everything is taken down"
        )
    return ended.failed_hooks


def _take_down_or_say(target: Target, record: Record | None, work: Work, *, verb: str, why: str) -> teardown.TakenDown:
    """Take down; if the system becomes unreadable half-way, the error must not claim that nothing was changed."""
    try:
        return teardown.take_down(target, record, work, verb=verb)
    except RecordError as error:
        raise ResidueError(
            f"{why}; nothing but its record is left: {error.message}",
            residue=(f"record: {records.record_path(target.name)}",),
            commands=(f"lvmsnap down {target.name}",),
            hint=error.hint,
        ) from error
    except FAULTS as error:
        unlocked = _give_back_unseen(target, record, work)
        raise ResidueError(
            f"{why}; what is left is not known, since the system cannot be read: {explained(error)}",
            residue=(f"unknown: anything left of {target.name}", *unlocked),
            commands=(f"lvmsnap down {target.name}",),
            hint=f"fix the reported problem, then lvmsnap down {target.name}: the record is kept",
        ) from error


def _give_back_unseen(target: Target, record: Record | None, work: Work) -> tuple[str, ...]:
    """Run a due after_snapshot although the system cannot be read: a database must not wait for that."""
    argv = target.hooks.after_snapshot
    record = record and _recorded(record)
    if record is None or hook_actions.AFTER_SNAPSHOT not in record.hooks_due:
        return ()
    try:
        complaint = work.hooks.run(hook_actions.AFTER_SNAPSHOT, argv, target)
    except FAULTS as error:
        complaint = explained(error)
    if complaint:
        return (f"the {Thing.AFTER_SNAPSHOT.value} failed: {complaint}",)
    records.keep(replace(record, hooks_due=()))
    return ()


def _residue(why: str, ended: teardown.TakenDown, target: Target, work: Work) -> ResidueError:
    left, holders = ended.left, _holders(ended.left, target, work)
    held = tuple(f"held by {action.blocked}" for action in left if action.blocked)
    # The commands' messages are only shown, or left out if the holders explain it better.
    is_in_use = bool(holders) and not held and all("busy" in one or "in use" in one for one in ended.complaints)
    because = "it is in use" if is_in_use else "; ".join(ended.complaints)
    hint = f"lvmsnap down {target.name} tries again; the commands do the same by hand"
    if is_in_use:
        first = "end that, or wait until it ends" if all(one.startswith("pid ") for one in holders) else "remove that"
        hint = f"{first}, then lvmsnap down {target.name}; with -v it lists what is left, and the commands to finish"
    else:
        held += tuple(f"held by {holder}" for holder in holders)
    return ResidueError(
        f"{why}: {because}" if because else why,
        residue=(*(f"{action.thing.value}: {action.object}" for action in left), *held),
        commands=_by_hand(left, target),
        hint=hint,
        holders=holders if is_in_use else (),
    )


def _holders(left: tuple[Action, ...], target: Target, work: Work) -> tuple[str, ...]:
    """Return who uses a snapshot or an include that is left."""
    used = SnapshotMounted | MappingOpen | SnapshotTaken | MountIncluded
    with suppress(*FAULTS):
        if any(isinstance(action.condition, used) for action in left):
            return work.holders(target)
    return ()


def _moved(why: str, moved: tuple[str, ...], target: Target) -> ResidueError:
    return ResidueError(
        f"{why}; what is left is named below",
        residue=tuple(f"{Thing.FILE.value}: {file}" for file in moved),
        commands=(),
        hint=f"remove it where it is now, or put it back; then lvmsnap down {target.name}",
    )


def _by_hand(left: tuple[Action, ...], target: Target) -> tuple[str, ...]:
    """Return the commands that finish the work; after a blocked action, lvmsnap does the rest."""
    blocked = [action for action in left if action.blocked]
    if not blocked:
        return tuple(shell_line(argv) for action in left for argv in action.undo)
    return (*(shell_line(argv) for action in blocked for argv in action.by_hand), f"lvmsnap down {target.name}")
