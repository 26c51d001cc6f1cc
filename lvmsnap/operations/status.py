"""`lvmsnap status`: reads the state of every profile; one that cannot be read does not hide the others."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from lvmsnap.execution import guard_reports, run_history
from lvmsnap.model.dataclass import replace
from lvmsnap.model.errors import LvmsnapError, ProfileError, explained
from lvmsnap.model.facts import Facts, LogicalVolume
from lvmsnap.model.profile import Profile
from lvmsnap.model.target import Target
from lvmsnap.operations import history, named_profile, other_hosts, sessions
from lvmsnap.operations.sessions import Session
from lvmsnap.planning import lost_record, state
from lvmsnap.planning.state import State, Status
from lvmsnap.planning.volume_state import Past, VolumeStatus
from lvmsnap.system import reading
from lvmsnap.system.reading import Interest

NO_PROFILE = "there is no profile of this name in "


def statuses(
    session: Session, names: tuple[str, ...], directories: Mapping[str, str] | None = None
) -> tuple[Status, ...]:
    """Return the state of the named profiles, else of all that have a file, a record or a mark, each once.

    `directories` says where a profile is that is not in the usual directory. If something of it cannot be read, its
    `problem` says so. Reads only, and waits for nobody.
    """
    system = reading.read_system(session.runner, locking=False)
    wanted = dict.fromkeys(names or sessions.all_names(session, system))
    elsewhere = directories or {}
    found = tuple(
        replace(
            _status_or_problem(name, elsewhere.get(name, session.profile_dir), system),
            last_run=run_history.last(name),
        )
        for name in wanted
    )
    return found if names else (*found, *_of_other_hosts(system, {*wanted}))


def _of_other_hosts(system: Facts, known: set[str]) -> tuple[Status, ...]:
    """Return what other hosts made, each name once, except the names that are known here."""
    by_name: dict[str, Status] = {}
    for mark in other_hosts.others_marks(system):
        name = mark.name or f"pv-{mark.pv_uuid}"
        snapshot = mark.object if mark.name else ""
        by_name.setdefault(name, Status(name, State.FOREIGN, snapshot, problem=state.from_host(mark.host)))
    return tuple(found for name, found in sorted(by_name.items()) if name not in known)


def unknown(found: tuple[Status, ...]) -> tuple[str, ...]:
    """Return the names that have nothing: no profile, no record, no mark."""
    return tuple(status.name for status in found if status.problem.startswith(NO_PROFILE))


def _status_or_problem(name: str, directory: str, system: Facts) -> Status:
    profile, problem = None, ""
    try:
        profile = named_profile.load_if_there(name, directory)
    except ProfileError as error:
        problem = f"its profile is invalid: {error.message}"
    except OSError as error:
        problem = f"its profile cannot be read: {error.filename}: {error.strerror}"
    except Exception as error:
        problem = f"its profile cannot be read: {explained(error)}"
    try:
        found = _status(name, profile, system)
    except LvmsnapError as error:
        return Status(name, State.PARTIAL, problem="; ".join(filter(None, (error.message, error.hint))))
    except OSError as error:
        return Status(name, State.PARTIAL, problem=f"{error.filename}: {error.strerror}")
    except Exception as error:
        return Status(name, State.PARTIAL, problem=explained(error))
    if not (found.snapshot or problem):
        problem = f"{NO_PROFILE}{directory}"
    return replace(found, problem=found.problem or problem)


def _status(name: str, profile: Profile | None, system: Facts) -> Status:
    known = history.look_back(name, profile, system)
    if known.target is not None:
        focused = reading.focus(system, Interest.of_target(known.target, known.record))
        past = _past(known.target, known.record.time if known.record else "")
        return state.of_target(known.target, focused, known.record, past)
    volumes = profile.volumes if profile else ()
    down = tuple(VolumeStatus(volume.path, f"{volume.vg}/{volume.snapshot}") for volume in volumes)
    groups = ((system.vg(volume.vg), volume) for volume in volumes)
    if taken := next((lv for vg, volume in groups if vg and (lv := vg.lv(volume.snapshot))), None):
        problem = _whose(taken, system) if len(volumes) == 1 else f"{taken.vg}/{taken.name}: {_whose(taken, system)}"
        there = Status(name, State.FOREIGN, f"{taken.vg}/{taken.name}", problem=problem)
        return replace(there, volumes=down)
    theirs = [] if volumes else [mark for mark in other_hosts.others_marks(system) if mark.name == name]
    if theirs:
        return Status(name, State.FOREIGN, theirs[0].object, problem=state.from_host(theirs[0].host))
    return state.of_volumes(Status(name, State.DOWN), down)


def _whose(lv: LogicalVolume, system: Facts) -> str:
    """Say who owns an LV that has the name of a profile's snapshot."""
    own = lost_record.all_marks(system, system.host) if system.host else ()
    if owner := next((mark.name for mark in own if mark.object == f"{lv.vg}/{lv.name}"), ""):
        return f"by profile {owner}"
    theirs = [mark for mark in other_hosts.others_marks(system) if mark.object == f"{lv.vg}/{lv.name}"]
    return state.from_host(theirs[0].host) if theirs else f"see what it is: lvs -o+tags,origin {lv.vg}/{lv.name}"


def _past(target: Target, up_time: str) -> Past:
    seen = (guard_reports.read(target.name, number) for number in range(1, len(target.snapshots) + 1))
    up_seconds = (datetime.now(UTC) - datetime.fromisoformat(up_time)).total_seconds() if up_time else None
    return Past(up_seconds, tuple((one, time.monotonic() - one.seconds) for one in seen if one))
