"""How a run or a hold ended, and how full its snapshots became: what the history keeps of it. No behaviour."""

from __future__ import annotations

from enum import Enum

from lvmsnap.model.dataclass import dataclass

# What stands in the place of the command of a hold, which starts none.
HOLD = "lvmsnap hold"


class Result(Enum):
    """How a run ended, in a word."""

    OK = "ok"
    FAILED = "failed"
    LOST = "lost"
    NEVER_STARTED = "never started"
    INTERRUPTED = "interrupted"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Peak:
    """The fullest that a snapshot was seen: how much of its space was used then, and how large that was at the time.

    `first_size_bytes` is how large it was at first: less where it was given more room. `enough_bytes` is the size that
    would have sufficed with room to spare, 0 where nobody knows. A thin snapshot has no space of its own: all is then
    of its `pool`, VG/LV, and of the `part` that was the fuller one, "data" or "metadata". `has_overflowed`: it became
    full and more was needed, or a write to it failed, which the kernel does not tell apart.
    """

    origin: str
    snapshot: str
    peak_bytes: int
    size_bytes: int
    peak_fill_ratio: float
    first_size_bytes: int
    enough_bytes: int = 0
    pool: str = ""
    part: str = ""
    has_overflowed: bool = False


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run or hold: when it started (ISO 8601 UTC), how long it took from there to its end, and how it ended.

    `command` is the name of its program alone: arguments may hold secrets. Of a hold it is HOLD. `command_status` is
    its exit status, None where it has none: it never ended by itself, or `command_signal` ended it.
    """

    started: str
    duration_seconds: float
    exit_code: int
    result: Result
    command: str
    command_status: int | None = None
    command_signal: str = ""
    snapshots: tuple[Peak, ...] = ()

    @property
    def kind(self) -> str:
        """What it was, in a word."""
        return "hold" if self.command == HOLD else "run"

    @property
    def has_failed(self) -> bool:
        """Whether it is no good run: a person should look at it."""
        return self.result is not Result.OK
