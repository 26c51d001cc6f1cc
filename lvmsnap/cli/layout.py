"""Lines of text in one layout: printed plain or, on a terminal, folded and with colour through rich."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from typing import TextIO

from lvmsnap.model.printable import escaped
from lvmsnap.system import streams
from lvmsnap.system.processes import shell_line

# A line is a row of (style, text); the styles are rich's, and empty for plain text.
Line = tuple[tuple[str, str], ...]


# Readable on light and on dark: no yellow, no blue, no white. A command is never broken into lines.
GOOD, BAD, WARN, DIM, BOLD = "green", "bold red", "magenta", "dim", "bold"


COMMAND, UNDO_COMMAND = "default", "dim default"


# Where text may be broken: not at every blank, so that a command in it stays in one piece.
CLAUSE_END = re.compile(r"(?<=[,;:.] )|(?<= )(?=\()")


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
    return tuple((style, escaped(part)) for style, part in line)


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
    if len(text(line)) <= width or line[-1][0] not in (COMMAND, UNDO_COMMAND) or "$'" in text(line):
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


def hint_lines(hint: str, indent: int = 2) -> Iterator[Line]:
    """Give the lines that say what to do."""
    if hint:
        yield (("", f"{' ' * indent}what to do: {hint}"),)
