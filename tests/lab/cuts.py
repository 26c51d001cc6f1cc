"""What tests of snapshots of one instant share: a server of three volumes, and a program that writes to them in turn.

The writer adds one to a counter on each volume in turn, and goes on once it is on the disk: at no instant is a later
volume's counter ahead of an earlier one's, or more than one behind. Asked by SIGUSR1, it says in /run/longest how long
the longest write took since it was asked last.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from tests.lab.machine import Job, Machine
from tests.lab.support import lvmsnap, write_profile

PLACES = ("/mnt/a", "/mnt/r", "/mnt/t")
WRITER = """
import os, signal, sys, time
fds = [os.open(f"{place}/counter", os.O_RDWR | os.O_CREAT | os.O_DSYNC) for place in sys.argv[1:]]
stop, asked, count, longest = [], [], 0, 0.0
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
signal.signal(signal.SIGUSR1, lambda *_: asked.append(1))
while not stop:
    count += 1
    for fd in fds:
        start = time.monotonic()
        os.pwrite(fd, b"%012d" % count, 0)
        longest = max(longest, time.monotonic() - start)
    if asked:
        asked.clear()
        with open("/run/longest.new", "w") as file:
            file.write(str(longest))
        os.rename("/run/longest.new", "/run/longest")
        longest = 0.0
"""
LOAD = "while :; do dd if=/dev/zero of={0}/load bs=64k count=200 2> /dev/null; sync {0}/load; done"
# Linear, in a group of its own; RAID; in a thin pool.
SERVER = """set -e
vgcreate -q -y vg0 /dev/ubda; lvcreate -q -y -L 64M -n a vg0
vgcreate -q -y vg1 /dev/ubdb /dev/ubdc; lvcreate -q -y --type raid1 -m 1 -L 64M -n r vg1
lvcreate -q -y -L 100M -T vg1/pool; lvcreate -q -y -V 64M -T vg1/pool -n t
for lv in vg0/a vg1/r vg1/t; do mkfs.ext4 -q -E lazy_itable_init=0 /dev/$lv; mkdir -p /mnt/${lv#*/}
mount /dev/$lv /mnt/${lv#*/}; done"""
SET = """volumes:
  - {origin: vg0/a, size: 40MiB}
  - {origin: vg1/r, size: 40MiB}
  - {origin: vg1/t, size: 40MiB}
"""
SUSPENDED = "dmsetup info -c --noheadings -o suspended,name | grep ^Suspended"


def make_server(m: Machine, *, consistent: bool = True) -> None:
    """Three volumes in two groups, of three kinds, and a profile `p` of them."""
    m.run(SERVER, timeout=120)
    write_profile(m, "p", SET + ("" if consistent else "consistent: false\n"))


@contextmanager
def writing(m: Machine, *, load: bool = False) -> Iterator[Job]:
    """Have the writer at work; with `load` others beside it keep the disks busy."""
    jobs = [m.start(["python3", "-c", WRITER, *PLACES])]
    jobs += [m.start(LOAD.format(place)) for place in PLACES if load]
    m.run("sleep 1")
    try:
        yield jobs[0]
    finally:
        for job in jobs[1:]:
            job.kill(9)
        jobs[0].kill(15)


def counters(m: Machine, top: str = "/run/lvmsnap/p") -> list[int]:
    """What the snapshots show of the counters, in the order in which they are written."""
    return [int(m.read_file(f"{top}{place}/counter")) for place in PLACES]


def are_of_one_instant(seen: list[int]) -> bool:
    """Whether there was an instant at which these were the counters."""
    return all(one >= two for one, two in pairwise(seen)) and seen[0] - seen[-1] <= 1


def take(m: Machine, rounds: int) -> list[list[int]]:
    """Bring `p` up and down, and give the counters that its snapshots showed each time."""
    seen = []
    for _ in range(rounds):
        lvmsnap(m, "up p", timeout=900)  # beside other tests, under load
        seen.append(counters(m))
        lvmsnap(m, "down p", timeout=900)
    return seen


def wrap(m: Machine, program: str, body: str) -> str:
    """Put a program into a folder that is to come first in PATH; of lvm only the call that holds origins gets there."""
    held = f"""case "$1" in /dev/fd/0) ;; *) exec {program} "$@" ;; esac
n=$(cat /run/wrapped/count 2> /dev/null || echo 0); echo $((n + 1)) > /run/wrapped/count
[ "$n" = 1 ] || exec {program} "$@"
"""
    first = held if program == "lvm" else ""
    lines = f"#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n{first}{body}\n"
    m.run("rm -rf /run/wrapped; mkdir /run/wrapped")
    m.write_file(f"/run/wrapped/{program}", lines, 0o755)
    return "/run/wrapped"


def killed_at(ioctl: int, signal: str = "SIGKILL") -> str:
    """Give the body of a wrapper that has LVM get a signal as it makes its n-th call of the kernel's."""
    return f'exec strace -f -o /dev/null -e trace=ioctl -e inject=ioctl:signal={signal}:when={ioctl} lvm "$@"'
