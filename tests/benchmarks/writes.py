"""How fast one can write to an origin while its snapshot is up: in a file that lends the space, or on a plain PV."""

from __future__ import annotations

from tests.benchmarks.figures import CLOCK, ByWay
from tests.benchmarks.in_guest import Guest
from tests.benchmarks.programs import LVMSNAP, SCRIPTS
from tests.benchmarks.timing import Taken, in_turn
from tests.lab.machine import Machine

MIB = 1024
# What is there already is written over, so that each chunk has to be kept first. Less would be written in a moment, and
# just then somebody else may want the processor.
WRITE = f"dd if=/dev/zero of=/srv/system/old bs=1M count={MIB} conv=notrunc,fsync status=none".split()

PROFILES = {"file": "file", "plain PV": "plain"}


def measure(machine: Machine, rounds: int) -> ByWay:
    """Make the server on a blank machine; return how many MiB a second could be written in each round."""
    machine.run([f"{SCRIPTS}/two-disks.sh", str(MIB)], timeout=120)
    guest = Guest(machine)

    def turn(contender: str) -> Taken:
        name = PROFILES[contender]
        machine.run([LVMSNAP, "up", name], timeout=120)
        seconds = guest.time([WRITE])[CLOCK]
        machine.run([LVMSNAP, "down", name], timeout=120)
        return {CLOCK: MIB / seconds}

    taken = in_turn(list(PROFILES), rounds, turn)
    guest.close()
    return taken
