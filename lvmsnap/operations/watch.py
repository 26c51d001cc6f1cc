"""The guard at work: looks at how full a snapshot is, warns, and gives it more room before it is full."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from lvmsnap.execution import records
from lvmsnap.execution.context import run_all
from lvmsnap.execution.locks import GroupLocks
from lvmsnap.model.dataclass import replace
from lvmsnap.model.errors import SnapshotLostError, UsageError, explained
from lvmsnap.model.facts import SnapshotStatus
from lvmsnap.model.past_run import Peak
from lvmsnap.model.profile import Allocation, Profile
from lvmsnap.model.target import Loss, Record, Target
from lvmsnap.operations import named_profile, sessions
from lvmsnap.operations.lookout import Lookout
from lvmsnap.operations.more_room import MoreRoom
from lvmsnap.operations.sessions import Session
from lvmsnap.operations.watched import Watched
from lvmsnap.planning import fill_rate, growth, growth_actions, guard_words, peaks
from lvmsnap.planning.fill_rate import LONGEST_SECONDS, Sample
from lvmsnap.planning.growth import Ask
from lvmsnap.planning.guard_words import Filling
from lvmsnap.planning.state import OVERFLOWED, POOL_FAILED, REMOVED, loss, whose_snapshot
from lvmsnap.system import dmeventd

Clock = Callable[[], float]

# How long giving more room is assumed to take until it was measured: LVM is slow while the disks are busy, and it waits
# until the origin's dirty pages are on the disks.
FIRST_GROWTH_SECONDS = 5.0
# When to try again if a snapshot could not grow: somebody may have made room.
RETRY_SECONDS = 10.0
# How often to check whether dmeventd monitors the snapshot, normally and once its fill was warned of. An lvcreate or
# vgchange by somebody else, or a restart of lvm2-monitor.service, makes dmeventd monitor every snapshot.
UNWATCH_SECONDS, SOON_UNWATCH_SECONDS = 30.0, 5.0
# When to try again if the room is reserved for another snapshot: sooner, since rates change.
KEPT_SECONDS = 2.0


class Guard:
    """Watches one snapshot of a target. `look` must be called repeatedly, each time after the seconds it returned."""

    def __init__(self, session: Session, profile: Profile, target: Target, watched: Watched, clock: Clock):
        """Guard a snapshot by the rules of `profile`."""
        self._working, self._clock, self._watched = session, clock, watched
        self._overflow = profile.overflow
        self._backing = profile.backing_file(profile.volumes[watched.number - 1].vg)
        self._samples: tuple[Sample, ...] = ()
        self._is_warned = False
        self._stuck_until = 0.0
        self._unwatched_until = 0.0
        self._told: set[str] = set()
        self._lookout = Lookout(target.name, watched.number)
        # What it asked for at the last look; None if it should get no more room.
        self.ask: Ask | None = None
        # The highest fill seen so far, and the last status.
        self.peak: Peak | None = None
        self._seen: SnapshotStatus | None = None

    def look(self, growth_seconds: float) -> float:
        """Look once, do what is needed, return in how many seconds to look again. It raises nothing.

        `growth_seconds` is how long giving it more room may take.
        """
        self.ask = None
        try:
            return self._look(growth_seconds)
        except Exception as error:
            self.say_once(f"the guard could not check {self._watched.snapshot.path}: {explained(error)}")
            return fill_rate.LONGEST_SECONDS

    def say_once(self, text: str) -> None:
        """Print a warning, unless it was printed before."""
        if text not in self._told:
            self._told.add(text)
            self._working.progress.warn(self._watched.worded(text))

    def _look(self, growth_seconds: float) -> float:
        status = self._seen = self._watched.status()
        if status is None or status.is_lost:
            return fill_rate.LONGEST_SECONDS
        self.peak = peaks.higher(self.peak, self._watched.snapshot, status)
        now = fill_rate.sample(status, self._clock())
        self._samples = fill_rate.recent(self._samples, now)
        self._lookout.keep(status, now)
        rate = fill_rate.rate(self._samples)
        if fill_rate.is_warned(now, self._overflow) and not self._is_warned:
            self._is_warned = True
            self._unwatched_until = now.seconds
            self._tell(now, rate, "")
        # LVM itself extends a thin pool, as lvm.conf says, and dmeventd should monitor it.
        if status.pool:
            return fill_rate.next_look_seconds(now, rate)
        if now.seconds >= self._stuck_until:
            self.ask = self._asked(now, rate, growth_seconds)
        if self.ask and self.ask.is_due:
            return fill_rate.SHORTEST_SECONDS
        if now.seconds >= self._unwatched_until:
            self._unwatched_until = now.seconds + (SOON_UNWATCH_SECONDS if self._is_warned else UNWATCH_SECONDS)
            self._unwatch()
        return fill_rate.next_look_seconds(now, rate)

    def _asked(self, now: Sample, rate: float, growth_seconds: float) -> Ask:
        allocation = self._backing.allocation if self._backing else Allocation.FALLOCATE
        seconds = fill_rate.room_seconds(growth_seconds, allocation)
        return Ask(
            number=self._watched.number,
            wanted_bytes=fill_rate.wanted_bytes(now, self._overflow, rate, seconds),
            left_bytes=now.total_bytes - now.used_bytes,
            bytes_per_second=rate,
            is_due=fill_rate.is_extended(now, self._overflow, rate, growth_seconds),
            largest_file_bytes=self._backing.max_size_bytes if self._backing else None,
        )

    def filling(self) -> Filling | None:
        """Return its state at the last look, None if it was gone or lost."""
        origin, status = self._watched.snapshot.origin_path, self._seen
        return Filling(origin, status, self._lookout.rate()) if status and not status.is_lost else None

    def introduce(self) -> None:
        """Say what is guarded, and what the guard will do. It raises nothing."""
        with suppress(Exception):
            self._seen = self._watched.status()
            if filling := self.filling():
                text = guard_words.guarded(filling, self._watched.name(), self._overflow)
                self._working.progress.note(self._watched.worded(text))

    def look_at_peak(self) -> None:
        """Update the peak, and do nothing else."""
        if status := self._watched.status():
            self.peak = peaks.higher(self.peak, self._watched.snapshot, status)

    def was_given(self, reasons: Mapping[int, str], took_seconds: float) -> None:
        """Warn if it got no more room, or got it late; `reasons` say why it got none, by the snapshots' numbers."""
        try:
            self._was_given(reasons.get(self._watched.number, ""), took_seconds)
        except Exception as error:
            self.say_once(f"the guard could not check {self._watched.snapshot.path}: {explained(error)}")

    def _was_given(self, reason: str, took_seconds: float) -> None:
        now, rate = self._samples[-1], fill_rate.rate(self._samples)
        if reason:
            self._stuck_until = self._clock() + (KEPT_SECONDS if reason == growth.KEPT else RETRY_SECONDS)
            self._complain(now, rate, reason)
        elif fill_rate.seconds_to_full(now, rate) < took_seconds:
            self._complain(now, rate, growth.LATE)

    def _unwatch(self) -> None:
        """Stop dmeventd from monitoring the snapshot, if it does: it would unmount the snapshot once it is full."""
        if not dmeventd.watches_snapshots() or not dmeventd.watches(self._working.runner, name := self._watched.name()):
            return
        if complaint := self._unwatch_locked(name):
            text = f"dmeventd will unmount {name} once it is full; its monitoring could not be turned off"
            self.say_once(f"{text}: {complaint}")
        else:
            text = f"turned off dmeventd's monitoring of {name}: it would unmount {name} once it is full"
            self._working.progress.note(self._watched.worded(text))

    def _unwatch_locked(self, name: str) -> str:
        held = GroupLocks(self._working.runner, self._working.waiting())
        held.hold((name.partition("/")[0],), with_pvs=False)
        try:
            # It may have been renamed during the wait for the lock.
            if (now := self._watched.name()) != name:
                return f"{name} was renamed to {now}"
            return run_all((growth_actions.unwatch(name),), self._working.runner)
        finally:
            held.release()

    def _complain(self, now: Sample, rate: float, reason: str) -> None:
        if reason in self._told:
            return
        self._told.add(reason)
        if reason == growth.ENOUGH:
            self._working.progress.note(self._watched.worded(f"{self._watched.name()} cannot become full: {reason}"))
        else:
            self._tell(now, rate, f"; {reason}" if reason == growth.LATE else f"; it cannot grow: {reason}")

    def _tell(self, now: Sample, rate: float, more: str) -> None:
        left = fill_rate.seconds_to_full(now, rate)
        when = f"full in {left:.0f} s at the present rate" if left < float("inf") else "not filling at present"
        text = f"{self._what_fills()} is {now.fill_percent:.0f} % full, {when}{more}"
        self._working.progress.warn(self._watched.worded(text))

    def _what_fills(self) -> str:
        status, name = self._watched.status(), self._watched.name()
        if status and status.pool:
            return f"the {status.part} of {status.pool}, the thin pool of {name},"
        return name


