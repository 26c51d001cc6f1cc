"""The longest stall of a writer on an origin while its snapshot is taken, by lvmsnap and by LVM's own command."""

from __future__ import annotations

from tests.benchmarks.figures import CLOCK, ByWay
from tests.benchmarks.timing import in_turn
from tests.lab.machine import Machine
from tests.lab.up_down.test_stalls import make_server, stall_of_lvcreate, stall_of_lvmsnap

TURNS = 3  # one stall says little
BY = {"up": stall_of_lvmsnap, "`lvcreate`": stall_of_lvcreate}


def measure(machine: Machine, rounds: int) -> ByWay:
    """Make the server on a blank machine; return the longest stall of each round."""
    make_server(machine)
    return in_turn(list(BY), rounds * TURNS, lambda name: {CLOCK: BY[name](machine, 1)})
