"""When to look at a filling snapshot again, to warn, and to give it more room, and how much. Pure arithmetic."""

from __future__ import annotations

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.facts import SnapshotStatus
from lvmsnap.model.profile import Allocation, Overflow

# A look costs one ioctl; once a second, that is less than 1 % of a core even where system calls are slow.
LONGEST_SECONDS = 1.0
SHORTEST_SECONDS = 0.02
# The least number of looks while the snapshot fills up from its present level.
LOOKS_TO_FULL = 8
# The rate is averaged over this time: a short burst says little.
RATE_SECONDS = 1.0
# Added room should last at least this long: each extension blocks all writers of the origin for a moment.
ROOM_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Sample:
    """How full the snapshot was at a moment, `seconds` by any one clock. `part`: its thin pool's data or metadata."""

    seconds: float
    used_bytes: int
    total_bytes: int
    part: str = ""

    @property
    def fill_percent(self) -> float:
        """How full it is."""
        return 100 * self.used_bytes / self.total_bytes if self.total_bytes else 100.0


def sample(status: SnapshotStatus, seconds: float) -> Sample:
    """Return the kernel's status as a sample."""
    return Sample(seconds, status.used_bytes, status.total_bytes, status.part)


def recent(samples: tuple[Sample, ...], now: Sample, seconds: float = RATE_SECONDS) -> tuple[Sample, ...]:
    """Return the samples that the rate is computed from, `now` last: those of the last `seconds`, and one before."""
    samples = tuple(sample for sample in samples if sample.part == now.part)
    kept = [sample for sample in samples if now.seconds - sample.seconds < seconds]
    return (*samples[: len(samples) - len(kept)][-1:], *kept, now)


def rate(samples: tuple[Sample, ...]) -> float:
    """Return the fill rate from the first sample to the last, in bytes per second; 0 for fewer than two samples."""
    if len(samples) < 2:
        return 0.0
    before, now = samples[0], samples[-1]
    if now.seconds <= before.seconds:
        return 0.0
    return max(0, now.used_bytes - before.used_bytes) / (now.seconds - before.seconds)


def seconds_to_full(now: Sample, bytes_per_second: float) -> float:
    """Return in how many seconds it will be full at this rate; infinity if it is not filling."""
    return (now.total_bytes - now.used_bytes) / bytes_per_second if bytes_per_second else float("inf")


def next_look_seconds(now: Sample, bytes_per_second: float) -> float:
    """Return in how many seconds to look again, so it cannot go from below extend_at to full unseen at this rate."""
    return min(LONGEST_SECONDS, max(SHORTEST_SECONDS, seconds_to_full(now, bytes_per_second) / LOOKS_TO_FULL))


def is_warned(now: Sample, overflow: Overflow) -> bool:
    """Whether it is full enough for a warning."""
    return now.fill_percent >= overflow.warn_percent


def is_extended(now: Sample, overflow: Overflow, bytes_per_second: float, seconds_to_grow: float) -> bool:
    """Whether to give it more room: it is full enough, or would be full before more could be added.

    Never with extend_at 100 %.
    """
    in_time = seconds_to_full(now, bytes_per_second) > 2 * seconds_to_grow
    return overflow.extend_percent < 100 and (now.fill_percent >= overflow.extend_percent or not in_time)


def wanted_bytes(now: Sample, overflow: Overflow, bytes_per_second: float, seconds: float) -> int:
    """Return how many bytes to add: extend_by, but at least what fills up in `seconds`."""
    return max(now.total_bytes * overflow.by_percent // 100, int(bytes_per_second * seconds))


def room_seconds(seconds_to_grow: float, allocation: Allocation) -> float:
    """Return how many seconds the added room should last: twice the time of the next growth, at least ROOM_SECONDS.

    With zero-fill there is no minimum: the more is added the longer that takes, and it would come too late.
    """
    while_seconds = 0.0 if allocation is Allocation.ZERO_FILL else ROOM_SECONDS
    return max(2 * seconds_to_grow, while_seconds)
