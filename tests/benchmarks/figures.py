"""What the seconds of a benchmark amount to: medians, their spread, ratios, and whether goals are met. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Seconds = Mapping[str, Sequence[float]]  # of each contender, a number a round
ByWay = Mapping[str, Seconds]  # by each way of measuring
Measured = Mapping[str, ByWay]  # of several measurements, each with contenders of its own
CLOCK, PROCESSOR = "clock", "processor"
HEAD = (
    "| work | lvmsnap | beside it | rounds | ratio by the clock | of processor time | goal | |",
    "|---|--:|--:|--:|--:|--:|--:|---|",
)


@dataclass(frozen=True, slots=True)
class Goal:
    """A row of the table: what lvmsnap takes, as a multiple of what something else takes.

    `less` is what both are measured without, of lvmsnap's side and of the other. `later` is the goal after this one.
    """

    work: str
    measurement: str
    ours: str
    other: str
    bound: float | None
    later: float | None = None
    at_least: bool = False
    less: tuple[str, str] | None = None
    unit: str = "s"


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, and where the middle half lies."""

    median: float
    low: float
    high: float


def together(one: Measured, other: Measured) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Return the rounds of two runs of the benchmark as those of one; each may have measured something else."""
    both: dict[str, dict[str, dict[str, list[float]]]] = {}
    for run in (one, other):
        for name, by_way in run.items():
            for way, seconds in by_way.items():
                for contender, taken in seconds.items():
                    both.setdefault(name, {}).setdefault(way, {}).setdefault(contender, []).extend(taken)
    return both


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the quartiles."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def of_side(seconds: Seconds, name: str, less: str | None) -> list[float]:
    """Return what one side took in each round, less what it takes without the work, at the median."""
    without = statistics.median(seconds[less]) if less else 0.0
    return [value - without for value in seconds[name]]


def ratio(goal: Goal, seconds: Seconds) -> Spread:
    """Return the median of the rounds' ratios: of both sides in one round, when the machine was equally busy."""
    less = goal.less or (None, None)
    ours, other = of_side(seconds, goal.ours, less[0]), of_side(seconds, goal.other, less[1])
    return spread([one / two for one, two in zip(ours, other, strict=True)])


def is_met(goal: Goal, value: float, bound: float | None) -> bool:
    """Whether a ratio is within a bound."""
    return bound is not None and (value >= bound if goal.at_least else value <= bound)


def verdict(goal: Goal, value: float) -> str:
    """Return in a word or two whether the goal is met."""
    if goal.bound is None:
        return ""
    if not is_met(goal, value, goal.bound):
        return "**missed**"
    return "met, the later one too" if is_met(goal, value, goal.later) else "met"


def table(goals: Sequence[Goal], measured: Measured) -> str:
    """Return the table of what was measured, a row for each goal."""
    rows = [_row(goal, measured[goal.measurement]) for goal in goals if goal.measurement in measured]
    return "\n".join((*HEAD, *rows)) + "\n"


def agreement(goals: Sequence[Goal], one: Measured, other: Measured) -> str:
    """Return how far the ratios that decide are apart in two runs, a line for each goal that both measured."""
    lines = []
    for goal in goals:
        if goal.measurement in one and goal.measurement in other:
            now, then = (
                ratio(goal, run[goal.measurement][decisive_way(run[goal.measurement])]) for run in (one, other)
            )
            apart = abs(now.median / then.median - 1)
            lines.append(
                f"{apart:6.1%}  {now.median:.2f}, before {then.median:.2f}: {goal.work}, beside {goal.other}\n"
            )
    return "".join(lines)


def decisive_way(by_way: ByWay) -> str:
    """Return which way of measuring decides: processor time where it is known."""
    return PROCESSOR if PROCESSOR in by_way else CLOCK


def _row(goal: Goal, by_way: ByWay) -> str:
    clock, (of_ours, of_other) = by_way[CLOCK], goal.less or (None, None)
    ratios = {way: ratio(goal, seconds) for way, seconds in by_way.items()}
    decisive = decisive_way(by_way)
    cells = (
        goal.work,
        _taken(spread(of_side(clock, goal.ours, of_ours)), goal.unit),
        f"{goal.other}: {_taken(spread(of_side(clock, goal.other, of_other)), goal.unit)}",
        str(len(clock[goal.ours])),
        *[_ratio(ratios.get(way), bold=way == decisive) for way in (CLOCK, PROCESSOR)],
        _goal(goal),
        verdict(goal, ratios[decisive].median),
    )
    return f"| {' | '.join(cells)} |"


def _ratio(found: Spread | None, *, bold: bool) -> str:
    if found is None:
        return ""
    median = f"**{found.median:.2f}**" if bold else f"{found.median:.2f}"
    return f"{median} ({found.low:.2f}–{found.high:.2f})"


def _taken(of: Spread, unit: str) -> str:
    digits = 2 if of.median >= 1 else 3
    return f"{of.median:.{digits}f} {unit} ({of.low:.{digits}f}–{of.high:.{digits}f})"


def _goal(goal: Goal) -> str:
    if goal.bound is None:
        return "none"
    sign = "≥" if goal.at_least else "≤"
    return f"{sign} {goal.bound:.2f}" + (f", then {sign} {goal.later:.2f}" if goal.later is not None else "")
