"""What is measured on the server of scripts/server.sh: work of lvmsnap, of bare scripts and of other programs."""

from __future__ import annotations

from tests.benchmarks.figures import ByWay
from tests.benchmarks.in_guest import time_in_turn
from tests.benchmarks.programs import BORGMATIC, LVMSNAP, SCRIPTS, SNAPM
from tests.benchmarks.timing import Commands
from tests.lab.machine import Machine

BORG = f"{BORGMATIC} --config {SCRIPTS}/borgmatic.yaml --local-path {SCRIPTS}/borg"


def _words(*lines: str) -> Commands:
    return [line.split() for line in lines]


FILE = _words(f"{LVMSNAP} up file", f"{LVMSNAP} down file")
CONTENDERS: dict[str, dict[str, Commands]] = {
    "space": {
        "lvmsnap": _words(f"{LVMSNAP} up space", f"{LVMSNAP} down space"),
        "lvmsnap run": _words(f"{LVMSNAP} run space -- true"),
        "bare script": _words(f"{SCRIPTS}/space.sh"),
        "bare script, unmonitored": _words(f"{SCRIPTS}/space.sh --ignoremonitoring"),
        "snapm": _words(f"{SNAPM} snapset create bench /srv/system:256MiB", f"{SNAPM} snapset delete bench"),
        "borgmatic": _words(f"{BORG} create"),
    },
    "file": {"lvmsnap": FILE, "bare script": _words(f"{SCRIPTS}/file.sh")},
    "old-manner": {"lvmsnap": FILE, "old script": _words(f"{SCRIPTS}/old-manner.sh")},
}


def measure(name: str, machine: Machine, rounds: int) -> ByWay:
    """Make the server on a blank machine; return what each contender took in each round."""
    machine.run([f"{SCRIPTS}/server.sh"], timeout=120)
    return time_in_turn(machine, CONTENDERS[name], rounds)
