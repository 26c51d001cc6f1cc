"""`lvmsnap recover --from-host ID`: shows what another host left, asks on the terminal, and takes it down."""

from __future__ import annotations

import argparse
import sys

from lvmsnap.cli import layout, views
from lvmsnap.model.errors import Refusal, RefusedError, UsageError
from lvmsnap.operations import other_hosts
from lvmsnap.operations.sessions import Session
from lvmsnap.system import streams


def recover_from_host(options: argparse.Namespace, session: Session) -> int:
    """Return the exit code. Raises UsageError, RefusedError if the answer is not yes, ResidueError."""
    if options.from_host is None:
        raise UsageError("recover --yes needs --from-host", hint="recover itself never asks")
    if options.names:
        raise UsageError("recover --from-host takes no NAME", hint="it takes all that the host left; see --dry-run")
    plans = other_hosts.plans(session, options.from_host)
    if not plans:
        print(f"nothing of host {options.from_host} is on the disks of this machine")
        return 0
    try:
        for name, plan in plans:
            layout.show(views.plan_lines(name, plan), sys.stdout)
        sys.stdout.flush()
    except (OSError, ValueError):
        if options.dry_run or not options.yes:
            raise
        streams.give_up(sys.stdout)
    if options.dry_run:
        return 0
    if not options.yes:
        _ask(options.from_host)
    for name in other_hosts.take(session, options.from_host):
        streams.answer(f"taken down: {name}")
    return 0


def _ask(host: str) -> None:
    danger = f"host {host} may be using all this now, and would lose data"
    if not sys.stdin.isatty():
        hint = "on a terminal lvmsnap asks; elsewhere add --yes, if that host will never use these disks again"
        raise RefusedError((Refusal(danger, hint),))
    sys.stdout.flush()
    print(f"{danger}. Will it never use these disks again? Type yes: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != "yes":
        raise RefusedError((Refusal("the answer was not yes", "nothing was changed"),))
