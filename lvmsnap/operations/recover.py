"""`lvmsnap recover`: finds what a crash or a power cut left of every profile, and takes it down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.errors import (
    InterruptedBySignalError,
    LvmsnapError,
    ResidueError,
    StepError,
    as_ours,
    explained,
    refused_after,
    worst,
)
from lvmsnap.model.facts import Facts
from lvmsnap.model.plan import Plan
from lvmsnap.model.profile import Profile
from lvmsnap.operations import history, leftovers, other_hosts, sessions, up_down
from lvmsnap.operations.history import Known
from lvmsnap.operations.sessions import Session
from lvmsnap.planning import lost_record, planner
from lvmsnap.planning.state import Status
from lvmsnap.system import reading
from lvmsnap.system.reading import Interest


@dataclass(frozen=True, slots=True)
class Recovered:
    """A profile as `recover` found it, and whether it was taken down; `run_pid` is that of a run that is using it."""

    status: Status
    is_taken_down: bool
    run_pid: int = 0


# Loads a profile by its name, None if there is no valid one.
Loader = Callable[[str], Profile | None]


def recover(session: Session, names: tuple[str, ...], load: Loader) -> tuple[Recovered, ...]:
    """Take down what a crash left of the named profiles, else of all; return them as they were found.

    What is properly up is left alone, also what a run is using, and, with a warning, what overflowed: somebody may be
    looking at it. What a killed run left is taken down. A profile that cannot be recovered does not stop the others; it
    is tried again after them, since a group that lacks two lent PVs is whole only once the snapshots on both are gone.
    Raises the worst error at the end.
    """
    with session.signals:
        system = reading.read_system(session.runner, locking=False)
        for note in () if names else other_hosts.notes(system):
            session.progress.warn(note)
        found, failed = _round(session, candidates(session, system, names, load), load)
        if failed:
            first = {id(known): failure for known, failure in failed}
            again, failed = _round(session, tuple(known for known, _ in failed), load)
            failed = [(known, _more_true(first[id(known)], failure)) for known, failure in failed]
            found += again
        for _, failure in failed[1:]:
            session.progress.warn(failure.message)
        if failed:
            code = worst(failure.exit_code for _, failure in failed)
            error = next(failure for _, failure in failed if failure.exit_code == code)
            taken = ", ".join(item.status.name for item in found if item.is_taken_down)
            if taken:
                session.progress.warn(f"taken down: {taken}")
            raise refused_after(f"{taken} taken down" if taken else "", error)
        return tuple(found)


def _round(
    session: Session, all_known: tuple[Known, ...], load: Loader
) -> tuple[list[Recovered], list[tuple[Known, LvmsnapError]]]:
    found: list[Recovered] = []
    failed: list[tuple[Known, LvmsnapError]] = []
    for known in all_known:
        try:
            found += _recover(session, known, load)
        except Exception as error:
            failed.append((known, as_ours(error)))
    return found, failed


def _more_true(first: LvmsnapError, again: LvmsnapError) -> LvmsnapError:
    """Return which failure of two tries to report: a second try that did nothing says nothing about the first one.

    What the first one left counts as left until the second says what is left, or that nothing is.
    """
    if isinstance(again, ResidueError | InterruptedBySignalError):
        return again
    is_first_half_done = isinstance(first, StepError) and not isinstance(again, StepError)
    return first if is_first_half_done or isinstance(first, ResidueError) else again


def _recover(session: Session, known: Known, load: Loader) -> list[Recovered]:
    if known.target is None:
        return []
    name = known.target.name
    with sessions.walking(session, name):
        system = sessions.read_changing(session, known.target)
        now = history.look_back(name, load(name), system, force=True)
        if now.target is None and known.record is not None:
            return []  # Somebody has taken it down meanwhile.
        # A lent PV that no profile claims cannot be found by a name.
        target = now.target or known.target
        seen = leftovers.look(target, now.record, system)
        if seen.is_left:
            up_down.take_old(session, load(name), target, now.record, seen, system, keep_mounted=True)
        elif seen.lost:
            session.progress.warn(leftovers.warn_of_lost(name, seen.lost))
        return [Recovered(seen.status, seen.is_left, seen.run_pid)]


def plan_recover(session: Session, names: tuple[str, ...], load: Loader) -> tuple[tuple[str, Plan], ...]:
    """Return what `recover` would do, a plan for each profile that needs it. Reads only."""
    system = reading.read_system(session.runner, locking=False)
    plans = []
    for known in _with_more(candidates(session, system, names, load), system, load):
        try:
            if known.target is not None and leftovers.look(known.target, known.record, system).is_left:
                focused = reading.focus(system, Interest.of_target(known.target))
                plans.append((known.target.name, planner.plan_down(known.target, focused, known.record)))
        except Exception as error:
            session.progress.warn(f"{known.target.name if known.target else ''}: {explained(error)}")
    return tuple(plans)


def _with_more(all_known: tuple[Known, ...], system: Facts, load: Loader) -> Iterator[Known]:
    """Yield each of them, and after it whatever else carries its name's marks: `recover` takes them down one by one."""
    for known in all_known:
        yield known
        rest, target = system, known.target
        while target is not None:
            try:
                more = history.more(target.name, partial(load, target.name), rest, target)
            except Exception:  # it was already reported when it was first looked for
                break
            if more is None or history.is_same(more, target):
                break
            rest, target = lost_record.without(rest, target), more
            yield Known(more, None)


def candidates(session: Session, system: Facts, names: tuple[str, ...], load: Loader) -> tuple[Known, ...]:
    """Return what is known of every profile that left a record or a mark, and of lent PVs that no profile claims.

    An unreadable record is reported, and only its profile's marks are used.
    """
    known = tuple(_look_back(session, name, load, system) for name in names or sessions.all_names(session, system))
    if names:
        return known
    claimed = {loan.pv_uuid for item in known if item.target for loan in item.target.loans}
    unclaimed = lost_record.unclaimed_targets(system, claimed, system.host) if system.host else ()
    return known + tuple(Known(target, None) for target in unclaimed)


def _look_back(session: Session, name: str, load: Loader, system: Facts) -> Known:
    try:
        return history.look_back(name, load(name), system)
    except Exception as error:
        todo = error.hint if isinstance(error, LvmsnapError) else ""
        session.progress.warn(f"{explained(error)}; LVM's own marks are relied on{f' until then: {todo}' * bool(todo)}")
    try:
        return history.look_back(name, load(name), system, force=True)
    except Exception as error:
        session.progress.warn(f"{name}: {explained(error)}")
        return Known(None, None)
