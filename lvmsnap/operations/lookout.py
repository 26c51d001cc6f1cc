"""Keeps what a guard sees for `status`: how fast a snapshot fills, and when it was last given more room."""

from __future__ import annotations

from datetime import UTC, datetime

from lvmsnap.execution import guard_reports
from lvmsnap.model.facts import Enlargement, Sighting, SnapshotStatus
from lvmsnap.planning import fill_rate
from lvmsnap.planning.fill_rate import Sample

# How often to keep a sighting for `status`, and over how long to average its rate: people and graphs look seldom.
SIGHTING_SECONDS = 1.0
SIGHTING_RATE_SECONDS = 10.0


class Lookout:
    """Keeps what a guard sees for `status`: how fast the snapshot fills, and when it was last given more room."""

    def __init__(self, name: str, number: int = 1) -> None:
        """Keep it for snapshot `number` of profile `name`."""
        self._name, self._number = name, number
        self._samples: tuple[Sample, ...] = ()
        self._growth: Enlargement | None = None

    def rate(self) -> float:
        """Return how fast it fills, in bytes per second, averaged for a person."""
        return fill_rate.rate(self._samples)

    def keep(self, status: SnapshotStatus, now: Sample) -> None:
        """Keep what is seen now: a growth at once, whoever made it, anything else not too often."""
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
