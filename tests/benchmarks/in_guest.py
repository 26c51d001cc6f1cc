"""Times commands in a guest: by its clock, and by the processor time that all of it took on the machine it runs on.

The latter is what it would take by the clock if nobody else wanted the processor: the guest has one, and is never idle
while it works. Who shares the machine with others is told the same by it, time and again.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tests import TOP
from tests.benchmarks.figures import CLOCK, PROCESSOR
from tests.benchmarks.timing import Commands, Failed, Taken, in_turn
from tests.lab.machine import Machine

LONGEST = 300
TICK = 1 / os.sysconf("SC_CLK_TCK")


class Guest:
    """A machine's own stopwatch."""

    def __init__(self, machine: Machine) -> None:
        """Have it stand by in the guest."""
        self._machine = machine
        argv = [sys.executable, "-u", "-m", "tests.benchmarks.timing"]
        self._job = machine.start(argv, cwd=str(TOP), env={"PYTHONDONTWRITEBYTECODE": "1"}, stdin=True)
        self._heard = 0

    def time(self, commands: Commands) -> Taken:
        """Run commands one after the other, once all is quiet; return what that took."""
        self._ask(json.dumps(commands))
        before = spent(self._machine.process_group)
        clock = float(self._ask("go"))
        return {CLOCK: clock, PROCESSOR: spent(self._machine.process_group) - before}

    def close(self) -> None:
        """Have it end."""
        self._job.write("", end=True)
        self._job.wait(LONGEST)

    def _ask(self, line: str) -> str:
        self._job.write(f"{line}\n")
        self._job.wait_for(lambda: self._job.stdout.count("\n") > self._heard or not self._job.is_running(), LONGEST)
        if self._job.stdout.count("\n") == self._heard:
            raise Failed(self._job.stderr)
        self._heard += 1
        return self._job.stdout.splitlines()[self._heard - 1]


def time_in_turn(
    machine: Machine, contenders: Mapping[str, Commands], rounds: int
) -> dict[str, dict[str, list[float]]]:
    """Return by each way of measuring what each contender took in each round."""
    guest = Guest(machine)
    taken = in_turn(list(contenders), rounds, lambda name: guest.time(contenders[name]))
    guest.close()
    return taken


def spent(session: int) -> float:
    """Return the processor time, in seconds, of all processes of a session so far, those that ended included."""
    return sum(_spent(path, session) for path in Path("/proc").glob("[0-9]*"))


def _spent(process: Path, session: int) -> float:
    try:
        # What comes after the name, which may have anything in it; the fields are those of proc_pid_stat(5), from 3 on.
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        if int(fields[3]) != session:
            return 0.0
        own = int((process / "schedstat").read_text().split()[0]) / 1e9
    except (OSError, ValueError):
        return 0.0  # It has ended: its parent's has it.
    ended = sum(int(field) for field in fields[13:15]) * TICK if process.name == str(session) else 0.0
    return own + ended
