"""Runs the command that holds origins: nothing else is done meanwhile, and a dead man's switch stands by.

Reports, writes and look-ups wait until the origins are resumed: their files may be on one of them.
"""

from __future__ import annotations

from lvmsnap.execution import dead_mans_switch
from lvmsnap.execution.context import Work
from lvmsnap.model.plan import Action
from lvmsnap.model.profile import Argv
from lvmsnap.system import apart


def run(action: Action, argv: Argv, work: Work) -> str:
    """Run a command that holds the action's origins; return what is wrong, "" if nothing is.

    Raises LvmsnapError if the switch cannot be armed: nothing was held then.
    """
    before = work.runner.lock_fds
    try:
        if complaint := apart.lock_memory():
            return complaint
        with work.runner.unheard(), dead_mans_switch.armed(action.holds) as switch:
            # As long as one of its processes runs, this end of the pipe stays open.
            work.runner.lock_fds = (*before, switch.control)
            finished = work.runner.run(argv)
            switch.is_good = finished.ok
    finally:
        work.runner.lock_fds = before
        apart.unlock_memory()
    if switch.held.was_let_go:
        why = "" if finished.ok else f" ({finished.complaint})"
        after = f"after {switch.held.seconds:.1f} s"
        return f"the dead man's switch resumed the origins {after}, before all snapshots were taken{why}"
    if not finished.ok:
        return finished.complaint
    work.progress.note(f"writers were held for {switch.held.seconds:.2f} s")
    return ""
