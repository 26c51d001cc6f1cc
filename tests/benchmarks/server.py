"""What is measured on the server of scripts/server.sh: work of lvmsnap, of bare scripts and of other programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from tests import TOP
from tests.benchmarks.figures import Seconds
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
LONGEST_ROUND = 300


def measure(name: str, machine: Machine, rounds: int) -> Seconds:
    """Make the server on a blank machine; return what each contender took in each round."""
    machine.run([f"{SCRIPTS}/server.sh"], timeout=120)
    return in_guest(machine, CONTENDERS[name], rounds)


def in_guest(machine: Machine, contenders: Mapping[str, Commands], rounds: int) -> Seconds:
    """Have the guest time them, in turn."""
    done = machine.run(
        [sys.executable, "-m", "tests.benchmarks.timing"],
        cwd=str(TOP),
        stdin=json.dumps({"contenders": contenders, "rounds": rounds}),
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        timeout=LONGEST_ROUND * (rounds + 1),
    )
    taken: Seconds = json.loads(done.stdout)
    return taken
