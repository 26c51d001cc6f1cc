"""`lvmsnap down`: takes down all that bears the marks of one profile on this host."""

from __future__ import annotations

from dataclasses import replace

from lvmsnap.execution import executor, records
from lvmsnap.model.errors import LvmsnapError, as_ours, refused_after
from lvmsnap.model.facts import Facts
from lvmsnap.model.profile import Profile
from lvmsnap.model.target import Record, Target
from lvmsnap.operations import history, leftovers, session
from lvmsnap.operations.session import Session
from lvmsnap.planning.hook_actions import AFTER_SNAPSHOT
from lvmsnap.planning.identify import find, left_alone
from lvmsnap.system import reading
from lvmsnap.system.processes import shell_line
from lvmsnap.system.reading import Interest


def down(working: Session, name: str, loaded: Profile | None, *, force: bool) -> bool:
    """Take the profile down; return whether anything stood. Raises RefusedError, StepError, ResidueError.

    Whatever bears its marks goes, one after the other, where several snapshots do. With `force` an unreadable record
    is ignored, and a volume group that is not to be seen, or a backing file on a filesystem that is not mounted, is
    taken for removed.
    """
    with session.walking(working, name):
        system = session.read_changing(working, session.groups_of(name, loaded))
        known = history.look_back(name, loaded, system, force=force)
        if force and records.is_unreadable(name):
            working.progress.warn(f"the record of {name} cannot be read, and is put aside: going by LVM's own marks")
        if known.target is None:
            records.remove(name)
            return False
        # Whether there is more is asked before anything is changed: nothing that fails there can follow a change.
        more = history.more(name, loaded, system, known.target)
        _down_one(working, known.target, known.record, system, force=force)
        while more:
            try:
                system, gone = session.read_changing(working, (more.vg,)), known.target
                known = history.look_back(name, loaded, system, force=force)
                if known.target is None or history.is_same(known.target, gone):
                    break
                more = history.more(name, loaded, system, known.target)
                _down_one(working, known.target, known.record, system, force=force)
            except Exception as error:
                raise refused_after(f"one snapshot of {name} was taken down", as_ours(error)) from error
        return True


def _down_one(working: Session, target: Target, written: Record | None, system: Facts, *, force: bool) -> None:
    history.refuse_other_host(target, system)
    if not force:
        history.refuse_unsafe(target, system)
        history.refuse_inactive(target, written, system)
    history.refuse_merging(target, system)
    seen = leftovers.look(target, written, system)
    target = session.forget_reach(target) if force else target
    focused = reading.focus(system, Interest.of_target(target))
    for line in left_alone(target, find(target, focused, written), focused):
        working.progress.warn(f"left alone: {line}")
    written = _without_unlock(working, written) if force and written else written
    if not seen.run_pid:
        session.name_survivors(working, written, system)
    _bring_down(working, target, written, system, seen.lost)


def _bring_down(working: Session, target: Target, written: Record | None, system: Facts, lost: str) -> None:
    """Take it down; that its snapshot was lost is the worst of what may be wrong then."""
    failed: LvmsnapError | None = None
    try:
        done = executor.bring_down(target, written, session.work(working, first=system), lost)
        session.raise_failed_hooks(target.name, done)
    except LvmsnapError as error:
        if not lost:
            raise
        failed = error
    if lost:
        raise leftovers.lost_at_down(target.name, lost, failed)


def _without_unlock(working: Session, written: Record) -> Record:
    """Return the record without an after_snapshot hook that is due: it may never succeed."""
    if AFTER_SNAPSHOT not in written.hooks_due:
        return written
    working.progress.warn(f"not run: the after_snapshot hook: {shell_line(written.target.hooks.after_snapshot)}")
    return replace(written, hooks_due=())
