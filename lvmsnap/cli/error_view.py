"""Errors and warnings as text: what is wrong, on what, what to do; in the journal with a level."""

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


def error_lines(error: LvmsnapError) -> Iterator[Line]:
    """Return an error for a reader: what is wrong, on which object, what to do."""
    if isinstance(error, ProfileError | NotStartedError) and error.problems:
        for problem in error.problems:
            yield ((BAD, "error: "), (BOLD, f"{problem.place}: "), ("", problem.message))
            yield from hint_lines(problem.hint)
        return
    if isinstance(error, RefusedError) or (isinstance(error, NotStartedError) and error.refusals):
        what = "the command was not started" if isinstance(error, NotStartedError) else "nothing was changed"
        yield ((BAD, "refused: "), ("", what))
        for refusal in error.refusals:
            yield ((BAD, "  NO  "), ("", refusal.message))
            yield from hint_lines(refusal.hint, indent=6)
        return
    yield ((BAD, "error: "), ("", error.message))
    residue = error.residue if isinstance(error, SnapshotLostError) else error
    if isinstance(residue, ResidueError):
        for item in residue.residue:
            word = "held by " if item.startswith("held by ") else "left: "
            yield ((BAD, f"  {word}"), ("", item.removeprefix("held by ")))
        yield ((BOLD, "  to finish by hand:"),)
        yield from (((DIM, "    $ "), (COMMAND, command)) for command in residue.commands)
    yield from hint_lines(error.hint)


def fail(error: LvmsnapError, code: int = 0) -> int:
    """Print an error to stderr, in the journal as one too, and return its exit code, or the `code` given."""
    complain(error_lines(error), level=3)
    return code or error.exit_code


def complain(lines: Iterable[Line], level: int = 4) -> None:
    """Print to stderr what is wrong; in the journal with its level, 3 an error or 4 a warning (sd-daemon(3))."""
    tell(_marked(lines, level) if _goes_to_journal() else lines)


def is_listened_to() -> bool:
    """Whether progress is wanted on stderr: it is a terminal, or the journal. A good night in cron is silent."""
    return sys.stderr.isatty() or _goes_to_journal()


def _marked(lines: Iterable[Line], level: int) -> Iterator[Line]:
    """Put before each line its level; the journal takes it off again."""
    for line in plain(lines).split("\n")[:-1]:
        yield (("", f"<{level}>{line}"),)


def _goes_to_journal() -> bool:
    """Whether stderr is systemd's journal (JOURNAL_STREAM in systemd.exec(5))."""
    try:
        stream = os.fstat(sys.stderr.fileno())
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"
