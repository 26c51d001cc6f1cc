"""Times commands that do the same work, in turn: what slows the machine down for a while then slows all of them.

In a guest, `python -m tests.benchmarks.timing` answers lines on standard input (see `Guest` in in_guest.py).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

Commands = Sequence[Sequence[str]]
Taken = Mapping[str, float]  # what one turn took, by the clock and perhaps in processor time
# Nothing that one of them left for udev or the disks to do is on the next one's time.
SETTLE = ("/bin/sh", "-c", "udevadm settle; sync")


class Failed(Exception):
    """A command that was to be timed failed."""


def in_turn(contenders: Sequence[str], rounds: int, turn: Callable[[str], Taken]) -> dict[str, dict[str, list[float]]]:
    """Return by each way of measuring what each contender took in each round; the first round does not count."""
    taken: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds + 1):
        for name in order(contenders, number):
            for way, value in turn(name).items():
                taken.setdefault(way, {}).setdefault(name, []).append(value)
    return {way: {name: values[1:] for name, values in by_contender.items()} for way, by_contender in taken.items()}


def order(names: Sequence[str], number: int) -> list[str]:
    """Return who comes when in a round: there and back, so that none is always right behind the same other."""
    return list(names) if number % 2 else list(names)[::-1]


def seconds(commands: Commands, status: int = 0) -> float:
    """Run commands one after the other; return how long that took. Raises Failed where one does not end as it must."""
    start = time.monotonic()
    for argv in commands:
        run(argv, status)
    return time.monotonic() - start


def run(argv: Sequence[str], status: int = 0) -> None:
    """Run a command to its end, which must have this status; otherwise raise Failed with what it said."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != status:
        raise Failed(f"{' '.join(argv)}: status {done.returncode}\n{done.stdout}{done.stderr}")


def main() -> None:
    """Answer requests, which are commands: say when all is quiet, start them when told so, say how long they took."""
    for line in sys.stdin:
        run(SETTLE)
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(seconds(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
