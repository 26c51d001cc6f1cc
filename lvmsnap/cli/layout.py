"""Lines of text in one layout: printed plain or, on a terminal, folded and with colour through rich."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TextIO

from lvmsnap.cli import live_line
from lvmsnap.cli.folding import COMMAND, DIM, UNDO_COMMAND, Line, fold, text
from lvmsnap.model.printable import escaped
from lvmsnap.system import streams

__all__ = ["BAD", "BOLD", "COMMAND", "DIM", "GOOD", "UNDO_COMMAND", "WARN", "Line", "fold", "text"]

# Readable on light and on dark: no yellow, no blue, no white.
GOOD, BAD, WARN, BOLD = "green", "bold red", "magenta", "bold"


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
    live_line.clear()
    try:
        show(lines, stream)
        stream.flush()
    except (OSError, ValueError):
        streams.give_up(stream)


def printable(line: Line) -> Line:
    """Return the line with an escape such as \\x1b for each character that a terminal would obey."""
    return tuple((style, escaped(part)) for style, part in line)


def hint_lines(hint: str, indent: int = 2) -> Iterator[Line]:
    """Give the lines that say what to do."""
    if hint:
        yield (("", f"{' ' * indent}what to do: "), ("", hint))
