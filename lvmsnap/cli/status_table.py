"""Makes a table of the profiles' states, as wide as the terminal is; in a pipe each profile has one line."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from datetime import datetime

from lvmsnap.cli.layout import BAD, BOLD, DIM, GOOD, WARN, Line
from lvmsnap.planning.sizing import human
from lvmsnap.planning.state import MEANING, State, Status

STATE_STYLE = {State.UP: GOOD, State.DOWN: DIM, State.STALE: WARN, State.PARTIAL: WARN, State.FOREIGN: WARN}
HEAD = ("PROFILE", "STATE", "SIZE", "FILL", "AGE", "RATE", "FULL IN", "GREW", "SNAPSHOT", "MOUNTPOINT")
# Where the terminal is too narrow for all, so many columns stay above; the others go below them, indented.
SPLITS = (len(HEAD), HEAD.index("SNAPSHOT"), HEAD.index("GREW"), HEAD.index("RATE"))
INDENT = "  "
YEAR_SECONDS = 365 * 86400


def status_lines(statuses: tuple[Status, ...], now: datetime, columns: int = sys.maxsize) -> Iterator[Line]:
    """Return the table, for a terminal of so many columns; what is wrong with a profile is below its row."""
    if not statuses:
        yield (("", "no profiles, and nothing of lvmsnap's on this machine"),)
        return
    rows = [_row(status, now) for status in statuses]
    widths = [max(len(row[column]) for row in [HEAD, *rows]) for column in range(len(HEAD))]
    split = next((split for split in SPLITS if _width(widths[:split]) <= columns), SPLITS[-1])
    yield from _table_row(HEAD, widths, split, [BOLD] * len(HEAD))
    for status, row in zip(statuses, rows, strict=True):
        style = STATE_STYLE.get(status.state, BAD)
        yield from _table_row(row, widths, split, ["", style, *[""] * (len(HEAD) - 2)])
        if wrong := _wrong(status):
            yield ((WARN if style in (GOOD, DIM) else style, f"  {wrong}"),)


def terminal_columns() -> int:
    """Return how wide stdout's terminal is; without one nothing is too wide."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize


def _width(widths: list[int]) -> int:
    return sum(widths) + 2 * len(widths) - 2


def _table_row(row: tuple[str, ...], widths: list[int], split: int, styles: list[str]) -> Iterator[Line]:
    cells = [(style, f"{cell:<{width}}  ") for style, cell, width in zip(styles, row, widths, strict=True)]
    yield tuple(cells[:split])
    if any(cell != "-" for cell in row[split:]):
        yield (("", INDENT), *cells[split:])


def _row(status: Status, now: datetime) -> tuple[str, ...]:
    fill = "-" if status.fill_percent is None else f"{status.fill_percent:.1f} %"
    size = human(status.size_bytes) if status.size_bytes else "-"
    place = status.mountpoint or status.device or "-"
    past = (_rate(status), _full_in(status), _grew(status, now))
    return (status.name, status.state.value, size, fill, age(status.time, now), *past, status.snapshot or "-", place)


def _rate(status: Status) -> str:
    rate = status.rate_bytes_per_second
    if rate is None:
        return "-"
    return f"{_about(status)}{_rough(rate)}/s" if rate else "0 B/s"


def _full_in(status: Status) -> str:
    seconds = status.seconds_to_full
    if seconds is None:
        return "-"
    return "> 1 year" if seconds > YEAR_SECONDS else f"{_about(status)}{duration(seconds)}"


def _about(status: Status) -> str:
    return "" if status.rate_over == "guard" else "~"


def _grew(status: Status, now: datetime) -> str:
    grown = status.last_growth
    return f"+{_rough(grown.bytes)} {age(grown.time, now)} ago" if grown else "-"


def _wrong(status: Status) -> str:
    """Return what a person should know of the profile's state, "" where that is nothing."""
    if status.state in (State.UP, State.DOWN):
        return status.problem
    return MEANING[status.state] + (f" ({status.problem})" if status.problem else "")


def _rough(size_bytes: float) -> str:
    """Return a size with one digit after the point, or with none from 10 of its unit on: 3.2 MiB, 320 MiB."""
    value, unit = float(size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if round(value) >= 1024:
            value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f}".removesuffix(".0") + f" {unit}"


def age(time: str, now: datetime) -> str:
    """Return how long ago an ISO 8601 time was, as a person says it."""
    return duration((now - datetime.fromisoformat(time)).total_seconds()) if time else "-"


def duration(seconds: float) -> str:
    """Return a time in one unit, as a person says it; less than none is none."""
    whole = max(0, int(seconds))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if whole >= 2 * length:
            return f"{whole // length} {unit}"
    return f"{whole} s"
