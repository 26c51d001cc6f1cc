"""Imports, before the first change, what would be imported later on demand: an upgrade may replace it by then."""

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
    """Import what no command's own module imports, and, on a terminal, what draws there.

    Then an upgrade or removal of the package during a run does not affect it. A command that reads no profile after
    its first change does not need the modules for that.
    """
    for name in (*FOR_ERRORS, *(FOR_PROFILES if reads_profiles else ())):
        importlib.import_module(name)
    if any(stream and stream.isatty() for stream in (sys.stdout, sys.stderr)):
        _draw_once()


def _draw_once() -> None:
    """Draw something invisible, since rich imports its character tables when it meets the first of a kind."""
    line: Line = ((BAD, "FAILED "), ("", "\N{LATIN SMALL LETTER E WITH ACUTE}\N{CJK UNIFIED IDEOGRAPH-65E5}"))
    show([line], _Terminal())
