"""Makes text of plans, states and errors: one layout, printed plain or, on a terminal, with colour through rich."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TextIO

from lvmsnap import streams
from lvmsnap.errors import LvmsnapError, NotStartedError, ProfileError, RefusedError, ResidueError, SnapshotLostError
from lvmsnap.model import Action, Check, Direction, Plan
from lvmsnap.recovery import Recovered
from lvmsnap.runner import shell_line
from lvmsnap.status import MEANING, Status

# A line is a row of (style, text); the styles are rich's, and empty for plain text.
Line = tuple[tuple[str, str], ...]
# Readable on light and on dark: no yellow, no blue, no white. A command is never broken into lines.
GOOD, BAD, WARN, DIM, BOLD = "green", "bold red", "magenta", "dim", "bold"
COMMAND, UNDO_COMMAND = "default", "dim default"
# Where text may be broken: not at every blank, so that a command in it stays in one piece.
CLAUSE_END = re.compile(r"(?<=[,;:.] )|(?<= )(?=\()")
PICTURE_COLUMNS = 100
# Control characters, and those that turn the direction of writing: file names may have them, terminals obey them.
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def text(line: Line) -> str:
    """Return the line without its styles."""
    return "".join(part for _, part in line).rstrip()


def plain(lines: Iterable[Line]) -> str:
    """Return the lines as text without colour, as a pipe or a file gets them."""
    return "".join(f"{text(printable(line))}\n" for line in lines)


def show(lines: Iterable[Line], stream: TextIO) -> None:
    """Print the lines, in colour where the stream is a terminal that wants it (rich honours NO_COLOR and TERM)."""
    if not stream.isatty():
        for line in lines:
            print(plain((line,)), end="", file=stream)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False)
    for line in map(printable, lines):
        for row in fold(line, console.width):
            console.print(Text.assemble(*((part, style) for style, part in row)), soft_wrap=True)


def tell(lines: Iterable[Line], stream: TextIO | None = None) -> None:
    """Print to stderr, or to `stream`; where nobody can read that, go on: a change is to be finished."""
    stream = stream or sys.stderr
    try:
        show(lines, stream)
        stream.flush()
    except (OSError, ValueError):
        streams.give_up(stream)


def printable(line: Line) -> Line:
    """Return the line with an escape such as \\x1b for each character that a terminal would obey."""
    return tuple((style, UNPRINTABLE.sub(lambda match: repr(match[0])[1:-1], part)) for style, part in line)


def fold(line: Line, width: int) -> Iterator[Line]:
    """Break a line that is too long after a comma, colon or the like, what follows indented; commands stay whole."""
    whole = text(line)
    if len(whole) <= width or "\n" in whole or line[-1][0] in (COMMAND, UNDO_COMMAND):
        yield line
        return
    yield from _fill(
        [(style, clause) for style, part in line for clause in CLAUSE_END.split(part)], _indent(line), width
    )


def fold_command(line: Line, width: int) -> Iterator[Line]:
    """Break a command that is too long for a picture as one does in a shell, with a backslash at the end."""
    if len(text(line)) <= width or line[-1][0] not in (COMMAND, UNDO_COMMAND):
        yield line
        return
    style, command = line[-1]
    words = [(style, f"{shell_line((word,))} ") for word in shlex.split(command)]
    yield from _fill([*line[:-1], *words], _indent(line) + 2, width - 1, (DIM, "\\"))


def _fill(pieces: list[tuple[str, str]], indent: int, width: int, mark: tuple[str, str] = ("", "")) -> Iterator[Line]:
    row: list[tuple[str, str]] = []
    used = 0
    for style, piece in pieces:
        if used > indent and used + len(piece.rstrip()) > width:
            yield (*row, mark)
            row, used, piece = [("", " " * indent)], indent, piece.lstrip()  # noqa: PLW2901
        row.append((style, piece))
        used += len(piece)
    yield tuple(row)


def _indent(line: Line) -> int:
    """Return where what is left of a line goes on: under what follows a first part that ends with a blank."""
    first = line[0][1]
    return len(first) if len(line) > 1 and first.endswith(" ") else len(first) - len(first.lstrip()) + 2


def export(lines: Iterable[Line], path: str, title: str) -> None:
    """Write the lines as a picture (.svg), a page (.html) or plain text (.txt). Raises LvmsnapError for other names."""
    writers = {".svg": "save_svg", ".html": "save_html", ".txt": "save_text"}
    suffix = Path(path).suffix
    if suffix not in writers:
        raise LvmsnapError(f"cannot export to {path}", hint=f"name a file that ends in {', '.join(writers)}")
    from io import StringIO

    from rich.console import Console
    from rich.text import Text

    rows = [printable(line) for line in lines]
    if suffix != ".txt":
        rows = [
            row for line in rows for part in fold(line, PICTURE_COLUMNS) for row in fold_command(part, PICTURE_COLUMNS)
        ]
    width = max((len(text(row)) for row in rows), default=80) + 1
    # The height is given too: else rich takes 80 columns where TERM is dumb, and cuts off the rest.
    console = Console(
        file=StringIO(), record=True, width=width, height=25, highlight=False, force_terminal=True, no_color=False
    )
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


def plan_lines(name: str, plan: Plan, *, note: str = "", description: str = "") -> Iterator[Line]:
    """Return a plan for a reader: the facts it rests on, every check, every step with its command and undo."""
    title = f"lvmsnap {plan.direction.value} {name}"
    yield ((BOLD, title), (DIM, f"  {note}" if note else ""))
    if description:
        yield (("", description),)
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
        mark = (WARN, "  !!  ") if check.warning else (GOOD, "  ok  ") if check.passed else (BAD, "  NO  ")
        yield (mark, ("", check.title), (DIM if check.passed else BAD, f": {check.found}" if check.found else ""))
        if check.warning or not check.passed:
            yield from _hint(check.hint, indent=6)


def _step_lines(number: int, action: Action, direction: Direction) -> Iterator[Line]:
    up = direction is Direction.UP
    summary = action.summary if up else action.undo_summary
    yield ((BOLD, f"{number:>3}. {summary}"), (DIM, f"  ({action.object})" if action.object not in summary else ""))
    commands = action.do if up else action.undo
    if up and not commands:
        yield ((DIM, "     the next step's command does it"),)
    yield from (((DIM, "     first, by hand: "), (COMMAND, shell_line(argv))) for argv in action.by_hand)
    yield from (((DIM, "     $ "), (COMMAND, shell_line(argv))) for argv in commands)
    if up:
        undo = action.undo or ()
        yield from (((DIM, "     undo: "), (UNDO_COMMAND, shell_line(argv))) for argv in undo)


def recovered_lines(found: tuple[Recovered, ...], names: tuple[str, ...] = ()) -> Iterator[Line]:
    """Return what `recover` found, of the named profiles or of all, and what it did about it."""
    if not found:
        whose = ", ".join(names) or "lvmsnap's"
        yield (("", f"nothing of {whose} is on this machine: nothing to recover"),)
    for recovered in found:
        status = recovered.status
        if recovered.is_taken_down:
            yield ((GOOD, "recovered  "), ("", f"{status.name}: it was {status.state.value}, now it is down"))
        elif recovered.run_pid:
            yield (
                (DIM, "left alone "),
                ("", f"{status.name}: lvmsnap run (pid {recovered.run_pid}) is at work with it"),
            )
        else:
            yield ((DIM, "left alone "), ("", f"{status.name}: it is {status.state.value}: {MEANING[status.state]}"))


def to_json(value: Plan | tuple[Status, ...]) -> str:
    """Return a plan or states as JSON; each command also as the line one would paste."""
    data: object = [asdict(status) for status in value] if isinstance(value, tuple) else _plan_data(value)
    return json.dumps(data, default=_plain, indent=2)


def _plan_data(plan: Plan) -> dict[str, object]:
    def lines(commands: tuple[tuple[str, ...], ...]) -> list[str]:
        return [shell_line(argv) for argv in commands]

    fields = ("do", "undo", "by_hand")
    steps = [
        {**asdict(action), **{field: lines(getattr(action, field)) for field in fields}} for action in plan.actions
    ]
    return {**asdict(plan), "facts": dict(plan.facts), "actions": steps}


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    raise TypeError(type(value).__name__)


def error_lines(error: LvmsnapError) -> Iterator[Line]:
    """Return an error for a reader: what is wrong, on which object, what to do."""
    if isinstance(error, ProfileError | NotStartedError) and error.problems:
        for problem in error.problems:
            yield ((BAD, "error: "), (BOLD, f"{problem.place}: "), ("", problem.message))
            yield from _hint(problem.hint)
        return
    if isinstance(error, RefusedError) or (isinstance(error, NotStartedError) and error.refusals):
        what = "the command was not started" if isinstance(error, NotStartedError) else "nothing was changed"
        yield ((BAD, "refused: "), ("", what))
        for refusal in error.refusals:
            yield ((BAD, "  NO  "), ("", refusal.message))
            yield from _hint(refusal.hint, indent=6)
        return
    yield ((BAD, "error: "), ("", error.message))
    residue = error.residue if isinstance(error, SnapshotLostError) else error
    if isinstance(residue, ResidueError):
        for item in residue.residue:
            yield ((BAD, "  "), ("", item)) if item.startswith("held by ") else ((BAD, "  left: "), ("", item))
        yield ((BOLD, "  to finish by hand:"),)
        yield from (((DIM, "    $ "), (COMMAND, command)) for command in residue.commands)
    yield from _hint(error.hint)


def _hint(hint: str, indent: int = 2) -> Iterator[Line]:
    if hint:
        yield (("", f"{' ' * indent}what to do: {hint}"),)


def fail(error: LvmsnapError, code: int = 0) -> int:
    """Print an error to stderr, in the journal as one too, and return its exit code, or the `code` given."""
    complain(error_lines(error), level=3)
    return code or error.exit_code


def complain(lines: Iterable[Line], level: int = 4) -> None:
    """Print to stderr what is wrong; the journal is told its level, 3 an error or 4 a warning (sd-daemon(3))."""
    tell(_marked(lines, level) if _goes_to_journal() else lines)


def is_listened_to() -> bool:
    """Whether progress is wanted on stderr: it is a terminal, or the journal. A good night in cron is silent."""
    return sys.stderr.isatty() or _goes_to_journal()


def _marked(lines: Iterable[Line], level: int) -> Iterator[Line]:
    """Put before each line its level; the journal takes it off again."""
    for line in plain(lines).split("\n")[:-1]:
        yield (("", f"<{level}>{line}"),)


def _goes_to_journal() -> bool:
    """Whether stderr is systemd's journal (JOURNAL_STREAM in systemd.exec(5))."""
    try:
        stream = os.fstat(sys.stderr.fileno())
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"
