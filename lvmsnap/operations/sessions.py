"""What all commands share: the session, the lock of a profile, and reading the system for a change."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from lvmsnap.execution import locks, records
from lvmsnap.execution.context import Progress, Work
from lvmsnap.execution.hook_processes import HookRunner
from lvmsnap.execution.locks import Waiting
from lvmsnap.model.dataclass import dataclass, replace
from lvmsnap.model.errors import LvmsnapError, RefusedError
from lvmsnap.model.facts import DmDevice, Facts
from lvmsnap.model.lvm_names import dm_uuid, lvm_name
from lvmsnap.model.plan import Key
from lvmsnap.model.target import Loan, Snapshot, Target
from lvmsnap.operations import named_profile
from lvmsnap.planning import lost_record
from lvmsnap.planning.half_made import suspended_devices
from lvmsnap.planning.identify import as_named_now
from lvmsnap.system import device_mapper, mapping_users, reading, tree_users
from lvmsnap.system.held_signals import Signals
from lvmsnap.system.processes import Runner
from lvmsnap.system.reading import Interest

# How often to read the system if a group turns out to have another name than the one locked.
READINGS = 3
# A cut resumes all origins within five seconds.
CUT_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Session:
    """What all commands share. `wait_seconds` limits the wait for each lock, ours or LVM's."""

    runner: Runner
    signals: Signals
    progress: Progress
    profile_dir: str
    wait_seconds: float

    def waiting(self) -> Waiting:
        """Return how one walk waits for its locks."""
        return Waiting(self.wait_seconds, self.progress.note)


@contextmanager
def walking(session: Session, name: str) -> Iterator[None]:
    """Hold the profile's lock and defer signals while something of it is changed. Raises RefusedError."""
    with session.signals, locks.profile(name, session.waiting()) as descriptors:
        session.runner.lock_fds = descriptors
        try:
            yield
        finally:
            session.runner.lock_fds = ()


def names_with_traces(session: Session) -> tuple[str, ...]:
    """Return the names of all profiles that have a record or a tagged snapshot."""
    system = reading.read_system(session.runner, locking=False)
    tagged = lost_record.tagged_names(system, system.host) if system.host else ()
    return tuple(sorted({*records.names(), *tagged}))


def all_names(session: Session, system: Facts) -> tuple[str, ...]:
    """Return the names of all profiles that have a file, a record or a tagged snapshot."""
    tagged = lost_record.tagged_names(system, system.host) if system.host else ()
    named = named_profile.names(session.profile_dir, session.progress)
    return tuple(sorted({*named, *records.names(), *tagged}))


def work(session: Session, first: Facts | None = None, secrets: Mapping[Key, bytes] | None = None) -> Work:
    """Return what the executor works with; `first` saves its first reading, `secrets` are for its commands."""
    at_hand, waiting = [first] if first else [], session.waiting()

    def read(target: Target) -> Facts:
        system = at_hand.pop() if at_hand else _read_within_bounds(session, target, waiting)
        return reading.focus(system, Interest.of_target(target))

    def name_holders(target: Target) -> tuple[str, ...]:
        of_snapshots = (line for one in target.snapshots for line in mapping_users.holders(one))
        return tuple(dict.fromkeys((*of_snapshots, *tree_users.in_includes(target))))

    def name_pins(target: Target, mountpoint: str) -> tuple[str, ...]:
        at = (one for one in target.snapshots if one.mount and one.mount.mountpoint == mountpoint)
        return next((mapping_users.pins(one, mountpoint) for one in at), ())

    hooks = HookRunner(session.signals, session.progress.note)
    held = locks.GroupLocks(session.runner, waiting)
    return Work(
        runner=session.runner,
        signals=session.signals,
        progress=session.progress,
        read=read,
        holders=name_holders,
        hooks=hooks,
        locks=held,
        pins=name_pins,
        secrets=secrets or {},
    )


def read_changing(
    session: Session, target: Target | None, groups: tuple[str, ...] = (), waiting: Waiting | None = None
) -> Facts:
    """Read the system for a change, while no LVM command is half done with the target's groups or with `groups`.

    The target's groups are locked by their current names. Raises RefusedError if one of them stays locked: LVM's own
    report would wait for it without limit.
    """
    waiting = waiting or session.waiting()
    locked = (*groups, *(_groups_now(target) if target else ()))
    for _ in range(READINGS):
        system = _read_beside_no_cut(session, target, tuple(dict.fromkeys(locked)), waiting)
        named = as_named_now(target, system).groups if target else ()
        if set(named) <= set(locked):
            break
        locked = (*groups, *named)
    return system


def _read_beside_no_cut(session: Session, target: Target | None, groups: tuple[str, ...], waiting: Waiting) -> Facts:
    """Read the system while nobody has these groups locked, and once no other cut holds an origin of the target.

    A held origin would pass for one that a killed command left suspended.
    """
    deadline = time.monotonic() + CUT_SECONDS
    while True:
        with locks.reading(groups, waiting):
            system = reading.read_system(session.runner, locking=False)
        is_held = any(suspended_devices(one, system.dm_devices) for one in (target.snapshots if target else ()))
        if not is_held or time.monotonic() > deadline or not locks.is_changed_by_another(groups):
            return system
        time.sleep(locks.PAUSE_SECONDS)


def _groups_now(target: Target) -> tuple[str, ...]:
    """Return the current names of the target's groups from the kernel; as recorded, if they have no device."""
    devices = device_mapper.devices()
    parts: tuple[Snapshot | Loan, ...] = (*target.snapshots, *target.loans)
    return tuple(_group_now(part, devices) for part in parts)


def _group_now(part: Snapshot | Loan, devices: tuple[DmDevice, ...]) -> str:
    ours = [device for device in devices if part.vg_uuid and device.uuid.startswith(dm_uuid(part.vg_uuid, ""))]
    names = (lvm_name(device.name).partition("/")[0] for device in ours)
    return next(filter(None, names), part.vg)


def _read_within_bounds(session: Session, target: Target, waiting: Waiting) -> Facts:
    """Read the system in the middle of a walk, which must go on even if the group stays locked.

    Device-mapper may then show somebody's half-done work: nothing of that may be repaired, so it is left out.
    """
    try:
        return read_changing(session, target, (), waiting)
    except RefusedError as error:
        session.progress.warn(error.message)
        return replace(reading.read_system(session.runner, locking=False), dm_devices=())


def recorded_target(name: str) -> Target | None:
    """Return the target in the record of profile `name`, None if there is no readable one."""
    with suppress(LvmsnapError):
        record = records.read(name)
        return record.target if record else None
    return None
