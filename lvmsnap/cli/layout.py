"""Lines of text in one layout: printed plain or, on a terminal, folded and with colour through rich."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

from lvmsnap.cli import live_line
from lvmsnap.cli.folding import COMMAND, DIM, UNDO_COMMAND, Line, fold, text
from lvmsnap.model.printable import escaped
from lvmsnap.system import streams

if TYPE_CHECKING:
    from rich.console import Console
    from rich.theme import Theme

__all__ = ["BAD", "BOLD", "COMMAND", "DIM", "GOOD", "UNDO_COMMAND", "WARN", "Line", "fold", "text"]

# Widths of a terminal, in columns.
NARROWEST, USUAL, WIDEST = 20, 80, 1000
# Readable on light and dark backgrounds: no yellow, no blue, no white.
GOOD, BAD, WARN, BOLD = "green", "bold red", "magenta", "bold"


def plain(lines: Iterable[Line]) -> str:
    """Return the lines as text without colour, for a pipe or a file."""
    return "".join(f"{text(printable(line))}\n" for line in lines)


def show(lines: Iterable[Line], stream: TextIO) -> None:
    """Print the lines, in colour if the stream is a terminal that wants it (rich honours NO_COLOR and TERM)."""
    if not stream.isatty():
        for line in lines:
            print(plain((line,)), end="", file=stream)
        return
    from rich.text import Text

    terminal = console(stream)
    for line in map(printable, lines):
        for row in fold(line, terminal.width):
            terminal.print(Text.assemble(*((part, style) for style, part in row)), soft_wrap=True)


def console(stream: TextIO, theme: Theme | None = None) -> Console:
    """Return rich's console for a terminal; an implausible width is replaced by the usual or the narrowest one.

    COLUMNS=0 is set if somebody exported the size of a terminal that had none: nothing would be visible.
    """
    from rich.console import Console

    made = Console(file=stream, highlight=False, theme=theme)
    if not NARROWEST <= made.width <= WIDEST:
        made.width = NARROWEST if 0 < made.width < NARROWEST else USUAL
    return made


def tell(lines: Iterable[Line], stream: TextIO | None = None) -> None:
    """Print to stderr, or to `stream`; if that fails, go on: a change must be completed."""
    stream = stream or sys.stderr
    live_line.clear()
    try:
        show(lines, stream)
        stream.flush()
    except (OSError, ValueError):
        streams.give_up(stream)


def printable(line: Line) -> Line:
    """Return the line with an escape such as \\x1b in place of each control character."""
    return tuple((style, escaped(part)) for style, part in line)


def hint_lines(hint: str, indent: int = 2) -> Iterator[Line]:
    """Yield the line that says what to do, if there is a hint."""
    if hint:
        yield (("", f"{' ' * indent}what to do: "), ("", hint))
