"""Makes text of plans, states and errors: one layout, printed plain or, on a terminal, with colour through rich."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TextIO

from lvmsnap.errors import LvmsnapError, ProfileError, RefusedError, ResidueError
from lvmsnap.model import Action, Check, Direction, Plan
from lvmsnap.runner import shell_line
from lvmsnap.sizes import human
from lvmsnap.status import MEANING, State, Status

# A line is a row of (style, text); the styles are rich's, and empty for plain text.
Line = tuple[tuple[str, str], ...]
GOOD, BAD, DIM, BOLD, COMMAND = "green", "bold red", "dim", "bold", "cyan"
STATE_STYLE = {State.UP: GOOD, State.DOWN: DIM, State.STALE: "yellow", State.PARTIAL: "yellow"}


def text(line: Line) -> str:
    """Return the line without its styles."""
    return "".join(part for _, part in line).rstrip()


def show(lines: Iterable[Line], stream: TextIO) -> None:
    """Print the lines, in colour where the stream is a terminal that wants it (rich honours NO_COLOR and TERM)."""
    if not stream.isatty():
        for line in lines:
            print(text(line), file=stream)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False)
    for line in lines:
        console.print(Text.assemble(*((part, style) for style, part in line)), soft_wrap=True)


def export(lines: Iterable[Line], path: str, title: str) -> None:
    """Write the lines as a picture (.svg), a page (.html) or plain text (.txt). Raises LvmsnapError for other names."""
    writers = {".svg": "save_svg", ".html": "save_html", ".txt": "save_text"}
    suffix = Path(path).suffix
    if suffix not in writers:
        raise LvmsnapError(f"cannot export to {path}", hint=f"name a file that ends in {', '.join(writers)}")
    from io import StringIO

    from rich.console import Console
    from rich.text import Text

    rows = list(lines)
    width = max((len(text(row)) for row in rows), default=80) + 1
    console = Console(file=StringIO(), record=True, width=width, highlight=False, force_terminal=True)
    for row in rows:
        console.print(Text.assemble(*((part, style) for style, part in row)), soft_wrap=True)
    try:
        if suffix == ".svg":
            console.save_svg(path, title=title)
        elif suffix == ".html":
            console.save_html(path)
        else:
            console.save_text(path)
    except OSError as error:
        raise LvmsnapError(f"cannot write {path}: {error.strerror}", hint="name another file") from error


def plan_lines(name: str, plan: Plan, *, note: str = "") -> Iterator[Line]:
    """Return a plan for a reader: the facts it rests on, every check, every step with its command and undo."""
    title = f"lvmsnap {plan.direction.value} {name}"
    yield ((BOLD, title), (DIM, f"  {note}" if note else ""))
    if plan.facts:
        yield ()
        yield ((BOLD, "Facts"),)
        yield from (((DIM, f"  {what:<14} "), ("", value)) for what, value in plan.facts)
    if plan.checks:
        yield ()
        yield from _check_lines(plan.checks)
    yield ()
    if not plan.actions:
        nothing = "nothing stands: there is nothing to do" if plan.direction is Direction.DOWN else "no steps"
        yield ((BOLD, "Steps  "), ("", nothing))
        return
    yield ((BOLD, "Steps"),)
    for number, action in enumerate(plan.actions, 1):
        yield from _step_lines(number, action, plan.direction)


def _check_lines(checks: tuple[Check, ...]) -> Iterator[Line]:
    failed = sum(not check.passed for check in checks)
    verdict = (BAD, f"  {failed} of {len(checks)} refuse it") if failed else (GOOD, f"  all {len(checks)} passed")
    yield ((BOLD, "Checks"), verdict)
    for check in checks:
        mark = (GOOD, "  ok  ") if check.passed else (BAD, "  NO  ")
        yield (mark, ("", check.title), (DIM if check.passed else BAD, f": {check.found}"))
        if not check.passed and check.hint:
            yield (("", f"      what to do: {check.hint}"),)


def _step_lines(number: int, action: Action, direction: Direction) -> Iterator[Line]:
    up = direction is Direction.UP
    summary = action.summary if up else action.undo_summary
    yield ((BOLD, f"{number:>3}. {summary}"), (DIM, f"  ({action.object})" if action.object not in summary else ""))
    commands = action.do if up else action.undo
    if not commands:
        yield ((DIM, "     the next step's command does it"),)
    yield from (((DIM, "     $ "), (COMMAND, shell_line(argv))) for argv in commands)
    if up:
        undo = action.undo or ()
        yield from (((DIM, f"     undo: {shell_line(argv)}"),) for argv in undo)


def status_lines(statuses: tuple[Status, ...], now: datetime) -> Iterator[Line]:
    """Return a table of the profiles' states."""
    if not statuses:
        yield (("", "no profiles, and nothing of lvmsnap's on this machine"),)
        return
    rows = [_status_row(status, now) for status in statuses]
    head = ("PROFILE", "STATE", "SNAPSHOT", "SIZE", "FILL", "AGE", "MOUNTPOINT")
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    yield tuple((BOLD, f"{title:<{width}}  ") for title, width in zip(head, widths, strict=True))
    for status, row in zip(statuses, rows, strict=True):
        cells = [f"{cell:<{width}}  " for cell, width in zip(row, widths, strict=True)]
        style = STATE_STYLE.get(status.state, BAD)
        yield tuple((style if column == 1 else "", cell) for column, cell in enumerate(cells))
        if status.state not in (State.UP, State.DOWN):
            problem = f" ({status.problem})" if status.problem else ""
            yield ((DIM, f"  {MEANING[status.state]}{problem}"),)


