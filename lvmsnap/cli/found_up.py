"""The output of `up` and `hold`: where a backup finds the snapshots, and what to do next."""

from __future__ import annotations

from lvmsnap.cli import layout
from lvmsnap.cli.next_steps import next_lines
from lvmsnap.execution.context import Progress
from lvmsnap.model.paths import is_within
from lvmsnap.model.target import Target
from lvmsnap.system import streams


def answer(target: Target) -> None:
    """Print on stdout where the snapshots are: a line for each place."""
    for line in _places(target):
        streams.answer(line)


def _places(target: Target) -> tuple[str, ...]:
    """Return the tree's top, and the mountpoint or device of what is not in it."""
    places = [one.mount.mountpoint if one.mount else one.device for one in target.snapshots]
    if not target.tree:
        return tuple(places)
    return (target.tree, *(place for place in places if not is_within(place, target.tree)))


def note_next_commands(name: str, progress: Progress) -> None:
    """Say what to do next with what `up` brought up, where progress is shown."""
    guarded = (f"lvmsnap watch {name}", "guards it while your backup reads it")
    for line in next_lines((guarded, (f"lvmsnap down {name}", "takes it down again"))):
        progress.note(layout.text(line))
