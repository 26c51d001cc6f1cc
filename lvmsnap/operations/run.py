"""`lvmsnap run`: up, the command, down, whatever happens; a command that read a lost snapshot never succeeds."""

from __future__ import annotations

from lvmsnap.model.errors import (
    FAULTS,
    InterruptedBySignalError,
    LvmsnapError,
    NotStartedError,
    ResidueError,
    SnapshotLostError,
    explained,
    what_is_used_up,
)
from lvmsnap.model.profile import Profile
from lvmsnap.model.target import Loss, Target
from lvmsnap.operations import killed_runs, own_end, up_down
from lvmsnap.operations.course import Course
from lvmsnap.operations.loss_watch import LossWatch
from lvmsnap.operations.own_end import Outcome, Work
from lvmsnap.operations.sessions import Session
from lvmsnap.operations.user_command import supervise
from lvmsnap.planning import hook_actions
from lvmsnap.planning.state import REMEDIES
from lvmsnap.system import process_table, programs
from lvmsnap.system.processes import shell_line

STRAGGLER_SECONDS = 30.0


def run(
    session: Session,
    profile: Profile,
    text: str,
    argv: tuple[str, ...],
    *,
    replace_old: bool,
    course: Course | None = None,
) -> int:
    """Bring the profile up, run the command, take the profile down; return run's exit code.

    `course` collects what is learned about the run.

    Raises NotStartedError if the command never ran, SnapshotLostError if what it read is worthless, ResidueError if
    something is left.
    """
    course = course or Course.of(argv)
    wrong, todo = programs.problem(argv)
    if wrong:
        raise NotStartedError(f"{argv[0]}: {wrong}", hint=f"nothing was changed; {todo}")
    with session.signals:
        own = process_table.own()
        try:
            again = f"lvmsnap run {profile.name} --replace -- {shell_line(argv)}"
            target = up_down.up(
                session, profile, text, replace_old=replace_old, if_down=False, process=own, replacing=again
            )
        except (ResidueError, InterruptedBySignalError):
            raise
        except LvmsnapError as error:
            raise NotStartedError.because(error) from error
        except FAULTS as error:
            hint = what_is_used_up(error) if isinstance(error, OSError) else ""
            raise NotStartedError(f"the command was not started: {explained(error)}", hint=hint) from error

        def command() -> Outcome:
            return _run_command(session, profile, target, argv, course)

        work = Work(argv[0], command, "the command ended", STRAGGLER_SECONDS, course.look)
        return own_end.while_up(session, target, work)


def _run_command(session: Session, profile: Profile, target: Target, argv: tuple[str, ...], course: Course) -> Outcome:
    """Run the command while the snapshot is up; return its exit status, or the error to raise in the end."""

    def tell(lost: Loss) -> None:
        what = f"the snapshot{lost.of} is lost while {argv[0]} runs: {lost.how}"
        session.progress.warn(f"{what}; do not trust its result")

    def began(pid: int) -> None:
        course.is_started = True
        killed_runs.began(target.name, process_table.identify(pid))

    watched = LossWatch(session, profile, target, tell)
    course.guards = watched.guards
    try:
        status = supervise(argv, hook_actions.variables(target), session.signals, watched.look, began)
        course.ended(status, session.signals.received)
        lost = watched.at_the_end()
    except NotStartedError as error:
        return error
    finally:
        watched.close()
    if lost:
        larger = f"; {REMEDIES[lost.how]}, or run it when less is written" if lost.how in REMEDIES else ""
        what = f"{argv[0]} exited {status}, but its snapshot{lost.of} was lost: {lost.how}"
        return SnapshotLostError(what, hint=f"do not trust its result{larger}")
    if session.signals.received and not status:
        return 128 + session.signals.received
    return status