def _status_row(status: Status, now: datetime) -> tuple[str, ...]:
    fill = "-" if status.fill_percent is None else f"{status.fill_percent:.1f} %"
    size = human(status.size_bytes) if status.size_bytes else "-"
    place = status.mountpoint or status.device or "-"
    return (status.name, status.state.value, status.snapshot or "-", size, fill, age(status.time, now), place)


def recovered_lines(found: tuple[Status, ...]) -> Iterator[Line]:
    """Return what `recover` found, and what it did about it."""
    if not found:
        yield (("", "nothing of lvmsnap's is on this machine: nothing to recover"),)
    for status in found:
        if status.state in (State.PARTIAL, State.STALE):
            yield ((GOOD, "recovered  "), ("", f"{status.name}: it was {status.state.value}, now it is down"))
        else:
            yield ((DIM, "left alone "), ("", f"{status.name}: it is {status.state.value}: {MEANING[status.state]}"))


def age(time: str, now: datetime) -> str:
    """Return how long ago an ISO 8601 time was, as a person says it."""
    if not time:
        return "-"
    seconds = max(0, int((now - datetime.fromisoformat(time)).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def to_json(value: Plan | tuple[Status, ...]) -> str:
    """Return a plan or states as JSON; each command also as the line one would paste."""
    data: object = [asdict(status) for status in value] if isinstance(value, tuple) else _plan_data(value)
    return json.dumps(data, default=_plain, indent=2)


def _plan_data(plan: Plan) -> dict[str, object]:
    def lines(commands: tuple[tuple[str, ...], ...]) -> list[str]:
        return [shell_line(argv) for argv in commands]

    steps = [{**asdict(action), "do": lines(action.do), "undo": lines(action.undo)} for action in plan.actions]
    return {**asdict(plan), "facts": dict(plan.facts), "actions": steps}


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    raise TypeError(type(value).__name__)


def error_lines(error: LvmsnapError) -> Iterator[Line]:
    """Return an error for a reader: what is wrong, on which object, what to do."""
    if isinstance(error, ProfileError):
        for problem in error.problems:
            yield ((BAD, "error: "), (BOLD, f"{problem.place}: "), ("", problem.message))
            yield from _hint(problem.hint)
        return
    if isinstance(error, RefusedError):
        yield ((BAD, "refused: "), ("", "nothing was changed"))
        for refusal in error.refusals:
            yield ((BAD, "  NO  "), ("", refusal.message))
            yield from _hint(refusal.hint, indent=6)
        return
    yield ((BAD, "error: "), ("", error.message))
    if isinstance(error, ResidueError):
        yield from (((BAD, "  left: "), ("", item)) for item in error.residue)
        yield ((BOLD, "  to finish by hand:"),)
        yield from (((DIM, "    $ "), (COMMAND, command)) for command in error.commands)
    yield from _hint(error.hint)


def _hint(hint: str, indent: int = 2) -> Iterator[Line]:
    if hint:
        yield (("", f"{' ' * indent}what to do: {hint}"),)


def now() -> datetime:
    """Return the present time, for ages."""
    return datetime.now(UTC)


def fail(error: LvmsnapError) -> int:
    """Print an error to stderr and return its exit code."""
    show(error_lines(error), sys.stderr)
    return error.exit_code