class Guards:
    """Watches all snapshots of a target: they are lost together, and get more room together if they need it."""

    def __init__(self, session: Session, profile: Profile, target: Target, clock: Clock = time.monotonic):
        """Guard every snapshot by the rules of `profile`."""
        self._working, self._target, self._clock = session, target, clock
        self._watched = [Watched(target, number) for number in range(1, len(target.snapshots) + 1)]
        self._guards = {one.number: Guard(session, profile, target, one, clock) for one in self._watched}
        self._more_room = MoreRoom(session, target, self._watched)
        self._growth_seconds = FIRST_GROWTH_SECONDS

    def lost(self) -> Loss | None:
        """Return which of them is lost, and how, None if none is; an overflow takes precedence over a removal."""
        states = [(one, one.status()) for one in self._watched]
        lost = [(one, POOL_FAILED if now.pool else OVERFLOWED) for one, now in states if now and now.is_lost]
        lost += [(one, REMOVED) for one, now in states if now is None]
        return next((loss(self._target, one.number, how) for one, how in lost), None)

    def is_lost(self) -> bool:
        """Whether one of them is gone, or overflowed."""
        return self.lost() is not None

    def look(self) -> float:
        """Look at each once, and give more room to those that need it; return in how many seconds to look again.

        It raises nothing: an error of the guard must not end the backup that it guards.
        """
        guards = list(self._guards.values())
        seconds = min((guard.look(self._growth_seconds) for guard in guards), default=LONGEST_SECONDS)
        asks = [guard.ask for guard in guards if guard.ask]
        if due := [self._guards[ask.number] for ask in asks if ask.is_due]:
            began = self._clock()
            reasons = self._give(asks)
            took_seconds = self._clock() - began
            self._growth_seconds = max(self._growth_seconds, took_seconds)
            for guard in due:
                guard.was_given(reasons, took_seconds)
        return seconds

    def introduce(self) -> None:
        """Say for each what is guarded, and what the guard will do."""
        for guard in self._guards.values():
            guard.introduce()

    def show(self) -> None:
        """Show how full they are now, on a terminal."""
        fillings = (guard.filling() for guard in self._guards.values())
        self._working.progress.live(guard_words.now(self._target.name, tuple(filter(None, fillings))))

    def peaks(self) -> tuple[Peak, ...]:
        """Look once more, and return the highest fill of each, in the order of the profile."""
        for guard in self._guards.values():
            guard.look_at_peak()
        return tuple(guard.peak for guard in self._guards.values() if guard.peak)

    def _give(self, asks: list[Ask]) -> dict[int, str]:
        try:
            with sessions.walking(self._working, self._target.name):
                return self._more_room.give(asks)
        except Exception as error:
            return {ask.number: explained(error) for ask in asks}


