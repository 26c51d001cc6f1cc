"""The commands as a whole: which profile, which record, which lock, what is read, planned, checked and walked."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from lvmsnap import (
    boot,
    boot_tags,
    checks,
    executor,
    facts,
    history,
    leftovers,
    marks,
    planner,
    profile,
    record,
    status,
)
from lvmsnap.errors import LvmsnapError, ProfileError, Refusal, RefusedError, StepError
from lvmsnap.facts import Interest
from lvmsnap.history import Known
from lvmsnap.holders import holders, pins, snapshot_number
from lvmsnap.hook_runner import HookRunner
from lvmsnap.hooks import AFTER_SNAPSHOT
from lvmsnap.identify import find, left_alone
from lvmsnap.leftovers import Seen
from lvmsnap.model import Check, Plan, Process, Profile, Record, Target
from lvmsnap.runner import Runner, Signals, shell_line
from lvmsnap.status import State, Status
from lvmsnap.system import Facts
from lvmsnap.work import Progress, Work


@dataclass(frozen=True, slots=True)
class Session:
    """What all commands share. `wait_seconds` bounds the waiting for locks, ours and LVM's."""

    runner: Runner
    signals: Signals
    progress: Progress
    profile_dir: str
    wait_seconds: float


@contextmanager
def changing(session: Session) -> Iterator[None]:
    """Hold the lock and keep signals back while something is changed."""
    with session.signals, record.lock(session.wait_seconds, session.progress.note) as descriptor:
        session.runner.lock_fd = descriptor
        try:
            yield
        finally:
            session.runner.lock_fd = None


def plan(session: Session, loaded: Profile) -> Plan:
    """Return the plan of `up`. Reads only, and waits for nobody."""
    system = facts.read_system(session.runner, locking=False)
    return _plan_up(session, loaded, system, history.look_back(loaded.name, loaded, system))


def plan_down(session: Session, name: str, loaded: Profile | None) -> Plan:
    """Return the plan of `down`, empty where nothing stands. Reads only, and waits for nobody."""
    system = facts.read_system(session.runner, locking=False)
    known = history.look_back(name, loaded, system)
    if known.target is None:
        return planner.nothing_to_do()
    focused = facts.focus(system, Interest.of_target(known.target))
    return planner.plan_down(known.target, focused, known.record)


def up(
    session: Session, loaded: Profile, text: str, *, replace_old: bool, if_down: bool, process: Process | None = None
) -> Target:
    """Bring the profile up and return what stands then. Raises RefusedError, StepError, ResidueError.

    `process` is the run that it is for: what one that was killed left is taken down first.
    """
    with changing(session):
        system = read_changing(session, loaded.volume.vg)
        known = history.look_back(loaded.name, loaded, system)
        if known.target is not None:
            seen = leftovers.look(known.target, known.record, system)
            leftovers.refuse_at_work(loaded.name, seen)
            if if_down and seen.status.state is State.UP:
                session.progress.note(f"{loaded.name} is up already")
                return known.target
            if replace_old or (process and known.record and known.record.process):
                take_old(session, known.target, known.record, seen, system)
                system = read_changing(session, loaded.volume.vg)
                known = history.look_back(loaded.name, loaded, system)
        made = _plan_up(session, loaded, system, known)
        refuse_failed(made.checks)
        for check in made.checks:
            if check.warning:
                session.progress.warn(f"{check.title}: {check.found}; {check.hint}")
        if made.target is None:
            raise LvmsnapError("the plan has no target though every check passed")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        written = Record(made.target, text, os.path.abspath(loaded.path), system.boot_id, now, process=process)
        executor.bring_up(made, written, work(session))
        return made.target


def down(session: Session, name: str, loaded: Profile | None, *, force: bool) -> bool:
    """Take the profile down; return whether anything stood. Raises RefusedError, ResidueError.

    With `force` an unreadable record is ignored, and a volume group that is not to be seen, or a backing file on
    a filesystem that is not mounted, is taken for removed.
    """
    with changing(session):
        system = facts.read_system(session.runner)
        known = history.look_back(name, loaded, system, force=force)
        if known.target is None:
            return False
        if not force:
            history.refuse_unsafe(known.target, system)
        history.refuse_merging(known.target, system)
        seen = leftovers.look(known.target, known.record, system)
        target = forget_reach(known.target) if force else known.target
        focused = facts.focus(system, Interest.of_target(target))
        for line in left_alone(target, find(target, focused, known.record), focused):
            session.progress.warn(f"left alone: {line}")
        written = _without_unlock(session, known.record) if force and known.record else known.record
        if not seen.run_pid:
            _name_survivors(session, written, system)
        _bring_down(session, target, written, system, seen.lost)
        return True


def _bring_down(session: Session, target: Target, written: Record | None, system: Facts, lost: str) -> None:
    """Take it down; that its snapshot was lost is the worst of what may be wrong then."""
    failed: LvmsnapError | None = None
    try:
        raise_failed_hooks(target.name, executor.bring_down(target, written, work(session, first=system), lost))
    except LvmsnapError as error:
        if not lost:
            raise
        failed = error
    if lost:
        raise leftovers.lost_at_down(target.name, lost, failed)


def take_old(session: Session, target: Target, written: Record | None, seen: Seen, system: Facts) -> None:
    """Take down what is left of an earlier time; say where its snapshot was lost, and what its run left running."""
    history.refuse_unsafe(target, system)
    history.refuse_merging(target, system)
    if seen.lost:
        session.progress.warn(leftovers.warn_of_lost(target.name, seen.lost))
    _name_survivors(session, written, system)
    # What went wrong with a hook is reported, and is no reason to do it all again.
    executor.bring_down(target, written, work(session), seen.lost)


