"""What lvmsnap made on another host and left on disks that this machine sees: reported, taken down only on request.

Another host may be using it right now, so nothing but `recover --from-host ID` ever acts on it.
"""

from __future__ import annotations

import re

from lvmsnap.execution import executor, records
from lvmsnap.model.dataclass import replace
from lvmsnap.model.errors import LvmsnapError, ResidueError, StepError, UsageError, refused_after, worst
from lvmsnap.model.facts import Facts
from lvmsnap.model.plan import Plan
from lvmsnap.model.target import Target
from lvmsnap.operations import history, sessions
from lvmsnap.operations.history import Known
from lvmsnap.operations.sessions import Session
from lvmsnap.planning import lost_record, planner
from lvmsnap.planning.lost_record import Mark
from lvmsnap.planning.state import UNKNOWN_HOST, from_host
from lvmsnap.system import reading
from lvmsnap.system.host import HOST_PATTERN
from lvmsnap.system.reading import Interest


def others_marks(system: Facts) -> tuple[Mark, ...]:
    """Return the marks that are not this host's; also old ones without a host, if no record here claims them."""
    claimed = history.recorded_pvs()
    old = tuple(
        mark
        for mark in lost_record.all_marks(system, "")
        if mark.pv_uuid not in claimed and not (mark.name and records.exists(mark.name))
    )
    return (*(mark for mark in lost_record.all_marks(system) if mark.host and mark.host != system.host), *old)


def notes(system: Facts) -> tuple[str, ...]:
    """Return a line for each other host whose marks are seen: what it left, and what to do if the host is gone."""
    seen = others_marks(system)
    hosts = sorted({mark.host for mark in seen})
    return tuple(
        f"left alone: {', '.join(mark.object for mark in seen if mark.host == host)}: {from_host(host)}"
        for host in hosts
    )


def host_of(argument: str, own: str) -> str:
    """Return the host that `--from-host` names, "" for an unknown one. Raises UsageError."""
    if argument == UNKNOWN_HOST:
        return ""
    if not re.fullmatch(HOST_PATTERN, argument):
        hint = f"8 characters of 0-9 and a-f, as lvmsnap status shows it, or {UNKNOWN_HOST}"
        raise UsageError(f"{argument} is not the ID of a host", hint=hint)
    if argument == own:
        raise UsageError(f"{argument} is this machine", hint="lvmsnap recover, without --from-host")
    return argument


def plans(session: Session, argument: str) -> tuple[tuple[str, Plan], ...]:
    """Return what taking down everything of a host would do, a plan for each profile and lent PV. Reads only."""
    system = reading.read_system(session.runner, locking=False)
    return tuple(
        (known.target.name, planner.plan_down(known.target, _focused(system, known), known.record))
        for known in _left_by(host_of(argument, system.host), system)
        if known.target is not None
    )


def take(session: Session, argument: str) -> tuple[str, ...]:
    """Take down everything that a host left, and return its names.

    Raises RefusedError, ResidueError, StepError: the worst error, after everything possible was taken down.
    """
    taken: list[str] = []
    failures: list[LvmsnapError] = []
    with session.signals:
        system = reading.read_system(session.runner, locking=False)
        host = host_of(argument, system.host)
        for known in _left_by(host, system):
            try:
                taken += _take(session, known.target, host) if known.target else ()
            except LvmsnapError as error:
                if isinstance(error, ResidueError):
                    again = f"lvmsnap recover --from-host {argument}"
                    error.hint = f"{again} tries again; the commands do the same by hand"
                failures.append(error)
        left = [
            mark.object
            for mark in others_marks(reading.read_system(session.runner, locking=False))
            if mark.host == host
        ]
    for failure in failures:
        session.progress.warn(failure.message)
    done = f"{', '.join(taken)} taken down" if taken else ""
    if failures:
        code = worst(failure.exit_code for failure in failures)
        raise refused_after(done, next(failure for failure in failures if failure.exit_code == code))
    if left:
        # Two snapshots of one profile, in two groups for example: the second one was not shown.
        raise StepError(f"{done}, but more was left: {', '.join(left)}", hint="run the same command again to see it")
    return tuple(taken)


def _take(session: Session, target: Target, host: str) -> tuple[str, ...]:
    """Take down one profile's things if they still exist once it is locked; return its name then, else nothing."""
    with sessions.walking(session, target.name):
        system = sessions.read_changing(session, target)
        now = next((known for known in _left_by(host, system) if known.target and known.target.tag == target.tag), None)
        if now is None or now.target is None:
            return ()
        history.refuse_unsafe(now.target, system, hosts=(host,))
        history.refuse_merging(now.target, system)
        # A record of the same name on this host may belong to a profile of its own.
        work = replace(sessions.work(session), owns_record=now.record is not None)
        executor.bring_down(now.target, now.record, work)
        return (now.target.name,)


def _left_by(host: str, system: Facts) -> tuple[Known, ...]:
    """Return what a host left: by copies of its records on this machine, else by its marks."""
    known = [item for item in _records() if item.target and host and item.target.host == host]
    names = {item.target.name for item in known if item.target}
    for mark in others_marks(system):
        if mark.host == host and mark.name and mark.name not in names:
            known.append(Known(lost_record.target_from_marks(mark.name, None, system, host), None))
            names.add(mark.name)
    claimed = {loan.pv_uuid for item in known if item.target for loan in item.target.loans}
    if not host:
        claimed |= history.recorded_pvs()
    return (*known, *(Known(target, None) for target in lost_record.unclaimed_targets(system, claimed, host)))


def _records() -> tuple[Known, ...]:
    read = [history.readable_record(name) for name in records.names()]
    return tuple(Known(record.target, record) for record in read if record is not None)


def _focused(system: Facts, known: Known) -> Facts:
    return reading.focus(system, Interest.of_target(known.target)) if known.target else system
