"""`lvmsnap up` and `lvmsnap down`: bring a profile up, and take down all that carries its marks on this host."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache

from lvmsnap.execution import executor, locks, records
from lvmsnap.model.dataclass import replace
from lvmsnap.model.errors import LvmsnapError, StepError, as_ours, refused_after
from lvmsnap.model.facts import Facts
from lvmsnap.model.plan import Plan
from lvmsnap.model.profile import Profile
from lvmsnap.model.target import Loss, Process, Record, Target
from lvmsnap.operations import history, killed_runs, leftovers, passphrases, preparation, sessions
from lvmsnap.operations.history import Known
from lvmsnap.operations.leftovers import Seen
from lvmsnap.operations.sessions import Session
from lvmsnap.planning import planner
from lvmsnap.planning.hook_actions import AFTER_SNAPSHOT
from lvmsnap.planning.identify import as_named_now, find
from lvmsnap.planning.left_alone import left_alone
from lvmsnap.planning.state import State
from lvmsnap.system import reading
from lvmsnap.system.processes import shell_line
from lvmsnap.system.reading import Interest


def up(
    session: Session,
    profile: Profile,
    text: str,
    *,
    replace_old: bool,
    if_down: bool,
    process: Process | None = None,
    replacing: str = "",
) -> Target:
    """Bring the profile up and return what exists then. Raises RefusedError, StepError, ResidueError.

    `process` is the run that it is for: then what a killed run left is taken down first. `replacing` is the command to
    suggest if the profile is up already.
    """
    with sessions.walking(session, profile.name), ExitStack() as stack:
        system = sessions.read_changing(session, sessions.recorded_target(profile.name), profile.groups)
        known, done, secrets = history.look_back(profile.name, profile, system), "", None
        if known.target is not None:
            seen = leftovers.look(known.target, known.record, system)
            leftovers.refuse_at_work(profile.name, seen)
            if if_down and seen.status.state is State.UP:
                session.progress.note(f"{profile.name} is up already")
                return as_named_now(known.target, system)
            if replace_old or (process and known.record and known.record.process):
                _refuse_to_take(known.target, known.record, system)
                preparation.refuse_hopeless(session, profile, known.target, known.record, system)
                secrets = passphrases.ask(session, profile)
                done = take_old(session, profile, known.target, known.record, seen, system)
                system = sessions.read_changing(session, None, profile.groups)
                known = history.look_back(profile.name, profile, system)
        loop_numbers = _keep_loop_devices(profile, system, stack)
        made = _plan(session, profile, replace(system, loop_numbers=loop_numbers), known, done, replacing)
        if secrets is None and (secrets := passphrases.ask(session, profile)):
            # Typing may take a while: what was read before may no longer be true.
            system = sessions.read_changing(session, None, profile.groups)
            known = history.look_back(profile.name, profile, system)
            made = _plan(session, profile, replace(system, loop_numbers=loop_numbers), known, done, replacing)
        _warn(session, made)
        if made.target is None:
            raise LvmsnapError("the plan has no target though every check passed")
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = Record(made.target, text, os.path.abspath(profile.path), system.boot_id, now, process=process)
        return executor.bring_up(made, record, sessions.work(session, secrets=secrets))


def _warn(session: Session, made: Plan) -> None:
    for check in made.checks:
        if check.warning:
            session.progress.warn(f"{check.sentence}; {check.hint}")


def _plan(session: Session, profile: Profile, system: Facts, known: Known, done: str, replacing: str) -> Plan:
    """Return the plan of `up`, with every check passed. Raises RefusedError, StepError if `done` was done before."""
    # LVM's lock may be held now: `up` waits for it when it is needed.
    made = preparation.plan_up(session, profile, system, known, is_locked_later=True, replacing=replacing)
    preparation.refuse_failed(made.checks, done)
    return made


def _keep_loop_devices(profile: Profile, system: Facts, stack: ExitStack) -> tuple[int, ...]:
    """Reserve as many free loop devices as the profile needs; return the numbers to choose from."""
    wanted = sum(backing.loop_device is None for backing in profile.backing_files)
    if not wanted:
        return system.loop_numbers
    kept: list[int] = []
    while len(kept) < wanted:
        free = planner.free_loop_numbers(system, wanted)
        kept.append(stack.enter_context(locks.loop_device(tuple(number for number in free if number not in kept))))
    return tuple(kept)


def take_old(
    session: Session,
    profile: Profile | None,
    target: Target,
    record: Record | None,
    seen: Seen,
    system: Facts,
    *,
    keep_mounted: bool = False,
) -> str:
    """Take down what an earlier `up` left, and say so; warn of its loss, and of what its run left running.

    Whatever else carries the profile's marks is taken down after it, one by one; with `keep_mounted`, not what looks
    properly up. Raises StepError if a refusal stops it after something was taken down.
    """
    # Look for more before anything is changed: if that fails, nothing has been changed yet.
    more = history.more(target.name, lambda: profile, system, target)
    _take_one(session, target, record, seen, system)
    done = f"the old snapshot of {target.name} was taken down"
    while more:
        try:
            system = sessions.read_changing(session, more)
            known = history.look_back(target.name, profile, system, force=True)
            if known.target is None or history.is_same(known.target, target):
                break
            target, seen = known.target, leftovers.look(known.target, known.record, system)
            if keep_mounted and not seen.is_left:
                break
            more = history.more(target.name, lambda: profile, system, target)
            _take_one(session, target, known.record, seen, system)
        except Exception as error:
            raise refused_after(done, as_ours(error)) from error
    return done


def _refuse_to_take(target: Target, record: Record | None, system: Facts) -> None:
    """Raise RefusedError if the target must not be taken down."""
    history.refuse_other_host(target, system)
    history.refuse_unsafe(target, system)
    history.refuse_inactive(target, record, system)
    history.refuse_merging(target, system)


def _take_one(session: Session, target: Target, record: Record | None, seen: Seen, system: Facts) -> None:
    _refuse_to_take(target, record, system)
    if seen.lost:
        session.progress.warn(leftovers.warn_of_lost(target.name, seen.lost))
    name_survivors(session, record, system)
    # A hook's failure is reported, and is no reason to do it all again.
    executor.bring_down(target, record, sessions.work(session), seen.lost)


def name_survivors(session: Session, record: Record | None, system: Facts) -> None:
    """Warn of each process that a killed `lvmsnap run` left running, and add the run's end to the history."""
    killed_runs.keep(record, system.boot_id)
    for process in leftovers.survivors(record, system):
        session.progress.warn(f"{process} is still running: lvmsnap run had started it")


