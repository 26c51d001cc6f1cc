"""The guard's messages about its snapshots: what it guards and what it does, and how full they are now. Pure."""

from __future__ import annotations

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.facts import SnapshotStatus
from lvmsnap.model.profile import Overflow
from lvmsnap.planning.run_summary import took_words
from lvmsnap.planning.sizing import human


@dataclass(frozen=True, slots=True)
class Filling:
    """A snapshot's present state: what the kernel reports, and how fast it fills."""

    origin: str
    status: SnapshotStatus
    bytes_per_second: float

    @property
    def fill_ratio(self) -> float:
        """How full it is, 0 to 1."""
        return self.status.used_bytes / self.status.total_bytes if self.status.total_bytes else 1.0

    @property
    def seconds_to_full(self) -> float:
        """In how many seconds it will be full at this rate; infinity if it is not filling."""
        left = self.status.total_bytes - self.status.used_bytes
        return left / self.bytes_per_second if self.bytes_per_second else float("inf")


def guarded(filling: Filling, name: str, overflow: Overflow) -> str:
    """Say what is guarded, and what the guard will do."""
    warned = f"warns at {overflow.warn_percent} %"
    if filling.status.pool:
        pool = filling.status.pool
        return f"guarding {name} in the thin pool {pool}, {_fill(filling)}: {warned}; LVM extends pools itself"
    grows = overflow.extend_percent < 100
    more = f"extends at {overflow.extend_percent} %" if grows else "does not extend"
    return f"guarding {name}, {_fill(filling)}: {warned}, {more}"


def now(name: str, fillings: tuple[Filling, ...]) -> str:
    """Say in one line how full a profile's snapshots are: of several, the first to become full, else the fullest."""
    if not fillings:
        return f"{name}: no snapshot found"
    first = min(fillings, key=lambda one: (one.seconds_to_full, -one.fill_ratio))
    if first.bytes_per_second:
        rate = f"{human(int(first.bytes_per_second))}/s, full in {took_words(first.seconds_to_full)}"
    else:
        rate = "not filling"
    which = f"first of {len(fillings)} to become full" if first.bytes_per_second else f"fullest of {len(fillings)}"
    of = f"{first.origin} ({which}), " if len(fillings) > 1 else ""
    return f"{name}: {of}{_fill(first)}, {rate}"


def _fill(filling: Filling) -> str:
    of = f"{filling.status.part} of {filling.status.pool}" if filling.status.pool else human(filling.status.total_bytes)
    return f"{100 * filling.fill_ratio:.1f} % of {of} used"
