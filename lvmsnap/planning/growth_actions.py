"""The commands that give a snapshot more room while it is up. Pure; what takes everything down is in `actions`."""

from __future__ import annotations

from lvmsnap.model.facts import VolumeGroup
from lvmsnap.model.profile import Argv
from lvmsnap.model.target import Loan, Target
from lvmsnap.planning import file_actions
from lvmsnap.planning.identify import FoundLoan, FoundSnapshot
from lvmsnap.planning.loan_actions import allocatable, devices_of, is_closed


def grow(
    target: Target, found: FoundSnapshot, vg: VolumeGroup, extents: int, lent: FoundLoan | None
) -> tuple[Argv, ...]:
    """Return the commands that give a snapshot that is up `extents` more; `down` removes them with all the others.

    If there is a lent PV, they come from it alone: the PV could not be returned if others took extents left free there.
    """
    loop_device = lent.loop.device if lent and lent.loop else ""
    pvs = (loop_device,) if loop_device else ()
    is_shut = lent is not None and bool(loop_device) and is_closed(target, lent.loan)
    opened, closed = ((allocatable(verb, vg, loop_device),) if is_shut else () for verb in ("y", "n"))
    # Otherwise lvextend makes dmeventd monitor the snapshot, and dmeventd would unmount it once it is full. Those of
    # others stay monitored. An lvcreate or lvremove on the same origin may have turned it on: turn it off each time.
    unwatched = ("--config", "activation/monitoring=0")
    extend = ("lvextend", *unwatched, "--extents", f"+{extents}", found.name, *pvs)
    return (*opened, extend, *closed, unwatch(found.name))


def unwatch(name: str) -> Argv:
    """Return the command that stops dmeventd from monitoring snapshot `name`, VG/LV, but not its origin's others."""
    return ("lvchange", "--monitor", "n", name)


def grow_file(loan: Loan, old_bytes: int, new_bytes: int) -> tuple[Argv, ...]:
    """Return the command that enlarges a backing file in use."""
    return (file_actions.grow_file(loan, old_bytes, new_bytes),)


def grow_pv(vg: VolumeGroup, loop_device: str) -> tuple[Argv, ...]:
    """Return the commands that grow the loop device and the lent PV to the backing file's new size."""
    return (("losetup", "--set-capacity", loop_device), ("pvresize", *devices_of(vg, loop_device), loop_device))
