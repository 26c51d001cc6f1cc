"""`lvmsnap recover`: finds what a crash or a power cut left of every profile, and takes it down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lvmsnap import executor, facts, history, marks, planner, record, session
from lvmsnap.errors import LvmsnapError
from lvmsnap.facts import Interest
from lvmsnap.history import Known
from lvmsnap.model import Plan, Profile
from lvmsnap.session import Session
from lvmsnap.status import State, Status
from lvmsnap.system import Facts

RECOVERED = (State.PARTIAL, State.STALE)

# Loads a profile by its name, None where there is no valid one.
Loader = Callable[[str], Profile | None]


def recover(working: Session, names: tuple[str, ...], load: Loader) -> tuple[Status, ...]:
    """Take down what a crash left of the named profiles, else of all; return their states as they were found.

    What is properly up is left alone, and what overflowed too: somebody may be looking at it. One that cannot be
    recovered does not keep the others from it; it is tried again after them, since one group that lacks two lent
    PVs is whole only when the snapshots on both are gone. Raises the worst error at the end.
    """
    with session.changing(working):
        system = facts.read_system(working.runner)
        found, failed = _round(working, candidates(working, system, names, load), system)
        if failed:
            left = tuple(_as_left(known) for known, _ in failed)
            again, failed = _round(working, left, facts.read_system(working.runner))
            found += again
        for _, failure in failed[1:]:
            working.progress.note(failure.message)
        if failed:
            raise max((failure for _, failure in failed), key=lambda failure: failure.exit_code)
        return tuple(found)


def _round(
    working: Session, knowns: tuple[Known, ...], system: Facts
) -> tuple[list[Status], list[tuple[Known, LvmsnapError]]]:
    found: list[Status] = []
    failed: list[tuple[Known, LvmsnapError]] = []
    for known in knowns:
        try:
            found += _recover(working, known, system)
        except LvmsnapError as error:
            failed.append((known, error))
    return found, failed


def _as_left(known: Known) -> Known:
    """Return what is known with the record as it was left: it tells which hooks have been run by now."""
    if known.record is None or known.target is None:
        return known
    return replace(known, record=record.read(known.target.name) or known.record)


def _recover(working: Session, known: Known, system: Facts) -> list[Status]:
    if known.target is None:
        return []
    found = session.status_of(known.target, known.record, system)
    if found.state in RECOVERED:
        history.refuse_unsafe(known.target, system)
        # What went wrong with a hook was told, and is no reason to do it all again.
        executor.bring_down(known.target, known.record, session.work(working))
    return [found]


def plan_recover(working: Session, names: tuple[str, ...], load: Loader) -> tuple[tuple[str, Plan], ...]:
    """Return what `recover` would do, a plan for each profile that needs it. Reads only."""
    system = facts.read_system(working.runner, locking=False)
    plans = []
    for known in candidates(working, system, names, load):
        if known.target is not None and session.state_of(known, system) in RECOVERED:
            focused = facts.focus(system, Interest.of_target(known.target))
            plans.append((known.target.name, planner.plan_down(known.target, focused, known.record)))
    return tuple(plans)


def candidates(working: Session, system: Facts, names: tuple[str, ...], load: Loader) -> tuple[Known, ...]:
    """Return what is known of every profile that left a record or a mark, and of lent PVs that are nobody's.

    A record that cannot be read is told of, and its profile known by its marks alone.
    """
    known = tuple(_look_back(working, name, load, system) for name in names or session.all_names(working, system))
    if names:
        return known
    claimed = {item.target.lent_pv.pv_uuid for item in known if item.target and item.target.lent_pv}
    unclaimed = marks.unclaimed_targets(system, claimed, system.host) if system.host else ()
    return known + tuple(Known(target, None) for target in unclaimed)


def _look_back(working: Session, name: str, load: Loader, system: Facts) -> Known:
    try:
        return history.look_back(name, load(name), system)
    except LvmsnapError as error:
        working.progress.note(f"{error.message}; going by the system's own marks")
        return history.look_back(name, load(name), system, force=True)
