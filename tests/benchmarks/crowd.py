"""What `plan` takes where a machine has 1,000 more volumes, 200 loop devices and 1,000 mounts, beside what LVM takes.

In the guest, `python -m tests.benchmarks.crowd volumes|others` makes them.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

from tests import TOP
from tests.benchmarks.figures import ByWay
from tests.benchmarks.in_guest import time_in_turn
from tests.benchmarks.programs import LVMSNAP, SCRIPTS
from tests.lab.machine import Machine

VOLUMES, LOOPS, MOUNTS = 1000, 200, 1000
GROUP = "lvm_server_vg"
METADATA = Path("/run/crowd")
PLAN, LVS = [[LVMSNAP, "plan", "space"]], [["lvs"]]
VOLUME = """
\t\tv{number} {{
\t\t\tid = "crowd0-0000-0000-0000-0000-0000-{number:06}"
\t\t\tstatus = ["READ", "WRITE", "VISIBLE"]
\t\t\tflags = []
\t\t\tsegment_count = 1
\t\t\tsegment1 {{
\t\t\t\tstart_extent = 0
\t\t\t\textent_count = 1
\t\t\t\ttype = "striped"
\t\t\t\tstripe_count = 1
\t\t\t\tstripes = ["pv0", {extent}]
\t\t\t}}
\t\t}}
"""


def measure(machine: Machine, rounds: int) -> ByWay:
    """Make the server on a blank machine, and then the crowd; return what each took in each round."""
    machine.run([f"{SCRIPTS}/server.sh"], timeout=120)
    taken = time_in_turn(machine, {"plan alone": PLAN, "lvs alone": LVS}, rounds)
    _make(machine, "volumes")
    with_volumes = time_in_turn(machine, {"`lvs`, 1,000 volumes": LVS}, rounds)
    _make(machine, "others")
    with_all = time_in_turn(machine, {"plan": PLAN, "`lvs` too": LVS}, rounds)
    return {way: {**seconds, **with_volumes[way], **with_all[way]} for way, seconds in taken.items()}


def _make(machine: Machine, what: str) -> None:
    machine.run([sys.executable, "-m", "tests.benchmarks.crowd", what], cwd=str(TOP), timeout=300)


def make_volumes() -> None:
    """Have LVM take a group with that many more volumes for its own: making them one by one would take an hour."""
    subprocess.run(["vgcfgbackup", "-qq", "-f", str(METADATA), GROUP], check=True)
    text = METADATA.read_text()
    first = max(int(found) for found in re.findall(r"^\t+extent_count = (\d+)", text, re.M))
    volumes = "".join(VOLUME.format(number=number, extent=first + number) for number in range(VOLUMES))
    METADATA.write_text(text.replace("\tlogical_volumes {\n", f"\tlogical_volumes {{\n{volumes}", 1))
    subprocess.run(["vgcfgrestore", "-qq", "--yes", "-f", str(METADATA), GROUP], check=True)


def make_others() -> None:
    """Attach loop devices, mount filesystems."""
    folder = Path("/run/loops")
    folder.mkdir()
    for number in range(LOOPS):
        file = folder / str(number)
        file.touch()
        os.truncate(file, 1 << 20)
        subprocess.run(["losetup", "--find", str(file)], check=True)
    libc = ctypes.CDLL(None, use_errno=True)
    for number in range(MOUNTS):
        place = f"/mnt/crowd{number}"
        os.mkdir(place)
        if libc.mount(b"none", place.encode(), b"tmpfs", 0, None):
            raise OSError(ctypes.get_errno(), "mount")


if __name__ == "__main__":
    {"volumes": make_volumes, "others": make_others}[sys.argv[1]]()
