"""Gives snapshots that are up more room: all that need it at the same time together, so that none waits for another."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from lvmsnap.execution.context import run_all
from lvmsnap.execution.locks import GroupLocks
from lvmsnap.model.dataclass import replace
from lvmsnap.model.errors import RefusedError, explained
from lvmsnap.model.facts import Facts, VolumeGroup
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.profile import Argv
from lvmsnap.model.target import Snapshot, Target
from lvmsnap.operations.sessions import Session
from lvmsnap.operations.watched import Watched
from lvmsnap.planning import growth
from lvmsnap.planning.growth import Ask, Growth, Room
from lvmsnap.planning.half_made import suspended_devices
from lvmsnap.planning.identify import Found, find
from lvmsnap.planning.sizing import human
from lvmsnap.planning.snapshot_actions import refreshed
from lvmsnap.system import device_mapper, reading
from lvmsnap.system.reading import Interest

# How often to plan again if a snapshot, or its group, is renamed before it got more room.
PLANS = 5
# With several groups, how long to wait for a locked one: meanwhile nobody guards the others.
PATIENCE_SECONDS = 5.0
# How often to resume an origin that a killed command left suspended.
RESUMES = 3


class MoreRoom:
    """Gives more room to the snapshots of one target."""

    def __init__(self, session: Session, target: Target, watched: Sequence[Watched]):
        """Give room to the `watched` snapshots."""
        self._working, self._target = session, target
        self._watched = {one.number: one for one in watched}

    def give(self, asks: Sequence[Ask]) -> dict[int, str]:
        """Give more room to those that are due; return for each, by its number, why it got none, "" if it did."""
        reasons: dict[int, str] = {}
        for _ in range(PLANS):
            reasons |= self._plan_and_give(asks)
            # What failed because of an old name is tried again with the new one; waiting would not help.
            again = {number for number, why in reasons.items() if why and self._is_renamed(number)}
            asks = [ask for ask in asks if ask.number in again or not ask.is_due]
            if not again:
                break
        return reasons

    def _is_renamed(self, number: int) -> bool:
        one = self._watched[number]
        return one.name() != one.snapshot.path

    def _plan_and_give(self, asks: Sequence[Ask]) -> dict[int, str]:
        system = reading.read_system(self._working.runner, locking=False)
        system = reading.focus(system, Interest.of_target(self._target))
        found = find(self._target, system)
        there = [ask for ask in asks if self._is_there(ask.number, found)]
        reasons = {ask.number: growth.ABSENT for ask in asks if ask.is_due and ask not in there}
        return reasons | self._give_each(growth.plan(self._target, found, there, system), found, system)

    def _give_each(self, rooms: tuple[Room, ...], found: Found, system: Facts) -> dict[int, str]:
        """Give what each group has; a locked group delays no other, and leaves none unwatched for long."""
        patience = PATIENCE_SECONDS if len(self._target.groups) > 1 else self._working.wait_seconds
        reasons: dict[int, str] = {}
        locked: list[Room] = []
        for room in rooms:
            try:
                reasons |= self._give(room, found, system, patience if len(rooms) == 1 else 0.0)
            except RefusedError as error:
                locked.append(replace(room, filling=()))
                reasons |= {one.number: one.reason or explained(error) for one in room.growths}
        for room in locked if len(rooms) > 1 else ():
            with suppress(RefusedError):
                reasons |= self._give(room, found, system, patience)
        return reasons

    def _is_there(self, number: int, found: Found) -> bool:
        """Whether it is still this very snapshot; if so, note the current names of it and its group."""
        one, watched = found.snapshots[number - 1], self._watched[number]
        if one.lv is None or one.vg is None or dm_uuid(one.vg.uuid, one.lv.uuid) != watched.uuid():
            return False
        watched.snapshot = one.snapshot
        return True

    def _give(self, room: Room, found: Found, system: Facts, patience: float) -> dict[int, str]:
        """Give what a group has. Raises RefusedError if it is still locked after `patience` seconds."""
        reasons = {one.number: one.reason for one in room.growths}
        wanted, vg = [one for one in room.growths if one.commands], system.vg(room.vg)
        if not wanted or vg is None:
            return reasons
        complaint = run_all(room.filling, self._working.runner)
        if complaint:
            return reasons | {one.number: complaint for one in wanted}
        # Only LVM's part needs the group locked: nobody has to wait while the file is filled.
        waiting = self._working.waiting()
        waiting.seconds = min(waiting.seconds, patience)
        held = GroupLocks(self._working.runner, waiting)
        held.hold((room.vg,), with_pvs=found.loan_to(room.vg) is not None)
        try:
            resizing = room.resizing
            for one in wanted:
                reasons[one.number] = self._extend(one, resizing, found, vg)
                resizing = resizing if reasons[one.number] else ()
        finally:
            held.release()
        return reasons

    def _extend(self, one: Growth, first: tuple[Argv, ...], found: Found, vg: VolumeGroup) -> str:
        watched = self._watched[one.number]
        path = watched.snapshot.path
        # It may have been renamed during the wait for the lock, or while the file was filled.
        if (name := watched.name()) != path:
            return f"{path} was renamed to {name}"
        complaint = self._run((*first, *one.commands), watched.snapshot)
        extents = one.extents
        # Not all free extents are usable: the group's policy may forbid it, or others take some at the same time.
        while growth.NO_ROOM in complaint and extents > 1:
            extents //= 2
            commands = growth.extend(self._target, found, one.number, extents, vg)
            complaint = self._run(commands, watched.snapshot)
        if not complaint:
            more = human(extents * vg.extent_size_bytes)
            self._working.progress.note(watched.worded(f"{path} was extended by {more}"))
        return complaint

    def _run(self, commands: tuple[Argv, ...], snapshot: Snapshot) -> str:
        """Run LVM's commands; return what went wrong, "" if nothing did.

        LVM suspends the origin while it extends a snapshot: if killed then, it would leave all writers blocked until
        `down`.
        """
        complaint = run_all(commands, self._working.runner, self._working.progress.warn)
        stuck = ""
        for _ in range(RESUMES if complaint else 0):
            if not suspended_devices(snapshot, device_mapper.devices()):
                return complaint
            stuck = run_all((refreshed(snapshot),), self._working.runner)
        return f"{complaint}; {snapshot.origin_path} is suspended: {stuck}" if stuck else complaint
