"""`lvmsnap help`: prints a page of the documentation as shipped with this version. Reads nothing else."""

from __future__ import annotations

import argparse
import difflib
import re
from importlib import resources
from importlib.resources.abc import Traversable

from lvmsnap.model.errors import UsageError

COMMENT = re.compile(r"^<!--.*?-->\n", re.MULTILINE | re.DOTALL)


def cmd_help(options: argparse.Namespace) -> int:
    """`lvmsnap help [TOPIC]`: the page, or the list of pages; exit 2 for a topic there is no page for."""
    print(page(options.topic) if options.topic else _list_of_pages(), end="")
    return 0


def page(topic: str) -> str:
    """Return the text of a page, without its comments; UsageError where there is none."""
    found = _pages().get(topic)
    if found is None:
        near = difflib.get_close_matches(topic, topics(), n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"there is no page on {topic}", hint=f"{meant}the pages: {', '.join(topics())}")
    return COMMENT.sub("", found.read_text(encoding="utf-8"))


def topics() -> tuple[str, ...]:
    """Return the names of all pages."""
    return tuple(_pages())


def _list_of_pages() -> str:
    width = max(map(len, topics()))
    lines = [f"  {topic:<{width}}  {_title(topic)}" for topic in topics()]
    first, last = "lvmsnap help TOPIC prints one of these pages:", "lvmsnap COMMAND --help shows a command's options."
    return "\n".join([first, *lines, last]) + "\n"


def _title(topic: str) -> str:
    return page(topic).partition("\n")[0].removeprefix("# ")


def _pages() -> dict[str, Traversable]:
    files = [file for file in resources.files("lvmsnap").joinpath("docs").iterdir() if file.name.endswith(".md")]
    return {file.name.removesuffix(".md"): file for file in sorted(files, key=lambda file: file.name)}
