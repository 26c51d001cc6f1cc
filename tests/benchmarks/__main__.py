"""`./tests/bench`: measures, prints the table, and keeps it in a folder with all that was measured."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tests import TOP
from tests.benchmarks import crowd, server, stalls, start, writes
from tests.benchmarks.figures import ByWay, Measured, agreement, table, together
from tests.benchmarks.goals import GOALS
from tests.benchmarks.timing import Failed
from tests.lab.helpers import wipe
from tests.lab.machine import CommandFailed, GiB, LabError, Machine

DISKS = {"ubda": 16 * GiB, "ubdb": 8 * GiB, "ubdc": 8 * GiB}
IN_THE_LAB: dict[str, Callable[[Machine, int], ByWay]] = {
    **{name: partial(server.measure, name) for name in server.CONTENDERS},
    "stall": stalls.measure,
    "writes": writes.measure,
    "plan": crowd.measure,
}
ON_THIS_MACHINE: dict[str, Callable[[int], ByWay]] = {name: partial(start.measure, name) for name in start.MEASUREMENTS}
TIMES = "times.json"
PAGE, BEGIN, END = TOP / "lvmsnap/docs/code.md", "<!-- bench:begin -->", "<!-- bench:end -->"
NAMES = (*IN_THE_LAB, *ON_THIS_MACHINE)


def main() -> int:
    """Read the arguments, measure, keep what was measured so far, print the table."""
    arguments = _parser().parse_args()
    _make_folder(arguments.output)
    kept = arguments.output / TIMES
    before = _read(arguments.against) if arguments.against else {}
    measured = _read(arguments.output) if arguments.add and kept.exists() else {}
    for name, taken in _measure(arguments.rows, arguments.rounds):
        measured = together(measured, {name: taken})
        kept.write_text(json.dumps(measured, indent=1))
        (arguments.output / "table.md").write_text(table(GOALS, measured))
    print(table(GOALS, measured), end="")
    print(agreement(GOALS, measured, before), end="")
    if arguments.page:
        before_it, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before_it}{BEGIN}\n{table(GOALS, measured)}{END}{rest.partition(END)[2]}")
    return 0


def _read(folder: Path) -> Measured:
    measured: Measured = json.loads((folder / TIMES).read_text())
    return measured


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests/bench", description=__doc__)
    parser.add_argument("--rows", type=_rows, default=list(NAMES), help=f"some of {', '.join(NAMES)}, with commas")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--output", type=Path, default=TOP / ".bench")
    parser.add_argument("--add", action="store_true")
    parser.add_argument("--against", type=Path)
    parser.add_argument("--page", action="store_true")
    return parser


def _rows(text: str) -> Sequence[str]:
    names = [name for name in text.split(",") if name]
    if unknown := [name for name in names if name not in NAMES]:
        raise argparse.ArgumentTypeError(f"no such rows: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return names


def _measure(names: Sequence[str], rounds: int) -> Iterator[tuple[str, ByWay]]:
    for name in (name for name in names if name in ON_THIS_MACHINE):
        _say(f"{name}, {rounds} rounds")
        yield name, ON_THIS_MACHINE[name](rounds)
    if in_the_lab := [name for name in names if name in IN_THE_LAB]:
        with Machine(DISKS) as machine:
            machine.boot()
            for name in in_the_lab:
                _say(f"{name}, {rounds} rounds, in the lab")
                wipe(machine)
                yield name, IN_THE_LAB[name](machine, rounds)


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (LabError, CommandFailed, Failed) as error:
        sys.exit(f"bench: {error}")