def raise_failed_hooks(name: str, failed: tuple[str, ...]) -> None:
    """Raise StepError if hooks failed while the profile was taken down."""
    if failed:
        raise StepError(f"{name} is down, but {'; '.join(failed)}", hint="do by hand what it should have done")


def forget_reach(target: Target) -> Target:
    """Return the target such that a backing file that is not found counts as gone."""
    return replace(target, loans=tuple(replace(loan, mounted_at="") for loan in target.loans))


def down(session: Session, name: str, load: Callable[[], Profile | None], *, force: bool) -> bool:
    """Take the profile down; return whether anything existed. Raises RefusedError, StepError, ResidueError.

    `load` returns the profile, if there is a valid one; a record makes it unnecessary. Whatever carries the profile's
    marks is taken down, one by one if it is several snapshots. With `force` an unreadable record is ignored, and a
    volume group that is not visible, or a backing file on a filesystem that is not mounted, counts as removed.
    """
    with sessions.walking(session, name):
        recorded, load = sessions.recorded_target(name), cache(load)
        profile = None if recorded else load()
        groups = profile.groups if profile else ()
        system = sessions.read_changing(session, recorded, groups)
        known = history.look_back(name, profile, system, force=force)
        if force and records.is_unreadable(name):
            session.progress.warn(f"the record of {name} cannot be read, and is put aside: relying on LVM's own marks")
        if known.target is None:
            records.remove(name)
            return False
        # Look for more before anything is changed: if that fails, nothing has been changed yet.
        more = history.more(name, load, system, known.target)
        _down_one(session, known.target, known.record, system, force=force)
        while more:
            try:
                system, gone = sessions.read_changing(session, more), known.target
                known = history.look_back(name, load(), system, force=force)
                if known.target is None or history.is_same(known.target, gone):
                    break
                more = history.more(name, load, system, known.target)
                _down_one(session, known.target, known.record, system, force=force)
            except Exception as error:
                raise refused_after(f"one snapshot of {name} was taken down", as_ours(error)) from error
        return True


def _down_one(session: Session, target: Target, record: Record | None, system: Facts, *, force: bool) -> None:
    history.refuse_other_host(target, system)
    if not force:
        history.refuse_unsafe(target, system)
        history.refuse_inactive(target, record, system)
    history.refuse_merging(target, system)
    seen = leftovers.look(target, record, system)
    target = forget_reach(target) if force else target
    focused = reading.focus(system, Interest.of_target(target))
    for line in left_alone(target, find(target, focused, record), focused):
        session.progress.warn(f"left alone: {line}")
    record = _without_unlock(session, record) if force and record else record
    if not seen.run_pid:
        name_survivors(session, record, system)
    _bring_down(session, target, record, system, seen.lost)


def _bring_down(session: Session, target: Target, record: Record | None, system: Facts, lost: Loss | None) -> None:
    """Take it down; if its snapshot was lost, that error takes precedence over all others."""
    failed: LvmsnapError | None = None
    try:
        done = executor.bring_down(target, record, sessions.work(session, first=system), lost)
        raise_failed_hooks(target.name, done)
    except LvmsnapError as error:
        if not lost:
            raise
        failed = error
    if lost:
        raise leftovers.lost_at_down(target.name, lost, failed)


def _without_unlock(session: Session, record: Record) -> Record:
    """Return the record without a due after_snapshot hook: it may never succeed."""
    if AFTER_SNAPSHOT not in record.hooks_due:
        return record
    session.progress.warn(f"not run: the after_snapshot hook: {shell_line(record.target.hooks.after_snapshot)}")
    return replace(record, hooks_due=())
