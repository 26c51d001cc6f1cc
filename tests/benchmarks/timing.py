"""Times commands that do the same work, in turn: what slows the machine down for a while then slows all of them.

In a guest, `python -m tests.benchmarks.timing`: a request as JSON on standard input, the seconds as JSON on standard
output.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

Commands = Sequence[Sequence[str]]
# Nothing that one of them left for udev or the disks to do is on the next one's time.
SETTLE = ("/bin/sh", "-c", "udevadm settle; sync")


class Failed(Exception):
    """A command that was to be timed failed."""


def in_turn(
    contenders: Mapping[str, Commands],
    rounds: int,
    settle: Sequence[str] = (),
    statuses: Mapping[str, int] | None = None,
) -> dict[str, list[float]]:
    """Return what each took in each round; before the first one there is a round that does not count.

    `settle` is run before each. `statuses` are those that commands of contenders end with, where it is not 0.
    """
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name in order(list(contenders), number):
            if settle:
                _run(settle)
            taken[name].append(seconds(contenders[name], (statuses or {}).get(name, 0)))
    return {name: all_of_them[1:] for name, all_of_them in taken.items()}


def order(names: list[str], number: int) -> list[str]:
    """Return who comes when in a round: there and back, so that none is always right behind the same other."""
    return names if number % 2 else names[::-1]


def seconds(commands: Commands, status: int = 0) -> float:
    """Run commands one after the other; return how long that took. Raises Failed where one does not end as it must."""
    start = time.monotonic()
    for argv in commands:
        _run(argv, status)
    return time.monotonic() - start


def _run(argv: Sequence[str], status: int = 0) -> None:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != status:
        raise Failed(f"{' '.join(argv)}: status {done.returncode}\n{done.stdout}{done.stderr}")


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)
    print(json.dumps(in_turn(request["contenders"], request["rounds"], SETTLE)))


if __name__ == "__main__":
    main()
