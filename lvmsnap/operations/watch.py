"""The guard at work: looks at how full a snapshot is, warns, and gives it more room before it is full."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from lvmsnap.execution import guard_reports, records
from lvmsnap.execution.context import run_all
from lvmsnap.execution.locks import GroupLocks
from lvmsnap.model.errors import SnapshotLostError, UsageError, explained
from lvmsnap.model.facts import Enlargement, Sighting, SnapshotStatus
from lvmsnap.model.lvm_names import dm_name, dm_uuid
from lvmsnap.model.profile import Allocation, Argv, BackingFile, Profile
from lvmsnap.model.target import Record, Snapshot, Target
from lvmsnap.operations import named_profile, sessions
from lvmsnap.operations.sessions import Session
from lvmsnap.planning import fill_rate, growth, growth_actions
from lvmsnap.planning.fill_rate import Sample
from lvmsnap.planning.identify import find
from lvmsnap.planning.sizing import human
from lvmsnap.system import device_mapper, dmeventd, reading
from lvmsnap.system.reading import Interest

# What giving more room is taken to last before it was seen once: LVM is slow where the disks are busy, and it
# waits until all that was written to the origin and is still in memory is on the disks.
FIRST_GROWTH_SECONDS = 5.0
# A snapshot that could not grow is tried again after so long: somebody may have made room.
RETRY_SECONDS = 10.0
# dmeventd is looked for so often, and so often once the snapshot is so full that it was warned of. Somebody's lvcreate,
# vgchange, or lvm2-monitor.service that starts anew, has it watch every snapshot.
UNWATCH_SECONDS, SOON_UNWATCH_SECONDS = 30.0, 5.0
# How often more room is planned anew where the snapshot, or its group, is renamed before it could be given.
PLANS = 5
# What is seen is kept for `status` so often, with the rate over so long: people and graphs look seldom.
SIGHTING_SECONDS = 1.0
SIGHTING_RATE_SECONDS = 10.0


class Guard:
    """Watches one snapshot of a target. `look` is called again and again, each time after as long as it said."""

    def __init__(
        self,
        session: Session,
        profile: Profile,
        target: Target,
        number: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Guard the snapshot of that `number`, the first is 1, by the rules of `profile`."""
        self._working, self._profile, self._target, self._clock = session, profile, target, clock
        self._number, self._snapshot = number, target.snapshots[number - 1]
        self._samples: tuple[Sample, ...] = ()
        self._is_warned = False
        self._growth_seconds = FIRST_GROWTH_SECONDS
        self._stuck_until = 0.0
        self._unwatched_until = 0.0
        self._told: set[str] = set()
        self._lookout = Lookout(target.name, number)

    def status(self) -> SnapshotStatus | None:
        """Return how full the snapshot is, whatever its name is by now; None where it is gone."""
        return snapshot_status(self._snapshot)

    def _name(self) -> str:
        """Return the snapshot's name, VG/LV, as the kernel has it now; the last one known where it has none."""
        status = self.status()
        return (status.name if status else "") or self._snapshot.path

    def look(self) -> float:
        """Look once, do what is to be done, return after how many seconds to look again.

        It raises nothing: whatever goes wrong in the guard must not end the backup that it guards.
        """
        try:
            return self._look()
        except Exception as error:
            self._say_once(f"the guard of {self._target.name} could not look: {explained(error)}")
            return fill_rate.LONGEST_SECONDS

    def _say_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._working.progress.warn(text)

    def _look(self) -> float:
        status = self.status()
        if status is None or status.is_lost:
            return fill_rate.LONGEST_SECONDS
        now = fill_rate.sample(status, self._clock())
        self._samples = fill_rate.recent(self._samples, now)
        self._lookout.keep(status, now)
        rate = fill_rate.rate(self._samples)
        if fill_rate.is_warned(now, self._profile.overflow) and not self._is_warned:
            self._is_warned = True
            self._unwatched_until = now.seconds
            self._tell(now, rate, "")
        # A thin pool grows as lvm.conf says, by LVM itself; and dmeventd is to watch it.
        if status.pool:
            return fill_rate.next_look_seconds(now, rate)
        extended = fill_rate.is_extended(now, self._profile.overflow, rate, self._growth_seconds)
        if extended and now.seconds >= self._stuck_until:
            self._grow(now, rate)
            return fill_rate.SHORTEST_SECONDS
        if now.seconds >= self._unwatched_until:
            self._unwatched_until = now.seconds + (SOON_UNWATCH_SECONDS if self._is_warned else UNWATCH_SECONDS)
            self._unwatch()
        return fill_rate.next_look_seconds(now, rate)

    def _grow(self, now: Sample, rate: float) -> None:
        backing = self._profile.backing_file(self._profile.volumes[self._number - 1].vg)
        seconds = fill_rate.room_seconds(self._growth_seconds, backing.allocation if backing else Allocation.FALLOCATE)
        wanted_bytes = fill_rate.wanted_bytes(now, self._profile.overflow, rate, seconds)
        try:
            with sessions.walking(self._working, self._target.name):
                reason = self._grow_locked(wanted_bytes, backing)
        except Exception as error:
            reason = explained(error)
        took_seconds = self._clock() - now.seconds
        self._growth_seconds = max(self._growth_seconds, took_seconds)
        if reason:
            self._stuck_until = self._clock() + RETRY_SECONDS
            self._complain(now, rate, reason)
        elif fill_rate.seconds_to_full(now, rate) < took_seconds:
            self._complain(now, rate, growth.LATE)

    def _grow_locked(self, wanted_bytes: int, backing: BackingFile | None) -> str:
        """Give the snapshot more room; return why it has none, "" where it has."""
        complaint = ""
        for _ in range(PLANS):
            complaint = self._plan_and_grow(wanted_bytes, backing)
            # What fails because of a name of before is tried by the one of now; waiting would change nothing.
            if not complaint or self._name() == self._snapshot.path:
                break
        return complaint

    def _plan_and_grow(self, wanted_bytes: int, backing: BackingFile | None) -> str:
        system = reading.read_system(self._working.runner, locking=False)
        system = reading.focus(system, Interest.of_target(self._target))
        # Only what is still this very snapshot grows, by its group's and its own name of now.
        found = find(self._target, system)
        one = found.snapshots[self._number - 1]
        if one.lv is None or one.vg is None or dm_uuid(one.vg.uuid, one.lv.uuid) != self._uuid():
            return "the snapshot is not there"
        self._snapshot = one.snapshot
        planned = growth.plan(self._target, one, found, backing, system, wanted_bytes)
        if not planned.commands:
            return planned.reason
        path, extent_bytes = one.snapshot.path, one.vg.extent_size_bytes
        is_lent = found.loan_to(one.vg.name) is not None
        complaint = run_all(planned.filling, self._working.runner)
        complaint = complaint or self._run_locked(planned.commands, path, with_pvs=is_lent)
        # Not all that is free can be had: the group's policy may forbid it, or others take of it at the same time.
        while growth.NO_ROOM in complaint and planned.extents > 1:
            less_bytes = planned.extents // 2 * extent_bytes
            planned = growth.plan(self._target, one, found, backing, system, less_bytes)
            complaint = self._run_locked(planned.commands, path, with_pvs=is_lent)
        if complaint:
            return complaint
        more = human(planned.extents * extent_bytes)
        self._working.progress.note(f"{one.name} was given {more} more")
        return ""

    def _unwatch(self) -> None:
        """Take the snapshot from dmeventd where it watches it: it would unmount it once it is full."""
        if not dmeventd.watches_snapshots() or not dmeventd.watches(self._working.runner, name := self._name()):
            return
        complaint = self._run_locked((growth_actions.unwatch(name),), name, with_pvs=False)
        if complaint:
            self._say_once(f"dmeventd unmounts {name} once it is full, and cannot be kept from it: {complaint}")
        else:
            self._working.progress.note(f"{name} was taken from dmeventd, which would unmount it once it is full")

    def _uuid(self) -> str:
        status = self.status()
        return self._snapshot.dm_uuid or (status.uuid if status else "")

    def _run_locked(self, commands: tuple[Argv, ...], path: str, *, with_pvs: bool) -> str:
        """Run LVM's part of it, for which alone the group is locked: nobody waits while the file is filled."""
        held = GroupLocks(self._working.runner, self._working.waiting())
        held.hold((path.partition("/")[0],), with_pvs=with_pvs)
        try:
            # While the lock was waited for, or the file filled, it may have been renamed.
            if (name := self._name()) != path:
                return f"{path} was renamed to {name}"
            return run_all(commands, self._working.runner)
        finally:
            held.release()

    def _complain(self, now: Sample, rate: float, reason: str) -> None:
        if reason in self._told:
            return
        self._told.add(reason)
        if reason == growth.ENOUGH:
            self._working.progress.note(f"{self._name()} cannot become full: {reason}")
        else:
            self._tell(now, rate, f"; {reason}" if reason == growth.LATE else f"; it cannot grow: {reason}")

    def _tell(self, now: Sample, rate: float, more: str) -> None:
        left = fill_rate.seconds_to_full(now, rate)
        when = f"full in {left:.0f} s at the present rate" if left < float("inf") else "not filling at present"
        self._working.progress.warn(f"{self._what_fills()} is {now.fill_percent:.0f} % full, {when}{more}")

    def _what_fills(self) -> str:
        status = self.status()
        if status and status.pool:
            return f"the {status.part} of {status.pool}, the thin pool of {self._name()},"
        return self._name()


