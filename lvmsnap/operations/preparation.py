"""Reads what a profile's plan rests on from the system, and makes the plan."""

from __future__ import annotations

from os import urandom

from lvmsnap.install import boot_recovery, boot_tags
from lvmsnap.model.dataclass import replace
from lvmsnap.model.errors import Refusal, RefusedError, refused_after
from lvmsnap.model.facts import Facts
from lvmsnap.model.plan import Check, Plan
from lvmsnap.model.profile import Profile
from lvmsnap.model.target import Record, Target
from lvmsnap.operations import history
from lvmsnap.operations.history import Known
from lvmsnap.operations.sessions import Session
from lvmsnap.planning import checks, lost_record, planner, replacement, state
from lvmsnap.planning.identify import find
from lvmsnap.planning.state import State, Status
from lvmsnap.system import origin_facts, reading, terminal
from lvmsnap.system.reading import Interest


def plan(session: Session, profile: Profile) -> Plan:
    """Return the plan of `up`. Reads only, and waits for nobody."""
    system = reading.read_system(session.runner, locking=False)
    # Only root can read records; a check fails for anybody else.
    known = history.look_back(profile.name, profile, system) if system.is_root else Known(None, None)
    return plan_up(session, profile, system, known)


def plan_down(session: Session, name: str, profile: Profile | None) -> Plan:
    """Return the plan of `down`, empty if nothing exists. Reads only, and waits for nobody."""
    system = reading.read_system(session.runner, locking=False)
    known = history.look_back(name, profile, system)
    if known.target is None:
        return planner.nothing_to_do()
    focused = reading.focus(system, Interest.of_target(known.target))
    return planner.plan_down(known.target, focused, known.record)


def refuse_failed(run: tuple[Check, ...], done: str = "") -> None:
    """Raise RefusedError with all failed checks, or StepError if `done` says what was done before."""
    failed = tuple(Refusal(check.sentence, check.hint) for check in run if not check.passed)
    if failed:
        raise refused_after(done, RefusedError(failed))


def refuse_hopeless(session: Session, profile: Profile, target: Target, record: Record | None, system: Facts) -> None:
    """Raise RefusedError if `up` would fail even without the old stack, which then is not taken down.

    What only shows once the old stack is gone is checked after that.
    """
    interest = Interest.of_target(target, record)
    found = find(target, reading.focus(system, interest), record)
    if not replacement.is_foreseeable(found):
        return
    focused = _unlocked(_look(session, profile, system))
    made = planner.plan_up(profile, replacement.without_old(focused, found), _pv_uuids(profile, system))
    refuse_failed(made.checks)


def plan_up(
    session: Session,
    profile: Profile,
    system: Facts,
    known: Known,
    *,
    is_locked_later: bool = False,
    replacing: str = "",
) -> Plan:
    """Return the plan of `up`; with `is_locked_later`, LVM's locks may be held now: `up` waits when it needs them.

    `replacing` is the command that first takes down what is up, by default `up --replace`.
    """
    focused = _look(session, profile, system)
    made = planner.plan_up(profile, _unlocked(focused) if is_locked_later else focused, _pv_uuids(profile, system))
    if known.target is None:
        return made
    # The other checks would only report in many ways that the profile's own things exist.
    now = state_of(known, system)
    replacing = replacing or f"lvmsnap up {profile.name} --replace"
    return replace(made, checks=(checks.already(profile.name, now.value, state.MEANING[now], replacing),))


def _pv_uuids(profile: Profile, system: Facts) -> tuple[str, ...]:
    return tuple(lost_record.pv_uuid(profile.name, system.host, urandom(5).hex()) for _ in profile.backing_files)


def _unlocked(facts: Facts) -> Facts:
    groups = {name: replace(group, lock_holder="") for name, group in facts.looked.groups.items()}
    return replace(facts, looked=replace(facts.looked, groups=groups))


def _look(session: Session, profile: Profile, system: Facts) -> Facts:
    """Return the facts with everything that a profile's plan of `up` rests on."""
    return look(session, Interest.of_profile(profile), checks.tools(profile), system)


def look(session: Session, interest: Interest, tools: tuple[str, ...], system: Facts) -> Facts:
    """Return the facts with everything that plans of `up` with this interest and these tools rest on."""
    focused = origin_facts.add(session.runner, reading.focus(system, interest), interest, boot_tags.lv_tags)
    looked = replace(
        focused.looked,
        missing_tools=reading.missing_tools(tools),
        boot_recovery=boot_recovery.is_installed(),
        boot_tags=boot_tags.boot_tags(),
        has_terminal=terminal.is_there(),
    )
    return replace(focused, looked=looked)


def state_of(known: Known, system: Facts) -> State:
    """Return the state of a profile, given what is known of its past."""
    return status_of(known.target, known.record, system).state if known.target else State.DOWN


def status_of(target: Target, record: Record | None, system: Facts) -> Status:
    """Return the status of a target, after a look at its paths."""
    return state.of_target(target, reading.focus(system, Interest.of_target(target, record)), record)
