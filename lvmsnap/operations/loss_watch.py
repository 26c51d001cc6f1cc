"""Watches that the snapshots given to a backup stay the same: if not, what it read is worthless."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from lvmsnap.model.profile import Profile
from lvmsnap.model.target import Loss, Target
from lvmsnap.operations.given_snapshots import Unmounts, look, why_hidden, why_lost
from lvmsnap.operations.sessions import Session
from lvmsnap.operations.watch import Guards


class LossWatch:
    """The guard of a target that is up, and the first loss that was seen; `look` must be called repeatedly.

    `tell` is called with a loss as soon as it is seen.
    """

    def __init__(self, session: Session, profile: Profile, target: Target, tell: Callable[[Loss], None]) -> None:
        """Watch the target as it is now, by the rules of `profile`."""
        self._target, self._tell = target, tell
        self._before, self.guards = look(target), Guards(session, profile, target)
        self._unmounts = [Unmounts(stand.mountpoint) for stand in self._before]
        self.lost: Loss | None = None

    def look(self) -> float:
        """Look once, give more room if needed; return in how many seconds to look again.

        It raises nothing: what cannot be seen now is seen at the end.
        """
        with suppress(Exception):
            if self.lost is None and (lost := self._lost_now()):
                self.lost = lost
                self._tell(lost)
        return self.guards.look()

    def at_the_end(self) -> Loss | None:
        """Return how a snapshot was lost since this began, None if none was."""
        if lost := self.lost or why_lost(self._before, self._target):
            return lost
        return self._unmounted()

    def close(self) -> None:
        """Stop watching for unmounts."""
        for one in self._unmounts:
            one.close()

    def _lost_now(self) -> Loss | None:
        if lost := why_hidden(self._before) or self._unmounted():
            return lost
        return why_lost(self._before, self._target) if self.guards.is_lost() else None

    def _unmounted(self) -> Loss | None:
        unmounted = next((one.mountpoint for one in self._unmounts if one.happened()), "")
        return Loss(f"{unmounted} was unmounted for a while") if unmounted else None
