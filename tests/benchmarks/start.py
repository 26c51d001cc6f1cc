"""What is measured on this machine itself: how soon `up` and `down` start LVM, and how fast profiles are read.

In a mount namespace where /run and /var/lib are empty, and with a stand-in for LVM that ends whoever started it:
nothing of this machine's is changed, and its LVM is not even asked. `python -m tests.benchmarks.start NAME ROUNDS` runs
there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from lvmsnap.execution import records
from tests import TOP, samples
from tests.benchmarks.figures import CLOCK, ByWay
from tests.benchmarks.programs import LVMSNAP, PYTHON
from tests.benchmarks.timing import Failed, in_turn, seconds

PRIVATE = 'mount -t tmpfs none /run; mount -t tmpfs none /var/lib; exec "$@"'
STAND_IN = "#!/bin/sh\nkill -9 $PPID\n"
PROFILES = 1000
TURNS = 10  # a start is short, and so are they


def measure(name: str, rounds: int) -> ByWay:
    """Return what each contender took in each round."""
    apart = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    work = [sys.executable, "-m", "tests.benchmarks.start", name, str(rounds)]
    done = subprocess.run(
        [*apart, "sh", "-ec", PRIVATE, "sh", *work], cwd=TOP, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(f"measuring {name} on this machine: {done.stderr}")
    taken: ByWay = json.loads(done.stdout)
    return taken


def starts(folder: Path, rounds: int) -> ByWay:
    """`up` and `down` of a profile until they start LVM, beside a Python that does nothing."""
    stand_in = folder / "bin/lvm"
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    os.environ["PATH"] = f"{stand_in.parent}:{os.environ['PATH']}"
    write_profiles(folder, 1)
    records.write(samples.record())
    command = [LVMSNAP, "--profile-dir", str(folder)]
    killed = {"up": [*command, "up", "p0"], "down": [*command, "down", "nightly"]}
    nothing = {"`python -c pass`": [PYTHON, "-c", "pass"]}
    return in_turn(
        [*killed, *nothing],
        rounds * TURNS,
        lambda name: {CLOCK: seconds([{**killed, **nothing}[name]], -signal.SIGKILL if name in killed else 0)},
    )


def validations(folder: Path, rounds: int) -> ByWay:
    """A thousand profiles, by name and by path."""
    write_profiles(folder, PROFILES)
    paths = sorted(folder.glob("*.yaml"))
    given = {"by name": [path.stem for path in paths], "by path": [str(path) for path in paths]}
    command = [LVMSNAP, "validate", "-q", "--profile-dir", str(folder)]
    return in_turn(list(given), rounds, lambda name: {CLOCK: seconds([[*command, *given[name]]])})


def write_profiles(folder: Path, count: int) -> None:
    """Write so many profiles, p0 and on."""
    for number in range(count):
        (folder / f"p{number}.yaml").write_text(f"volumes: [{{origin: vg0/lv{number}, size: 4GiB}}]\n")


MEASUREMENTS = {"start": starts, "validate": validations}


def main() -> None:
    """Measure one of them."""
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(MEASUREMENTS[sys.argv[1]](Path(folder), int(sys.argv[2]))))


if __name__ == "__main__":
    main()
