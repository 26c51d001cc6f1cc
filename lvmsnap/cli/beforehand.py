"""Imports, before the first change, all that a change may need: an upgrade may replace the program meanwhile."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Iterator

import lvmsnap
from lvmsnap.cli.layout import BAD, Line, show

# Of Python's own, what is imported no sooner than an error is explained.
FOR_ERRORS = ("traceback",)


class _Terminal(io.StringIO):
    """A terminal that nobody sees."""

    def isatty(self) -> bool:
        return True


def import_all() -> None:
    """Import every module of lvmsnap, and what draws on the terminal where there is one.

    An upgrade in the middle of a night's run then changes nothing for it, nor does a removal of the files.
    """
    for name in (*FOR_ERRORS, *_our_modules()):
        importlib.import_module(name)
    if any(stream and stream.isatty() for stream in (sys.stdout, sys.stderr)):
        _draw_once()


def _our_modules() -> Iterator[str]:
    top = os.path.dirname(lvmsnap.__file__)
    for folder in sorted(one.name for one in os.scandir(top) if one.is_dir()):
        files = map(os.path.splitext, sorted(os.listdir(f"{top}/{folder}")))
        yield from (f"lvmsnap.{folder}.{name}" for name, suffix in files if suffix == ".py" and name != "__init__")


def _draw_once() -> None:
    """Draw what is not seen, since rich imports its tables of characters when it meets the first of a kind."""
    line: Line = ((BAD, "FAILED "), ("", "\N{LATIN SMALL LETTER E WITH ACUTE}\N{CJK UNIFIED IDEOGRAPH-65E5}"))
    show([line], _Terminal())
