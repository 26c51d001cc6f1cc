"""The commands as a whole: which profile, which record, which lock, what is read, planned, checked and walked."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from lvmsnap.execution import executor, locks, records
from lvmsnap.execution.context import Progress, Work
from lvmsnap.execution.hook_processes import HookRunner
from lvmsnap.execution.locks import Waiting
from lvmsnap.install import boot_recovery, boot_tags
from lvmsnap.model.errors import LvmsnapError, Refusal, RefusedError, StepError, as_ours, refused_after
from lvmsnap.model.facts import Facts
from lvmsnap.model.plan import Check, Plan
from lvmsnap.model.profile import Profile
from lvmsnap.model.target import Process, Record, Target
from lvmsnap.operations import history, leftovers, named_profile
from lvmsnap.operations.history import Known
from lvmsnap.operations.leftovers import Seen
from lvmsnap.planning import checks, planner, recognition, state
from lvmsnap.planning.state import State, Status
from lvmsnap.system import origin_facts, reading
from lvmsnap.system.mount_users import holders, pins, snapshot_number
from lvmsnap.system.processes import Runner
from lvmsnap.system.reading import Interest
from lvmsnap.system.signals import Signals


@dataclass(frozen=True, slots=True)
class Session:
    """What all commands share. `wait_seconds` bounds the waiting for locks, ours and LVM's."""

    runner: Runner
    signals: Signals
    progress: Progress
    profile_dir: str
    wait_seconds: float

    def waiting(self) -> Waiting:
        """Return how long one walk waits for each lock."""
        return Waiting(self.wait_seconds, self.progress.note)


@contextmanager
def walking(session: Session, name: str) -> Iterator[None]:
    """Hold the profile's lock and keep signals back while something of it is changed. Raises RefusedError."""
    with session.signals, locks.profile(name, session.waiting()) as descriptors:
        session.runner.lock_fds = descriptors
        try:
            yield
        finally:
            session.runner.lock_fds = ()


def plan(session: Session, loaded: Profile) -> Plan:
    """Return the plan of `up`. Reads only, and waits for nobody."""
    system = reading.read_system(session.runner, locking=False)
    return _plan_up(session, loaded, system, history.look_back(loaded.name, loaded, system))


def plan_down(session: Session, name: str, loaded: Profile | None) -> Plan:
    """Return the plan of `down`, empty where nothing stands. Reads only, and waits for nobody."""
    system = reading.read_system(session.runner, locking=False)
    known = history.look_back(name, loaded, system)
    if known.target is None:
        return planner.nothing_to_do()
    focused = reading.focus(system, Interest.of_target(known.target))
    return planner.plan_down(known.target, focused, known.record)


def up(
    session: Session, loaded: Profile, text: str, *, replace_old: bool, if_down: bool, process: Process | None = None
) -> Target:
    """Bring the profile up and return what stands then. Raises RefusedError, StepError, ResidueError.

    `process` is the run that it is for: what one that was killed left is taken down first.
    """
    with walking(session, loaded.name), ExitStack() as stack:
        system = read_changing(session, (loaded.volume.vg,))
        known, done = history.look_back(loaded.name, loaded, system), ""
        if known.target is not None:
            seen = leftovers.look(known.target, known.record, system)
            leftovers.refuse_at_work(loaded.name, seen)
            if if_down and seen.status.state is State.UP:
                session.progress.note(f"{loaded.name} is up already")
                return known.target
            if replace_old or (process and known.record and known.record.process):
                done = take_old(session, loaded, known.target, known.record, seen, system)
                system = read_changing(session, (loaded.volume.vg,))
                known = history.look_back(loaded.name, loaded, system)
        if loaded.backing_file is not None and loaded.backing_file.loop_device is None:
            number = stack.enter_context(locks.loop_device(planner.free_loop_numbers(system)))
            system = replace(system, loop_numbers=(number,))
        # Who has LVM's lock now is waited for when it is needed.
        made = _plan_up(session, loaded, system, known, is_locked_later=True)
        refuse_failed(made.checks, done)
        for check in made.checks:
            if check.warning:
                session.progress.warn(f"{check.title}: {check.found}; {check.hint}")
        if made.target is None:
            raise LvmsnapError("the plan has no target though every check passed")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        written = Record(made.target, text, os.path.abspath(loaded.path), system.boot_id, now, process=process)
        return executor.bring_up(made, written, work(session))


def take_old(
    session: Session,
    loaded: Profile | None,
    target: Target,
    written: Record | None,
    seen: Seen,
    system: Facts,
    *,
    keep_mounted: bool = False,
) -> str:
    """Take down what is left of an earlier time, and say so; name its loss, and what its run left running.

    Whatever else bears the profile's marks goes after it, one after the other; with `keep_mounted` but for what looks
    properly up. Raises StepError where a refusal stops it after something was taken down.
    """
    # Whether there is more is asked before anything is changed: nothing that fails there can follow a change.
    more = history.more(target.name, loaded, system, target)
    _take_one(session, target, written, seen, system)
    done = f"the old snapshot of {target.name} was taken down"
    while more:
        try:
            system = read_changing(session, (more.vg,))
            known = history.look_back(target.name, loaded, system, force=True)
            if known.target is None or history.is_same(known.target, target):
                break
            target, seen = known.target, leftovers.look(known.target, known.record, system)
            if keep_mounted and not seen.is_left:
                break
            more = history.more(target.name, loaded, system, target)
            _take_one(session, target, known.record, seen, system)
        except Exception as error:
            raise refused_after(done, as_ours(error)) from error
    return done


