"""Counts how the moments went: outcomes as lines of JSON, and the table of them on the page on reliability."""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests import TOP

RESULTS = "LVMSNAP_MOMENTS"
PAGE = TOP / "lvmsnap/docs/reliability.md"
HOWS = {"power cut": "the power fails, the machine boots", "killed": "lvmsnap is killed, then `lvmsnap recover`"}
BEGIN, END = "<!-- reliability:begin -->", "<!-- reliability:end -->"


@dataclass(frozen=True)
class Outcome:
    """How one moment went; `seconds` is what `lvmsnap recover` took, at boot or by hand.

    `by_itself`: clean already when the boot had ended. `clean`: at the latest after one `lvmsnap recover`.
    """

    moment: str
    how: str
    by_itself: bool
    clean: bool
    data_equal: bool
    seconds: float


def note(outcome: Outcome) -> None:
    """Add an outcome to the file that LVMSNAP_MOMENTS names, a line of JSON each; several processes may."""
    if path := os.environ.get(RESULTS):
        with Path(path).open("a") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")


def table(outcomes: Iterable[Outcome]) -> str:
    """Give the page's table."""
    lines = ["| at each of these moments | moments | all clean | data equal | `lvmsnap recover` takes |"]
    lines += ["|---|--:|--:|--:|---|"]
    for how, words in HOWS.items():
        these = [outcome for outcome in outcomes if outcome.how == how]
        if these:
            seconds = [outcome.seconds for outcome in these]
            times = f"{statistics.median(seconds):.1f} s (median), at most {max(seconds):.1f} s"
            clean, equal = sum(o.clean for o in these), sum(o.data_equal for o in these)
            lines.append(f"| {words} | {len(these)} | {clean} | {equal} | {times} |")
    return "\n".join(lines)


def counts(page: str) -> dict[str, tuple[int, ...]]:
    """Give what the page's table says: for each way to crash the moments, the clean ones, those with equal data."""
    rows = re.findall(r"^\| (.+?) \| (\d+) \| (\d+) \| (\d+) \|", page.partition(BEGIN)[2].partition(END)[0], re.M)
    told = {words: tuple(map(int, numbers)) for words, *numbers in rows}
    return {how: told.get(words, ()) for how, words in HOWS.items()}


def main() -> None:
    """Write the table of a results file into the page; the last outcome of each moment counts."""
    lines = [Outcome(**json.loads(line)) for line in Path(sys.argv[1]).read_text().splitlines()]
    outcomes = {(outcome.moment, outcome.how): outcome for outcome in lines}
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(list(outcomes.values()))}\n{END}{after}")


if __name__ == "__main__":
    main()
