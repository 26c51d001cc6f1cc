"""Writes a package's changelog, of the page of changes: `python -m tests.packaging.changelog VERSION MAINTAINER DATE`.

The newest changes get the version that is packaged, with what tells apart the checkouts after it.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from tests import TOP

PAGE = Path(TOP, "lvmsnap/docs/changelog.md")
_HEADING = re.compile(r"^## (\S+).*\n", re.MULTILINE)
_ITEM = re.compile(r"^- (.*(?:\n  .*)*)", re.MULTILINE)


def entries(page: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return the version and the changes of each section of the page, the newest first."""
    parts = _HEADING.split(page)[1:]
    items = (tuple(" ".join(item.split()).replace("`", '"') for item in _ITEM.findall(text)) for text in parts[1::2])
    return list(zip(parts[::2], items, strict=True))


def lines(version: str, maintainer: str, date: str) -> Iterator[str]:
    for number, (named, items) in enumerate(entries(PAGE.read_text())):
        yield f"lvmsnap ({named if number else version}) unstable; urgency=medium\n"
        yield from (textwrap.fill(f"* {item}", 78, initial_indent="  ", subsequent_indent="    ") for item in items)
        yield f"\n -- {maintainer}  {date}\n"


if __name__ == "__main__":
    print("\n".join(lines(*sys.argv[1:])))