def _take_one(session: Session, target: Target, written: Record | None, seen: Seen, system: Facts) -> None:
    history.refuse_other_host(target, system)
    history.refuse_unsafe(target, system)
    history.refuse_inactive(target, written, system)
    history.refuse_merging(target, system)
    if seen.lost:
        session.progress.warn(leftovers.warn_of_lost(target.name, seen.lost))
    name_survivors(session, written, system)
    # What went wrong with a hook is reported, and is no reason to do it all again.
    executor.bring_down(target, written, work(session), seen.lost)


def name_survivors(session: Session, written: Record | None, system: Facts) -> None:
    """Warn of each process that a killed `lvmsnap run` left running."""
    for process in leftovers.survivors(written, system):
        session.progress.warn(f"{process} still runs: lvmsnap run had started it")


def raise_failed_hooks(name: str, failed: tuple[str, ...]) -> None:
    """Raise StepError where hooks went wrong while the profile was taken down."""
    if failed:
        raise StepError(f"{name} is down, but {'; '.join(failed)}", hint="do by hand what it should have done")


def names_standing(session: Session) -> tuple[str, ...]:
    """Return the names of all profiles that have a record or a tagged snapshot."""
    system = reading.read_system(session.runner, locking=False)
    tagged = recognition.tagged_names(system, system.host) if system.host else ()
    return tuple(sorted({*records.names(), *tagged}))


def all_names(session: Session, system: Facts) -> tuple[str, ...]:
    """Return the names of all profiles that have a file, a record or a tagged snapshot."""
    tagged = recognition.tagged_names(system, system.host) if system.host else ()
    named = named_profile.names(session.profile_dir, session.progress)
    return tuple(sorted({*named, *records.names(), *tagged}))


def forget_reach(target: Target) -> Target:
    """Return the target with a backing file that, where it is not found, is taken for gone."""
    lent = target.lent_pv
    return target if lent is None else replace(target, lent_pv=replace(lent, mounted_at=""))


def work(session: Session, first: Facts | None = None) -> Work:
    """Return what the executor works with; `first` spares it its first reading."""
    at_hand, waiting = [first] if first else [], session.waiting()

    def read(target: Target) -> Facts:
        system = at_hand.pop() if at_hand else _read_within_bounds(session, target.vg, waiting)
        return reading.focus(system, Interest.of_target(target))

    def name_holders(target: Target) -> tuple[str, ...]:
        return holders(target.mount.mountpoint if target.mount else "", snapshot_number(target))

    def name_pins(target: Target) -> tuple[str, ...]:
        return pins(target.mount.mountpoint if target.mount else "", snapshot_number(target))

    hooks = HookRunner(session.signals, session.progress.note)
    held = locks.GroupLocks(session.runner, waiting)
    return Work(session.runner, session.signals, session.progress, read, name_holders, hooks, held, name_pins)


def read_changing(session: Session, groups: tuple[str, ...], waiting: Waiting | None = None) -> Facts:
    """Read the system for a change, while no LVM command is half done with these groups.

    Raises RefusedError where one of them is locked on and on: LVM's own report would wait for it without bounds.
    """
    with locks.reading(groups, waiting or session.waiting()):
        return reading.read_system(session.runner, locking=False)


def _read_within_bounds(session: Session, vg: str, waiting: Waiting) -> Facts:
    """Read the system in the middle of a walk, which has to go on though the group be locked all the time.

    What device-mapper shows then is maybe somebody's work that is half done: nothing of it may be repaired.
    """
    try:
        return read_changing(session, (vg,), waiting)
    except RefusedError as error:
        session.progress.warn(error.message)
        return replace(reading.read_system(session.runner, locking=False), dm_devices=())


def groups_of(name: str, loaded: Profile | None) -> tuple[str, ...]:
    """Return the volume groups that a profile is known to use, by its record and its file."""
    with suppress(LvmsnapError):
        if written := records.read(name):
            return (written.target.vg,)
    return (loaded.volume.vg,) if loaded else ()


def refuse_failed(run: tuple[Check, ...], done: str = "") -> None:
    """Raise RefusedError with every one of the checks that failed; StepError where `done` says what was done before."""
    failed = tuple(Refusal(f"{check.title}: {check.found}", check.hint) for check in run if not check.passed)
    if failed:
        raise refused_after(done, RefusedError(failed))


def _plan_up(session: Session, loaded: Profile, system: Facts, known: Known, *, is_locked_later: bool = False) -> Plan:
    interest = Interest.of_profile(loaded)
    focused = replace(
        origin_facts.add(session.runner, reading.focus(system, interest), interest),
        missing_tools=reading.missing_tools(checks.tools(loaded)),
        boot_recovery=boot_recovery.is_installed(),
        boot_tags=boot_tags.boot_tags(),
        origin_tags=boot_tags.lv_tags(reading.origin_device_number(system, interest)),
    )
    if is_locked_later:
        focused = replace(focused, vg_lock_holder="")
    made = planner.plan_up(loaded, focused, recognition.pv_uuid(loaded.name, system.host, secrets.token_hex(5)))
    if known.target is None:
        return made
    # The rest of the checks would only tell in many ways that the profile's own things are there.
    now = state_of(known, system)
    return replace(made, checks=(checks.already(loaded.name, now.value, state.MEANING[now]),))


def state_of(known: Known, system: Facts) -> State:
    """Return the state of a profile by what is known of its past."""
    return status_of(known.target, known.record, system).state if known.target else State.DOWN


def status_of(target: Target, written: Record | None, system: Facts) -> Status:
    """Return the state of a target, after a look at its paths."""
    return state.of_target(target, reading.focus(system, Interest.of_target(target, written)), written)
