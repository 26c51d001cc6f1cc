"""When a filling snapshot is looked at again, warned of and given more room, and how much. Pure arithmetic."""

from __future__ import annotations

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.facts import SnapshotStatus
from lvmsnap.model.profile import Allocation, Overflow

# Looking costs an ioctl; once a second it stays under a hundredth of a core even where system calls are slow.
LONGEST_SECONDS = 1.0
SHORTEST_SECONDS = 0.02
# How often the snapshot is looked at, at the least, while it fills up from what it was.
LOOKS_TO_FULL = 8
# Over how long the rate is taken: a burst of an instant says little.
RATE_SECONDS = 1.0
# How long added room is to last at the least: each growth stops all writers of the origin for a moment.
ROOM_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Sample:
    """How full the snapshot was at a moment; `seconds` are of any one clock. `part` is that of its thin pool."""

    seconds: float
    used_bytes: int
    total_bytes: int
    part: str = ""

    @property
    def fill_percent(self) -> float:
        """How full it is."""
        return 100 * self.used_bytes / self.total_bytes if self.total_bytes else 100.0


def sample(status: SnapshotStatus, seconds: float) -> Sample:
    """Return what the kernel says as a sample."""
    return Sample(seconds, status.used_bytes, status.total_bytes, status.part)


def recent(samples: tuple[Sample, ...], now: Sample, seconds: float = RATE_SECONDS) -> tuple[Sample, ...]:
    """Return the samples that the rate is taken from, with `now` as the last: those of `seconds`, and one before."""
    samples = tuple(sample for sample in samples if sample.part == now.part)
    kept = [sample for sample in samples if now.seconds - sample.seconds < seconds]
    return (*samples[: len(samples) - len(kept)][-1:], *kept, now)


def rate(samples: tuple[Sample, ...]) -> float:
    """Return how fast it fills, in bytes a second, from the first of the samples to the last; 0 for less than two."""
    if len(samples) < 2:
        return 0.0
    before, now = samples[0], samples[-1]
    if now.seconds <= before.seconds:
        return 0.0
    return max(0, now.used_bytes - before.used_bytes) / (now.seconds - before.seconds)


def seconds_to_full(now: Sample, bytes_per_second: float) -> float:
    """Return when it will be full at this rate; infinity where it does not fill."""
    return (now.total_bytes - now.used_bytes) / bytes_per_second if bytes_per_second else float("inf")


def next_look_seconds(now: Sample, bytes_per_second: float) -> float:
    """Return after how long to look again, so that at this rate it cannot pass from below extend_at to full unseen."""
    return min(LONGEST_SECONDS, max(SHORTEST_SECONDS, seconds_to_full(now, bytes_per_second) / LOOKS_TO_FULL))


def is_warned(now: Sample, overflow: Overflow) -> bool:
    """Whether it is full enough for a warning."""
    return now.fill_percent >= overflow.warn_percent


def is_extended(now: Sample, overflow: Overflow, bytes_per_second: float, seconds_to_grow: float) -> bool:
    """Whether it is to be given more room: it is full enough, or would be full before more could be added.

    With extend_at 100 % it never is.
    """
    in_time = seconds_to_full(now, bytes_per_second) > 2 * seconds_to_grow
    return overflow.extend_percent < 100 and (now.fill_percent >= overflow.extend_percent or not in_time)


def wanted_bytes(now: Sample, overflow: Overflow, bytes_per_second: float, seconds: float) -> int:
    """Return how much room to add: extend_by, and at least what fills up in so many seconds."""
    return max(now.total_bytes * overflow.by_percent // 100, int(bytes_per_second * seconds))


def room_seconds(seconds_to_grow: float, allocation: Allocation) -> float:
    """Return for how long the room that is added is to last: twice as long as the next growth takes, and for a while.

    Where the file is filled with zeros it takes the longer the more is added: a while would come too late.
    """
    while_seconds = 0.0 if allocation is Allocation.ZERO_FILL else ROOM_SECONDS
    return max(2 * seconds_to_grow, while_seconds)
