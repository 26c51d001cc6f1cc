"""Makes a table of the profiles' states, no wider than the terminal; in a pipe, rows are never split."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import chain

from lvmsnap.cli.layout import BAD, BOLD, DIM, GOOD, WARN, Line
from lvmsnap.planning.run_summary import failure
from lvmsnap.planning.sizing import human
from lvmsnap.planning.state import MEANING, State, Status
from lvmsnap.planning.volume_state import VolumeStatus
from lvmsnap.system import streams

STATE_STYLE = {State.UP: GOOD, State.DOWN: DIM, State.STALE: WARN, State.PARTIAL: WARN, State.FOREIGN: WARN}
HEAD = ("PROFILE", "STATE", "SIZE", "FILL", "AGE", "RATE", "FULL IN", "GREW", "LAST RUN", "SNAPSHOT", "MOUNTPOINT")
# If the terminal is too narrow for all columns, so many stay in the first line; the others go below, indented.
SPLITS = (len(HEAD), HEAD.index("SNAPSHOT"), HEAD.index("GREW"), HEAD.index("RATE"))
INDENT = "  "
YEAR_SECONDS = 365 * 86400
Row = tuple[str, ...]


def status_lines(statuses: tuple[Status, ...], now: datetime, columns: int = sys.maxsize) -> Iterator[Line]:
    """Yield the table for a terminal with so many columns; what is wrong with a profile is below its rows.

    A profile with one volume has one row; one with several has a row of its own and an indented one for each volume. A
    column that is empty for all profiles is left out.
    """
    if not statuses:
        yield (("", "no profiles and no lvmsnap snapshots on this machine"),)
        return
    full = [_rows(status, now) for status in statuses]
    kept = [column for column in range(len(HEAD)) if any(row[column].strip("-") for row in chain(*full))]
    head = tuple(HEAD[column] for column in kept)
    rows = [[tuple(row[column] for column in kept) for row in own] for own in full]
    widths = [max(len(row[column]) for row in [head, *chain(*rows)]) for column in range(len(head))]
    # What continues a row is indented further than the row of a volume.
    indent = INDENT * (2 if any(len(own) > 1 for own in rows) else 1)
    splits = [sum(column < split for column in kept) for split in SPLITS]
    lines = _lines_of(widths, splits, columns, len(indent))
    yield from _table_row(head, widths, lines, indent, [BOLD] * len(head))
    for status, own in zip(statuses, rows, strict=True):
        style = STATE_STYLE.get(status.state, BAD)
        for row in own:
            yield from _table_row(row, widths, lines, indent, ["", style, *[""] * (len(head) - 2)])
        if wrong := _wrong(status):
            yield ((WARN if style in (GOOD, DIM) else style, f"  {wrong}"),)


def terminal_columns() -> int:
    """Return the width of stdout's terminal; without one there is no limit."""
    return streams.columns() if sys.stdout.isatty() else sys.maxsize


def _lines_of(widths: list[int], splits: list[int], columns: int, indent: int) -> list[range]:
    """Return which columns go into each line of a row."""
    split = next((split for split in splits if _width(widths[:split]) <= columns), 0)
    lines = [range(split)] if split else []
    while (first := lines[-1].stop if lines else 0) < len(widths):
        room = columns - indent if lines else columns
        fits = [last for last in range(first + 1, len(widths) + 1) if _width(widths[first:last]) <= room]
        lines.append(range(first, max(fits, default=first + 1)))
    return lines


def _width(widths: list[int]) -> int:
    return sum(widths) + 2 * len(widths) - 2


def _table_row(row: Row, widths: list[int], lines: list[range], indent: str, styles: list[str]) -> Iterator[Line]:
    cells = [(style, f"{cell:<{width}}  ") for style, cell, width in zip(styles, row, widths, strict=True)]
    for number, line in enumerate(lines):
        if number == 0:
            yield tuple(cells[column] for column in line)
        elif any(row[column].strip("-") for column in line):
            yield (("", indent), *(cells[column] for column in line))


def _rows(status: Status, now: datetime) -> list[Row]:
    """Return the rows of a profile: one, and if it has several volumes and any exists, one more for each."""
    if len(status.volumes) < 2:
        return [(status.name, status.state.value, *_cells(status, age(status.time, now), now))]
    own = (
        "",
        "",
        age(status.time, now),
        "",
        "",
        "",
        _last_run(status, now),
        f"{len(status.volumes)} volumes",
        status.mountpoint,
    )
    volumes = status.volumes if any(volume.device for volume in status.volumes) else ()
    return [
        (status.name, status.state.value, *own),
        *((f"{INDENT}{one.origin}", _state_of(one), *_cells(one, "", now)) for one in volumes),
    ]


def _state_of(volume: VolumeStatus) -> str:
    return State.LOST.value if volume.lost else "" if volume.device else "missing"


def _cells(of: Status | VolumeStatus, since: str, now: datetime) -> Row:
    fill = "-" if of.fill_percent is None else f"{of.fill_percent:.1f} %"
    size = human(of.size_bytes) if of.size_bytes else "-"
    place = of.mountpoint or of.device or "-"
    last_run = _last_run(of, now) if isinstance(of, Status) else ""
    return (size, fill, since, _rate(of), _full_in(of), _grew(of, now), last_run, of.snapshot or "-", place)


def _rate(status: Status | VolumeStatus) -> str:
    rate = status.rate_bytes_per_second
    if rate is None:
        return "-"
    return f"{_about(status)}{_rough(rate)}/s" if rate else "0 B/s"


def _full_in(status: Status | VolumeStatus) -> str:
    seconds = status.seconds_to_full
    if seconds is None:
        return "-"
    return "> 1 year" if seconds > YEAR_SECONDS else f"{_about(status)}{duration(seconds)}"


def _about(status: Status | VolumeStatus) -> str:
    return "" if status.rate_over == "guard" else "~"


def _grew(status: Status | VolumeStatus, now: datetime) -> str:
    grown = status.last_growth
    return f"+{_rough(grown.bytes)} {age(grown.time, now)} ago" if grown else "-"


def _last_run(status: Status, now: datetime) -> str:
    """Return how the last run ended, and how long ago it started."""
    run = status.last_run
    return f"{run.result.value} {age(run.started, now)} ago" if run else "-"


def _wrong(status: Status) -> str:
    """Return what a person should know about the profile's state, "" for nothing."""
    if status.state in (State.UP, State.DOWN):
        failed = failure(status.last_run) if status.last_run else ""
        return "; ".join(filter(None, (status.problem, failed)))
    return MEANING[status.state] + (f" ({status.problem})" if status.problem else "")


def _rough(size_bytes: float) -> str:
    """Return a size with one decimal, or with none from 10 of its unit on: 3.2 MiB, 320 MiB."""
    value, unit = float(size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if round(value) >= 1024:
            value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f}".removesuffix(".0") + f" {unit}"


def age(time: str, now: datetime) -> str:
    """Return how long ago an ISO 8601 time was, as a person would say it."""
    return duration((now - datetime.fromisoformat(time)).total_seconds()) if time else "-"


def duration(seconds: float) -> str:
    """Return a duration in one unit, as a person would say it; a negative one counts as 0."""
    whole = max(0, int(seconds))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if whole >= 2 * length:
            return f"{whole // length} {unit}"
    return f"{whole} s"