def watch(session: Session, name: str, load: Callable[[str], Profile | None]) -> None:
    """Guard a profile that is up until it is down. Raises UsageError if it is not up, SnapshotLostError."""
    record = records.read(name)
    if record is None:
        raise UsageError(f"{name} is not up", hint=f"lvmsnap up {name} first, or use lvmsnap run")
    profile = named_profile.profile_of(record) or load(name)
    if profile is None:
        raise UsageError(f"the profile {name} cannot be read", hint=f"lvmsnap validate {name}")
    guarded = Guards(session, profile, record.target)
    lost: Loss | None = None
    with session.signals:
        guarded.introduce()
        while not session.signals.received and (lost := guarded.lost()) is None:
            seconds = guarded.look()
            guarded.show()
            time.sleep(seconds)
        if session.signals.received and not guarded.is_lost():
            session.progress.note(f"{name} stays up, no longer guarded: lvmsnap down {name} takes it down")
        if session.signals.received or lost is None or (lost.how == REMOVED and _is_down(session, record)):
            return
    what = whose_snapshot(name, lost)
    if lost.how == REMOVED:
        raise SnapshotLostError(f"{what} was removed by hand", hint=f"lvmsnap down {name}")
    raise SnapshotLostError(f"{what} is lost: {lost.how}", hint="do not trust what is read from it")


def _is_down(session: Session, record: Record) -> bool:
    """Whether `down` removed it, or is just finishing: the record is removed last, under the lock."""
    with sessions.walking(session, record.target.name):
        now = records.read(record.target.name)
        return now is None or replace(now, command=None) != replace(record, command=None)
