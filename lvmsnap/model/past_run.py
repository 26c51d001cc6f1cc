"""How a run or a hold ended, and how full its snapshots became: the entries of the history. No behaviour."""

from __future__ import annotations

from enum import Enum

from lvmsnap.model.dataclass import dataclass

# The command of a hold, which starts none.
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
    """The highest fill seen of a snapshot: how much of its space was used, and how large that space was at the time.

    `first_size_bytes` is its initial size: less if it was given more room. `enough_bytes` is the size that would have
    sufficed with room to spare, 0 if that is not known. A thin snapshot has no space of its own: everything is then
    about its `pool`, VG/LV, and the fuller `part` of that, "data" or "metadata". `has_overflowed`: it became full and
    needed more, or a write to it failed: the kernel does not distinguish these.
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
    """One run or hold: when it started (ISO 8601 UTC), how long it took until its end, and how it ended.

    `command` is only the program's name: arguments may contain secrets. For a hold it is HOLD. `command_status` is its
    exit status, None if it has none: it never exited by itself, or `command_signal` ended it.
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
        """What it was: "run" or "hold"."""
        return "hold" if self.command == HOLD else "run"

    @property
    def has_failed(self) -> bool:
        """Whether it was not good: a person should look at it."""
        return self.result is not Result.OK
