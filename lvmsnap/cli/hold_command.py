"""`lvmsnap hold` on the command line: options in, exit code out."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from lvmsnap.cli.commands import _require_root, _session
from lvmsnap.system import streams

if TYPE_CHECKING:
    from lvmsnap.model.target import Target


def cmd_hold(options: argparse.Namespace) -> int:
    """`lvmsnap hold`: 0 if it was stopped in good order, 124 if a snapshot was lost."""
    from lvmsnap.cli import arguments, found_up
    from lvmsnap.operations import hold
    from lvmsnap.operations.course import Course, kept
    from lvmsnap.profile import loading

    if options.check:
        name, directory = arguments.place(options, options.name)
        _require_root(options, f"lvmsnap hold {name} --check")
        arguments.refuse_unknown(name, directory)
        hold.check(_session(options, reads_only=True), name)
        return 0
    session, course = _session(options), Course.of_hold()

    def tell(target: Target) -> None:
        streams.never_wait_on_stdout()
        found_up.answer(target)
        how = f"Ctrl-C, or kill {os.getpid()}" if sys.stderr.isatty() else f"its PID is {os.getpid()}"
        session.progress.note(f"{target.name} is up until this process is stopped: {how}")

    with kept(session, loading.name_of(options.name), course):
        profile, text = arguments.load_for_change(options)
        _require_root(options, f"lvmsnap hold {profile.name}")
        hold.hold(session, profile, text, tell, replace_old=options.replace, course=course)
    return 0
