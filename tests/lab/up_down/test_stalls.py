"""How long a writer on the origins waits while snapshots are taken, by lvmsnap and by LVM's own commands."""

from __future__ import annotations

import statistics

import pytest

from tests.lab import cuts
from tests.lab.helpers import make_vg
from tests.lab.machine import Machine
from tests.lab.support import lvmsnap, write_profile

pytestmark = pytest.mark.lab

SIZES = (1, 2, 4, 8)
ASK = """rm -f /run/longest; kill -USR1 $(cat /run/writer)
until [ -e /run/longest ]; do sleep 0.02; done; cat /run/longest"""


@pytest.fixture
def server(lab: Machine) -> Machine:
    """A blank machine with the server on it."""
    return make_server(lab)


def make_server(lab: Machine) -> Machine:
    """Eight volumes with filesystems, a writer at work on all of them, and a profile for each size of a set."""
    names = [f"v{number}" for number in range(max(SIZES))]
    make_vg(
        lab,
        volumes=dict.fromkeys(names, "48M"),
        filesystems=dict.fromkeys(names, "ext4"),
        mounts={name: f"/mnt/{name}" for name in names},
    )
    for size in SIZES:
        volumes = ", ".join(f"{{origin: vg0/{name}, size: 8MiB, mountpoint: null}}" for name in names[:size])
        write_profile(lab, f"of{size}", f"volumes: [{volumes}]\n")
    places = " ".join(f"/mnt/{name}" for name in names)
    lab.start(f"echo $$ > /run/writer; exec python3 -c '{cuts.WRITER}' {places}")
    lab.run("sleep 2; mkdir -p -m 700 /var/lib/lvmsnap")
    return lab


def stall_of_lvcreate(m: Machine, size: int) -> float:
    """Return the longest write while LVM's own commands took the snapshots, one after the other."""
    volumes = " ".join(f"v{number}" for number in range(size))
    m.run(ASK)
    m.run(f"for v in {volumes}; do lvcreate -qq -y -s -L 8M -n $v-bare vg0/$v || exit; done", timeout=120)
    taken = float(m.run(ASK).stdout)
    m.run(f"for v in {volumes}; do lvremove -qq -y vg0/$v-bare || exit; done", timeout=120)
    return taken


def stall_of_lvmsnap(m: Machine, size: int) -> float:
    """Return the longest write while `up` took them."""
    m.run(ASK)
    lvmsnap(m, f"up of{size}")
    taken = float(m.run(ASK).stdout)
    lvmsnap(m, f"down of{size}")
    return taken


# A single measurement says little.
@pytest.mark.parametrize(("sizes", "rounds", "slack"), [((1, 2), 1, 5), (SIZES, 10, 1)], ids=["once", "ten times"])
def test_sets_hold_writers_a_few_times_as_long_as_one_lvcreate_at_most(
    server: Machine, sizes: tuple[int, ...], rounds: int, slack: int
) -> None:
    bare: dict[int, list[float]] = {size: [] for size in sizes}
    ours: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size in sizes:
            bare[size].append(stall_of_lvcreate(server, size))
            ours[size].append(stall_of_lvmsnap(server, size))

    print("\n| volumes | lvmsnap, median (worst) | lvcreate for each, median (worst) |\n|--:|---|---|")
    for size in sizes:
        print(f"| {size} | {_words(ours[size])} | {_words(bare[size])} |")
    one = statistics.median(bare[1])
    goals = {1: 2, 2: 2, 4: 5, 8: 5}
    assert all(statistics.median(ours[size]) <= goals[size] * one * slack for size in sizes)


def _words(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} s ({max(seconds):.2f} s)"
