"""Writes lines as a text file or as a picture of a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lvmsnap.cli.layout import (
    Line,
    fold,
    printable,
    text,
)
from lvmsnap.model.errors import (
    LvmsnapError,
    why_not_written,
)

PICTURE_COLUMNS = 100


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
        rows = [row for line in rows for row in fold(line, PICTURE_COLUMNS)]
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
        hint = f"{why_not_written(error, path)}; or name another file"
        raise LvmsnapError(f"cannot write {path}: {error.strerror}", hint=hint) from error
