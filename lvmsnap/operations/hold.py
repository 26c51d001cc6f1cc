"""`lvmsnap hold`: up, guarded until it is stopped, down; for units of other programs that need the snapshot."""

from __future__ import annotations

import select
from collections.abc import Callable

from lvmsnap.execution import hold_marks, records
from lvmsnap.model.errors import InterruptedBySignalError, SnapshotLostError
from lvmsnap.model.profile import Profile
from lvmsnap.model.target import Loss, Target
from lvmsnap.operations import killed_runs, leftovers, own_end, up_down
from lvmsnap.operations.course import Course
from lvmsnap.operations.loss_watch import LossWatch
from lvmsnap.operations.own_end import Outcome, Work
from lvmsnap.operations.sessions import Session
from lvmsnap.planning.state import REMEDIES, State, whose_snapshot
from lvmsnap.system import held_signals, mount_watch, process_table, reading, service_manager

# systemd stops a backup together with its hold, and kills the backup after 90 s.
USERS_SECONDS = 120.0
STOPPED, LOST = "hold is stopped", "the snapshot is lost"


def hold(
    session: Session,
    profile: Profile,
    text: str,
    tell: Callable[[Target], None],
    *,
    replace_old: bool,
    course: Course | None = None,
) -> None:
    """Bring the profile up, report that to `tell` and systemd, guard it until a signal arrives, take it down.

    `course` collects what is learned.

    Raises what `up` raises if it never came up, SnapshotLostError if a snapshot was lost, ResidueError if something is
    left.
    """
    course = course or Course.of_hold()
    with session.signals:
        own = process_table.own()
        again = f"lvmsnap hold {profile.name} --replace"
        target = up_down.up(
            session, profile, text, replace_old=replace_old, if_down=False, process=own, replacing=again
        )

        def work() -> Outcome:
            return _hold(session, profile, target, tell, course)

        own_end.while_up(session, target, Work(f"hold of {target.name}", work, STOPPED, 0, course.look))


def _hold(
    session: Session, profile: Profile, target: Target, tell: Callable[[Target], None], course: Course
) -> Outcome:
    """Guard what is up until a signal arrives or it is lost, then wait for its users; return how the hold ends."""
    if number := session.signals.received:
        return InterruptedBySignalError(number, f"interrupted by {session.signals.name}; everything is taken down")

    def warn(lost: Loss) -> None:
        what = whose_snapshot(target.name, lost)
        session.progress.warn(f"{what} is lost: {lost.how}; do not trust what is read from it")

    watched = LossWatch(session, profile, target, warn)
    course.guards = watched.guards
    try:
        killed_runs.began(target.name, process_table.own())
        hold_marks.write(target.name, process_table.own())
        tell(target)
        course.is_started = True
        service_manager.tell(f"READY=1\nSTATUS={target.name} is up")
        watched.guards.introduce()
        _guard(session, watched)
        if watched.lost:
            hold_marks.remove(target.name)
        service_manager.tell(f"STOPPING=1\nSTATUS={target.name} is being taken down")
        # A second signal ends the wait for its users.
        session.signals.received = 0
        own_end.wait_for_users(session, target, LOST if watched.lost else STOPPED, USERS_SECONDS, watched.look)
        lost = watched.at_the_end()
    finally:
        hold_marks.remove(target.name)
        watched.close()
    return _lost(target, lost) if lost else 0


def _guard(session: Session, watched: LossWatch) -> None:
    """Look repeatedly, and whenever the mount table changes, until a signal arrives or a snapshot is lost."""
    with held_signals.arrivals() as signalled, mount_watch.changes() as remounted:
        while not session.signals.received:
            seconds = watched.look()
            if watched.lost:
                return
            watched.guards.show()
            select.select([signalled], [], [remounted], seconds)


def _lost(target: Target, lost: Loss) -> SnapshotLostError:
    larger = f"; {REMEDIES[lost.how]}, or back up when less is written" if lost.how in REMEDIES else ""
    what = f"{whose_snapshot(target.name, lost)} was lost while it was held: {lost.how}"
    return SnapshotLostError(what, hint=f"do not trust what was read from it{larger}")


def check(session: Session, name: str) -> None:
    """Verify that a hold has the profile up, and none of its snapshots was lost. Raises SnapshotLostError.

    Changes nothing. The hold's mark counts too: the hold also saw losses that no longer show.
    """
    record, mark = records.read(name), hold_marks.read(name)
    if record is None or mark is None or record.process != mark or not process_table.is_running(mark):
        what = f"no hold has {name} up: its snapshot was lost, or the hold was stopped"
        raise SnapshotLostError(what, hint=f"do not trust what was read from it; systemctl status lvmsnap-hold@{name}")
    seen = leftovers.look(record.target, record, reading.read_system(session.runner, locking=False))
    if seen.lost:
        raise _lost(record.target, seen.lost)
    if seen.status.state is not State.UP:
        raise _lost(record.target, Loss(seen.status.problem or f"it is {seen.status.state.value}"))
    if hold_marks.read(name) != mark:
        raise _lost(record.target, Loss("the hold reported the loss"))