class Guards:
    """Watches all snapshots of a target: they are lost together."""

    def __init__(self, session: Session, profile: Profile, target: Target):
        """Guard every snapshot by the rules of `profile`."""
        numbers = range(1, len(target.snapshots) + 1)
        self._guards = [Guard(session, profile, target, number) for number in numbers]

    def states(self) -> tuple[SnapshotStatus | None, ...]:
        """Return how full each is, None for one that is gone."""
        return tuple(guard.status() for guard in self._guards)

    def is_lost(self) -> bool:
        """Whether one of them is gone, or overflowed."""
        return any(status is None or status.is_lost for status in self.states())

    def look(self) -> float:
        """Look at each once; return after how many seconds to look again. It raises nothing."""
        return min((guard.look() for guard in self._guards), default=fill_rate.LONGEST_SECONDS)


class Lookout:
    """Keeps what a guard sees for `status`: how fast the snapshot fills, and when it was last given more room."""

    def __init__(self, name: str, number: int = 1) -> None:
        """Keep it for the profile of that name and the snapshot of that number."""
        self._name, self._number = name, number
        self._samples: tuple[Sample, ...] = ()
        self._growth: Enlargement | None = None

    def keep(self, status: SnapshotStatus, now: Sample) -> None:
        """Keep what is seen now; a growth at once, whoever made it, all else not too often."""
        if not self._samples:
            # Another guard may have seen it grow before this one began.
            before = guard_reports.read(self._name, self._number)
            self._growth = before.last_growth if before and before.uuid == status.uuid else None
        is_same = bool(self._samples) and self._samples[-1].part == now.part
        more_bytes = now.total_bytes - self._samples[-1].total_bytes if is_same else 0
        if more_bytes > 0:
            self._growth = Enlargement(datetime.now(UTC).isoformat(timespec="seconds"), more_bytes)
        elif self._samples and now.seconds - self._samples[-1].seconds < SIGHTING_SECONDS:
            return
        self._samples = fill_rate.recent(self._samples, now, SIGHTING_RATE_SECONDS)
        if len(self._samples) > 1:
            rate = round(fill_rate.rate(self._samples), 1)
            guard_reports.write(self._name, Sighting(status.uuid, now.seconds, rate, self._growth), self._number)