def _name_survivors(session: Session, written: Record | None, system: Facts) -> None:
    for process in leftovers.survivors(written, system):
        session.progress.warn(f"{process} still runs: lvmsnap run had started it")


def _without_unlock(session: Session, written: Record) -> Record:
    """Return the record without an after_snapshot hook that is due: it may never succeed."""
    if AFTER_SNAPSHOT not in written.hooks_due:
        return written
    session.progress.warn(f"not run: the after_snapshot hook: {shell_line(written.target.hooks.after_snapshot)}")
    return replace(written, hooks_due=())


def raise_failed_hooks(name: str, failed: tuple[str, ...]) -> None:
    """Raise StepError where hooks went wrong while the profile was taken down."""
    if failed:
        raise StepError(f"{name} is down, but {'; '.join(failed)}", hint="do by hand what it should have done")


def names_standing(session: Session) -> tuple[str, ...]:
    """Return the names of all profiles that have a record or a tagged snapshot."""
    system = facts.read_system(session.runner, locking=False)
    tagged = marks.tagged_names(system, system.host) if system.host else ()
    return tuple(sorted({*record.names(), *tagged}))


def all_names(session: Session, system: Facts) -> tuple[str, ...]:
    """Return the names of all profiles that have a file, a record or a tagged snapshot."""
    tagged = marks.tagged_names(system, system.host) if system.host else ()
    return tuple(sorted({*profile.names(session.profile_dir), *record.names(), *tagged}))


def forget_reach(target: Target) -> Target:
    """Return the target with a backing file that, where it is not found, is taken for gone."""
    lent = target.lent_pv
    return target if lent is None else replace(target, lent_pv=replace(lent, mounted_at=""))


def work(session: Session, first: Facts | None = None) -> Work:
    """Return what the executor works with; `first` spares it its first reading."""
    at_hand = [first] if first else []

    def read(target: Target) -> Facts:
        system = at_hand.pop() if at_hand else facts.read_system(session.runner)
        return facts.focus(system, Interest.of_target(target))

    def name_holders(target: Target) -> tuple[str, ...]:
        return holders(target.mount.mountpoint if target.mount else "", snapshot_number(target))

    def name_pins(target: Target) -> tuple[str, ...]:
        return pins(target.mount.mountpoint if target.mount else "", snapshot_number(target))

    hooks = HookRunner(session.signals, session.progress.note)
    return Work(session.runner, session.signals, session.progress, read, name_holders, hooks, name_pins)


def read_changing(session: Session, vg: str) -> Facts:
    """Read the system for a change: first wait, within bounds, for whoever holds the VG's lock.

    Raises RefusedError where it is held on: LVM's own report would wait for it without bounds.
    """
    holder = facts.wait_for_vg_lock(vg, session.wait_seconds, session.progress.note)
    refuse_failed((checks.unlocked(vg, holder),))
    return facts.read_system(session.runner)


def refuse_failed(run: tuple[Check, ...]) -> None:
    """Raise RefusedError with every one of the checks that failed."""
    failed = tuple(Refusal(f"{check.title}: {check.found}", check.hint) for check in run if not check.passed)
    if failed:
        raise RefusedError(failed)


def _plan_up(session: Session, loaded: Profile, system: Facts, known: Known) -> Plan:
    interest = Interest.of_profile(loaded)
    focused = replace(
        facts.focus(system, interest),
        origin_filesystem=facts.origin_filesystem(session.runner, system, interest),
        missing_tools=facts.missing_tools(checks.tools(loaded)),
        boot_recovery=boot.is_installed(),
        boot_tags=boot_tags.boot_tags(),
        origin_tags=boot_tags.lv_tags(facts.origin_device_number(system, interest)),
    )
    made = planner.plan_up(loaded, focused, marks.pv_uuid(loaded.name, system.host, secrets.token_hex(7)))
    if known.target is None:
        return made
    # The rest of the checks would only tell in many ways that the profile's own things are there.
    state = state_of(known, system)
    return replace(made, checks=(checks.already(loaded.name, state.value, status.MEANING[state]),))


def state_of(known: Known, system: Facts) -> State:
    """Return the state of a profile by what is known of its past."""
    return status_of(known.target, known.record, system).state if known.target else State.DOWN


def status_of(target: Target, written: Record | None, system: Facts) -> Status:
    """Return the state of a target, after a look at its paths."""
    return status.of_target(target, facts.focus(system, Interest.of_target(target, written)), written)


def profile_of(written: Record) -> Profile | None:
    """Return the profile as it was when it was brought up; None where this lvmsnap can read it no more."""
    try:
        return profile.parse(written.profile_text, name=written.target.name, file=written.profile_path)
    except ProfileError:
        return None


def load_for_change(name: str, directory: str, *, accept_boot_risk: bool = False) -> tuple[Profile, str]:
    """Load a profile that root is to act on, and its text. Raises UsageError, ProfileError.

    `accept_boot_risk` does what the profile's key of that name does.
    """
    path = profile.find(name, directory)
    text = profile.read_text(path, require_root_owned=facts.is_root())
    loaded = profile.parse(text, name=path.stem, file=str(path))
    if accept_boot_risk and loaded.backing_file is not None:
        loaded = replace(loaded, backing_file=replace(loaded.backing_file, accept_boot_risk=True))
    return loaded, text


def load_if_valid(name: str, directory: str) -> Profile | None:
    """Load a profile where there is a valid one; `down` does without it."""
    try:
        return load_if_there(name, directory)
    except ProfileError:
        return None


def load_if_there(name: str, directory: str) -> Profile | None:
    """Load a profile where there is one. Raises ProfileError where it is not valid."""
    path = Path(directory, f"{name}.yaml")
    return profile.load(path, require_root_owned=facts.is_root()) if os.path.lexists(path) else None
