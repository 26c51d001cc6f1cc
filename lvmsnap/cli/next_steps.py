"""Says what to do after a command: the next commands, each with what it does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lvmsnap.cli.layout import Line

NEXT, COLUMNS = "next: ", 80


def next_lines(steps: Sequence[tuple[str, str]]) -> Iterator[Line]:
    """Yield a line for each command with what it does, or two lines for each if some line would be too wide."""
    width = max(len(command) for command, _ in steps)
    is_wide = any(len(NEXT) + width + 3 + len(what) > COLUMNS for _, what in steps)
    for number, (command, what) in enumerate(steps):
        start = " " * len(NEXT) if number else NEXT
        if is_wide:
            yield (("", f"{start}{command}"),)
            yield (("", f"{' ' * len(NEXT)}  {what}"),)
        else:
            yield (("", f"{start}{command:<{width}}   {what}"),)
