"""Imports, before the first change, what else would be imported when needed: an upgrade may replace it by then."""

from __future__ import annotations

import importlib
import io
import sys

from lvmsnap.cli.layout import BAD, Line, show

FOR_ERRORS = ("lvmsnap.cli.error_view",)
FOR_PROFILES = ("lvmsnap.profile.rules", "lvmsnap.profile.schema_errors", "lvmsnap.profile.values")


class _Terminal(io.StringIO):
    """A terminal that nobody sees."""

    def isatty(self) -> bool:
        return True


def import_rest(*, reads_profiles: bool) -> None:
    """Import what comes with no command's own module, and what draws on the terminal where there is one.

    An upgrade in the middle of a night's run then changes nothing for it, nor does a removal of the files. A command
    that reads no profile after its first change needs nothing for that.
    """
    for name in (*FOR_ERRORS, *(FOR_PROFILES if reads_profiles else ())):
        importlib.import_module(name)
    if any(stream and stream.isatty() for stream in (sys.stdout, sys.stderr)):
        _draw_once()


def _draw_once() -> None:
    """Draw what is not seen, since rich imports its tables of characters when it meets the first of a kind."""
    line: Line = ((BAD, "FAILED "), ("", "\N{LATIN SMALL LETTER E WITH ACUTE}\N{CJK UNIFIED IDEOGRAPH-65E5}"))
    show([line], _Terminal())
