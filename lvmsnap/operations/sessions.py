"""The commands as a whole: which profile, which record, which lock, what is read, planned, checked and walked."""

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

# How often the system is read anew where a group turns out to have another name than was locked.
READINGS = 3
# Within five seconds all origins go on that a cut holds.
CUT_SECONDS = 6.0


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


def names_standing(session: Session) -> tuple[str, ...]:
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
    """Return what the executor works with; `first` spares it its first reading, `secrets` are for its commands."""
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
    """Read the system for a change, while no LVM command is half done with the target's groups, nor with `groups`.

    The target's are locked by the names that they have now. Raises RefusedError where one of them is locked on and on:
    LVM's own report would wait for it without bounds.
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
    """Read the system while nobody has these groups locked; an origin that another cut holds goes on before that.

    It would pass for one that a killed command left suspended.
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
    """Return the names of the target's groups as the kernel has them now; as recorded where no device tells."""
    devices = device_mapper.devices()
    parts: tuple[Snapshot | Loan, ...] = (*target.snapshots, *target.loans)
    return tuple(_group_now(part, devices) for part in parts)


def _group_now(part: Snapshot | Loan, devices: tuple[DmDevice, ...]) -> str:
    ours = [device for device in devices if part.vg_uuid and device.uuid.startswith(dm_uuid(part.vg_uuid, ""))]
    names = (lvm_name(device.name).partition("/")[0] for device in ours)
    return next(filter(None, names), part.vg)


def _read_within_bounds(session: Session, target: Target, waiting: Waiting) -> Facts:
    """Read the system in the middle of a walk, which has to go on though the group be locked all the time.

    What device-mapper shows then is maybe somebody's work that is half done: nothing of it may be repaired.
    """
    try:
        return read_changing(session, target, (), waiting)
    except RefusedError as error:
        session.progress.warn(error.message)
        return replace(reading.read_system(session.runner, locking=False), dm_devices=())


def recorded_target(name: str) -> Target | None:
    """Return the target in the record of profile `name`, None where there is none that can be read."""
    with suppress(LvmsnapError):
        record = records.read(name)
        return record.target if record else None
    return None