def snapshot_status(snapshot: Snapshot) -> SnapshotStatus | None:
    """Return how full a snapshot is, None where it is gone; it is known by its device's UUID, names may change."""
    return device_mapper.snapshot_status(dm_name(snapshot.vg, snapshot.name), snapshot.dm_uuid)


def watch(session: Session, name: str, load: Callable[[str], Profile | None]) -> None:
    """Guard a profile that is up until it is down. Raises UsageError where it is not up, SnapshotLostError."""
    record = records.read(name)
    if record is None:
        raise UsageError(f"{name} is not up", hint=f"lvmsnap up {name} first, or use lvmsnap run")
    profile = named_profile.profile_of(record) or load(name)
    if profile is None:
        raise UsageError(f"the profile {name} cannot be read", hint=f"lvmsnap validate {name}")
    guarded = Guards(session, profile, record.target)
    with session.signals:
        while not session.signals.received and all(states := guarded.states()):
            if any(status is not None and status.is_lost for status in states):
                raise SnapshotLostError(f"the snapshot of {name} is lost", hint="do not trust what is read from it")
            time.sleep(guarded.look())
        if not session.signals.received and not _is_down(session, record):
            raise SnapshotLostError(f"the snapshot of {name} was removed by hand", hint=f"lvmsnap down {name}")


def _is_down(session: Session, record: Record) -> bool:
    """Whether `down` took it, or is about to be done: the record goes last, under the lock."""
    with sessions.walking(session, record.target.name):
        now = records.read(record.target.name)
        return now is None or replace(now, command=None) != replace(record, command=None)
