"""The guard at work: looks at a standing snapshot's fill, warns, and gives it more room before it is full."""

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
from lvmsnap.model.lvm_names import dm_name
from lvmsnap.model.profile import Allocation, Argv, Profile
from lvmsnap.model.target import Record, Target
from lvmsnap.operations import named_profile, session
from lvmsnap.operations.session import Session
from lvmsnap.planning import fill_rate, growth
from lvmsnap.planning.fill_rate import Sample
from lvmsnap.planning.identify import find
from lvmsnap.planning.sizing import human
from lvmsnap.system import device_mapper, reading
from lvmsnap.system.reading import Interest

# What giving more room is taken to last before it was seen once: LVM is slow where the disks are busy, and it
# waits until all that was written to the origin and is still in memory is on the disks.
FIRST_GROWTH_SECONDS = 5.0
# A snapshot that could not grow is tried again after so long: somebody may have made room.
RETRY_SECONDS = 10.0
# What is seen is kept for `status` so often, with the rate over so long: people and graphs look seldom.
SIGHTING_SECONDS = 1.0
SIGHTING_RATE_SECONDS = 10.0


class Guard:
    """Watches one snapshot. `look` is called again and again, each time after as long as it said."""

    def __init__(self, working: Session, loaded: Profile, target: Target, clock: Callable[[], float] = time.monotonic):
        """Guard the snapshot of `target`, by the rules of profile `loaded`."""
        self._working, self._profile, self._target, self._clock = working, loaded, target, clock
        self._name = dm_name(target.vg, target.snapshot)
        self._samples: tuple[Sample, ...] = ()
        self._is_warned = False
        self._growth_seconds = FIRST_GROWTH_SECONDS
        self._stuck_until = 0.0
        self._told: set[str] = set()
        self._lookout = Lookout(target.name)

    def is_lost(self) -> bool:
        """Whether the snapshot is gone, or overflowed."""
        status = device_mapper.snapshot_status(self._name)
        return status is None or status.is_lost

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
            self._working.progress.note(f"warning: {text}")

    def _look(self) -> float:
        status = device_mapper.snapshot_status(self._name)
        if status is None or status.is_lost:
            return fill_rate.LONGEST_SECONDS
        now = fill_rate.sample(status, self._clock())
        self._samples = fill_rate.recent(self._samples, now)
        self._lookout.keep(status, now)
        rate = fill_rate.rate(self._samples)
        if fill_rate.is_warned(now, self._profile.overflow) and not self._is_warned:
            self._is_warned = True
            self._tell(now, rate, "")
        extended = fill_rate.is_extended(now, self._profile.overflow, rate, self._growth_seconds)
        if extended and now.seconds >= self._stuck_until:
            self._grow(now, rate)
            return fill_rate.SHORTEST_SECONDS
        return fill_rate.next_look_seconds(now, rate)

    def _grow(self, now: Sample, rate: float) -> None:
        backing = self._profile.backing_file
        seconds = fill_rate.room_seconds(self._growth_seconds, backing.allocation if backing else Allocation.FALLOCATE)
        wanted_bytes = fill_rate.wanted_bytes(now, self._profile.overflow, rate, seconds)
        try:
            with session.walking(self._working, self._target.name):
                reason = self._grow_locked(wanted_bytes)
        except Exception as error:
            reason = explained(error)
        took_seconds = self._clock() - now.seconds
        self._growth_seconds = max(self._growth_seconds, took_seconds)
        if reason:
            self._stuck_until = self._clock() + RETRY_SECONDS
            self._complain(now, rate, reason)
        elif fill_rate.seconds_to_full(now, rate) < took_seconds:
            self._complain(now, rate, growth.LATE)

    def _grow_locked(self, wanted_bytes: int) -> str:
        """Give the snapshot more room; return why it has none, "" where it has."""
        target = self._target
        system = session.read_changing(self._working, (target.vg,))
        system = reading.focus(system, Interest.of_target(target))
        written = records.read(target.name)
        found = find(written.target if written else target, system, written)
        planned = growth.plan(target, self._profile.backing_file, found, system, wanted_bytes)
        if not planned.commands:
            return planned.reason
        if complaint := run_all(planned.filling, self._working.runner) or self._run_locked(planned.commands):
            return complaint
        more = human(planned.extents * target.extent_size_bytes)
        self._working.progress.note(f"{target.vg}/{target.snapshot} was given {more} more")
        return ""

    def _run_locked(self, commands: tuple[Argv, ...]) -> str:
        """Run LVM's part of it, for which alone the group is locked: nobody waits while the file is filled."""
        held = GroupLocks(self._working.runner, self._working.waiting())
        held.hold((self._target.vg,), with_pvs=self._target.lent_pv is not None)
        try:
            return run_all(commands, self._working.runner)
        finally:
            held.release()

    def _complain(self, now: Sample, rate: float, reason: str) -> None:
        if reason in self._told:
            return
        self._told.add(reason)
        if reason == growth.ENOUGH:
            self._working.progress.note(f"{self._target.vg}/{self._target.snapshot} cannot become full: {reason}")
        else:
            self._tell(now, rate, f"; {reason}" if reason == growth.LATE else f"; it cannot grow: {reason}")

    def _tell(self, now: Sample, rate: float, more: str) -> None:
        left = fill_rate.seconds_to_full(now, rate)
        when = f"full in {left:.0f} s at the present rate" if left < float("inf") else "not filling at present"
        name = f"{self._target.vg}/{self._target.snapshot}"
        self._working.progress.warn(f"{name} is {now.fill_percent:.0f} % full, {when}{more}")


