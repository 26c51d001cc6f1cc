"""Errors and warnings as text: what is wrong, on which object, what to do; with a level in the journal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

from lvmsnap.cli.layout import (
    BAD,
    BOLD,
    COMMAND,
    DIM,
    Line,
    hint_lines,
    plain,
    tell,
)
from lvmsnap.model.errors import (
    LvmsnapError,
    NotStartedError,
    ProfileError,
    RefusedError,
    ResidueError,
    SnapshotLostError,
)


def error_lines(error: LvmsnapError, *, is_verbose: bool = False) -> Iterator[Line]:
    """Yield an error for a reader: what is wrong, on which object, what to do; in short if something is only in use."""
    if isinstance(error, ProfileError | NotStartedError) and error.problems:
        for problem in error.problems:
            place = ((BOLD, f"{problem.place}: "),) if problem.place else ()
            yield ((BAD, "error: "), *place, ("", problem.message))
            yield from hint_lines(problem.hint)
        return
    if isinstance(error, RefusedError) or (isinstance(error, NotStartedError) and error.refusals):
        what = "the command was not started" if isinstance(error, NotStartedError) else "nothing was changed"
        yield ((BAD, "refused: "), ("", what))
        for refusal in error.refusals:
            yield ((BAD, "  FAIL  "), ("", refusal.message))
            yield from hint_lines(refusal.hint, indent=8)
        return
    residue = error.residue if isinstance(error, SnapshotLostError) else error
    if not isinstance(residue, ResidueError):
        yield ((BAD, "error: "), ("", error.message))
        yield from hint_lines(error.hint)
        return
    user = f", held by {residue.holders[0]}" if len(residue.holders) == 1 else ""
    yield ((BAD, "error: "), ("", f"{error.message}{user}"))
    yield from _residue_lines(residue, is_verbose=is_verbose)
    yield from hint_lines(error.hint)
    if residue is not error:
        yield from hint_lines(residue.hint)


def _residue_lines(residue: ResidueError, *, is_verbose: bool) -> Iterator[Line]:
    blocked = tuple(item for item in residue.residue if item.startswith("held by "))
    holders = residue.holders if len(residue.holders) > 1 else ()
    if is_verbose or blocked or not residue.holders:
        yield from (((BAD, "  left: "), ("", item)) for item in residue.residue if item not in blocked)
    held = (*(item.removeprefix("held by ") for item in blocked), *holders)
    yield from (((BAD, "  held by "), ("", item)) for item in held)
    if residue.commands and (is_verbose or blocked or not residue.holders):
        yield ((BOLD, "  to finish by hand:"),)
        yield from (((DIM, "    $ "), (COMMAND, command)) for command in residue.commands)


def fail(error: LvmsnapError, code: int = 0, *, is_verbose: bool = False) -> int:
    """Print an error to stderr, with level 3 in the journal, and return its exit code, or `code` if given."""
    complain(error_lines(error, is_verbose=is_verbose), level=3)
    return code or error.exit_code


def complain(lines: Iterable[Line], level: int = 4) -> None:
    """Print to stderr what is wrong; in the journal with its level, 3 for an error, 4 for a warning (sd-daemon(3))."""
    tell(_marked(lines, level) if _goes_to_journal() else lines)


def is_listened_to() -> bool:
    """Whether progress is wanted on stderr: on a terminal, or in the journal. A good night in cron is silent."""
    return sys.stderr.isatty() or _goes_to_journal()


def _marked(lines: Iterable[Line], level: int) -> Iterator[Line]:
    """Prefix each line with its level; the journal removes it again."""
    for line in plain(lines).split("\n")[:-1]:
        yield (("", f"<{level}>{line}"),)


def _goes_to_journal() -> bool:
    """Whether stderr is systemd's journal (JOURNAL_STREAM in systemd.exec(5))."""
    try:
        stream = os.fstat(sys.stderr.fileno())
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"
