"""Writes lines as a text file, a web page or a picture of a terminal."""

from __future__ import annotations

import re
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
# Fonts that systems come with; the last is the system's default monospace font.
FONTS = "'DejaVu Sans Mono', 'Liberation Mono', Menlo, Consolas, monospace"


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
    # Give the height too: otherwise rich assumes 80 columns if TERM is dumb, and cuts off the rest.
    console = Console(
        file=StringIO(), record=True, width=width, height=25, highlight=False, force_terminal=True, no_color=False
    )
    for row in rows:
        console.print(Text.assemble(*((part, style) for style, part in row)), soft_wrap=True)
    try:
        if suffix == ".svg":
            Path(path).write_text(_self_contained(console.export_svg(title=title)), encoding="utf-8")
        elif suffix == ".html":
            console.save_html(path)
        else:
            console.save_text(path)
    except OSError as error:
        hint = f"{why_not_written(error, path)}; or name another file"
        raise LvmsnapError(f"cannot write {path}: {error.strerror}", hint=hint) from error


def _self_contained(svg: str) -> str:
    """Return rich's picture without the font that it would download, and with blanks preserved for librsvg."""
    svg = re.sub(r"\n\s*@font-face \{[^}]*\}", "", svg).replace("Fira Code, monospace", FONTS)
    return svg.replace('-matrix">', '-matrix" xml:space="preserve">')