class Lookout:
    """Keeps what a guard sees for `status`: how fast the snapshot fills, and when it was last given more room."""

    def __init__(self, name: str) -> None:
        """Keep it for the profile of that name."""
        self._name = name
        self._samples: tuple[Sample, ...] = ()
        self._growth: Enlargement | None = None

    def keep(self, status: SnapshotStatus, now: Sample) -> None:
        """Keep what is seen now; a growth at once, whoever made it, all else not too often."""
        if not self._samples:
            # Another guard may have seen it grow before this one began.
            before = guard_reports.read(self._name)
            self._growth = before.last_growth if before and before.uuid == status.uuid else None
        more_bytes = now.total_bytes - self._samples[-1].total_bytes if self._samples else 0
        if more_bytes > 0:
            self._growth = Enlargement(datetime.now(UTC).isoformat(timespec="seconds"), more_bytes)
        elif self._samples and now.seconds - self._samples[-1].seconds < SIGHTING_SECONDS:
            return
        self._samples = fill_rate.recent(self._samples, now, SIGHTING_RATE_SECONDS)
        if len(self._samples) > 1:
            rate = round(fill_rate.rate(self._samples), 1)
            guard_reports.write(self._name, Sighting(status.uuid, now.seconds, rate, self._growth))


def watch(working: Session, name: str, load: Callable[[str], Profile | None]) -> None:
    """Guard a profile that is up until it is down. Raises UsageError where it is not up, SnapshotLostError."""
    written = records.read(name)
    if written is None:
        raise UsageError(f"{name} is not up", hint=f"lvmsnap up {name} first, or use lvmsnap run")
    loaded = named_profile.profile_of(written) or load(name)
    if loaded is None:
        raise UsageError(f"the profile {name} cannot be read", hint=f"lvmsnap validate {name}")
    guarded = Guard(working, loaded, written.target)
    device = dm_name(written.target.vg, written.target.snapshot)
    with working.signals:
        while not working.signals.received and (status := device_mapper.snapshot_status(device)):
            if status.is_lost:
                raise SnapshotLostError(f"the snapshot of {name} is lost", hint="do not trust what is read from it")
            time.sleep(guarded.look())
        if not working.signals.received and not _is_down(working, written):
            raise SnapshotLostError(f"the snapshot of {name} was removed by hand", hint=f"lvmsnap down {name}")


def _is_down(working: Session, written: Record) -> bool:
    """Whether `down` took it, or is about to be done: the record goes last, under the lock."""
    with session.walking(working, written.target.name):
        now = records.read(written.target.name)
        return now is None or replace(now, command=None) != replace(written, command=None)
