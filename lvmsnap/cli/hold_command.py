"""`lvmsnap hold` on the command line: options in, exit code out."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from lvmsnap.cli.commands import _require_root, _session, where_to_find
from lvmsnap.system import streams

if TYPE_CHECKING:
    from lvmsnap.model.target import Target


def cmd_hold(options: argparse.Namespace) -> int:
    """`lvmsnap hold`: 0 where it was stopped in good order, 124 where a snapshot was lost."""
    from lvmsnap.cli import arguments
    from lvmsnap.operations import hold

    if options.check:
        name, _ = arguments.place(options, options.name)
        _require_root(f"lvmsnap hold {name} --check")
        hold.check(_session(options, reads_only=True), name)
        return 0
    profile, text = arguments.load_for_change(options)
    _require_root(f"lvmsnap hold {profile.name}")
    session = _session(options)

    def tell(target: Target) -> None:
        for line in where_to_find(target):
            streams.answer(line)
        session.progress.note(f"{target.name} is up until this process is stopped: Ctrl-C, or kill {os.getpid()}")

    hold.hold(session, profile, text, tell, replace_old=options.replace)
    return 0
