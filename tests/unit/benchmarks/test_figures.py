"""What the benchmark makes of seconds: ratios, spreads, verdicts, a table; and who has his turn when."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.benchmarks import figures, in_guest, timing
from tests.benchmarks.__main__ import NAMES
from tests.benchmarks.figures import Goal, Spread
from tests.benchmarks.goals import GOALS
from tests.benchmarks.programs import SCRIPTS
from tests.benchmarks.server import CONTENDERS

AT_MOST = Goal("work", "m", "ours", "other", 1.4, 1.25)
AT_LEAST = Goal("work", "m", "ours", "other", 0.9, at_least=True)
LESS = Goal("work", "m", "ours", "other", 1.5, less=("ours without", "other without"))


def test_a_ratio_is_the_median_of_those_of_each_round_so_that_a_slow_moment_of_the_machine_counts_for_nothing() -> None:
    seconds = {"ours": [2.0, 20.0, 2.4], "other": [1.0, 10.0, 1.0]}

    assert figures.ratio(AT_MOST, seconds) == Spread(2.0, 2.0, 2.2)


def test_what_both_take_without_the_work_is_not_counted() -> None:
    seconds = {
        "ours": [5.0, 5.0],
        "ours without": [3.0, 1.0, 2.0],
        "other": [2.0, 2.0],
        "other without": [0.5],
    }

    assert figures.ratio(LESS, seconds) == Spread(2.0, 2.0, 2.0)


def test_the_spread_of_a_single_round_is_that_round() -> None:
    assert figures.spread([3.0]) == Spread(3.0, 3.0, 3.0)


@pytest.mark.parametrize(
    ("goal", "value", "said"),
    [
        (AT_MOST, 1.41, "**missed**"),
        (AT_MOST, 1.4, "met"),
        (AT_MOST, 1.25, "met, the later one too"),
        (AT_LEAST, 0.89, "**missed**"),
        (AT_LEAST, 0.9, "met"),
        (Goal("work", "m", "ours", "other", None), 9.0, ""),
    ],
)
def test_a_goal_is_met_or_missed(goal: Goal, value: float, said: str) -> None:
    assert figures.verdict(goal, value) == said


def test_the_table_has_a_row_for_each_goal_whose_work_was_measured() -> None:
    goals = (AT_MOST, AT_LEAST, Goal("more", "not measured", "ours", "other", 1.0))

    made = figures.table(goals, {"m": {"clock": {"ours": [0.1, 0.3], "other": [1.0, 3.0]}}})

    assert made.splitlines()[2:] == [
        "| work | 0.200 s (0.150–0.250) | other: 2.00 s (1.50–2.50) | 2 | **0.10** (0.10–0.10) |  "
        "| ≤ 1.40, then ≤ 1.25 | met, the later one too |",
        "| work | 0.200 s (0.150–0.250) | other: 2.00 s (1.50–2.50) | 2 | **0.10** (0.10–0.10) |  "
        "| ≥ 0.90 | **missed** |",
    ]


def test_where_processor_time_is_known_it_decides() -> None:
    by_way = {"clock": {"ours": [3.0], "other": [1.0]}, "processor": {"ours": [1.3], "other": [1.0]}}

    (row,) = figures.table([AT_MOST], {"m": by_way}).splitlines()[2:]

    assert row.endswith("| 3.00 (3.00–3.00) | **1.30** (1.30–1.30) | ≤ 1.40, then ≤ 1.25 | met |")


def test_two_runs_are_compared_by_the_ratios_that_decide() -> None:
    now = {"m": {"clock": {"ours": [9.0], "other": [1.0]}, "processor": {"ours": [2.1], "other": [1.0]}}}
    before = {"m": {"clock": {"ours": [5.0], "other": [1.0]}, "processor": {"ours": [2.0], "other": [1.0]}}}

    assert figures.agreement([AT_MOST], now, before) == "  5.0%  2.10, before 2.00: work, beside other\n"
    assert figures.agreement([AT_MOST], now, {}) == ""


def test_rounds_of_two_runs_are_as_those_of_one() -> None:
    one = {"a": {"clock": {"ours": [1.0]}}}
    other = {"a": {"clock": {"ours": [2.0]}}, "b": {"clock": {"ours": [3.0]}}}

    assert figures.together(one, other) == {"a": {"clock": {"ours": [1.0, 2.0]}}, "b": {"clock": {"ours": [3.0]}}}


def test_all_have_their_turn_in_each_round_and_the_first_round_does_not_count() -> None:
    turns: list[str] = []

    def turn(name: str) -> timing.Taken:
        turns.append(name)
        return {"clock": float(len(turns))}

    taken = timing.in_turn(["a", "b"], 2, turn)

    assert turns == ["b", "a", "a", "b", "b", "a"]
    assert taken == {"clock": {"a": [3.0, 6.0], "b": [4.0, 5.0]}}


def test_the_processor_time_of_a_session_is_that_of_its_processes_and_of_those_that_ended() -> None:
    burn = "import time; s = time.process_time()\nwhile time.process_time() - s < 0.1: pass"
    script = f"'{sys.executable}' -c '{burn}'; '{sys.executable}' -c '{burn}'; echo; read line"
    with subprocess.Popen(
        ["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as shell:
        assert shell.stdout
        shell.stdout.readline()

        spent = in_guest.spent(shell.pid)

        shell.kill()
    assert 0.2 <= spent < 1


def test_a_command_that_fails_is_no_measurement() -> None:
    with pytest.raises(timing.Failed, match=r"status 3\nout of order"):
        timing.seconds([[sys.executable, "-c", "print('out of order'); raise SystemExit(3)"]])


def test_each_goal_is_about_something_that_is_measured_and_the_scripts_exist() -> None:
    assert {goal.measurement for goal in GOALS} == set(NAMES)
    for goal in GOALS:
        assert {goal.ours, goal.other} <= set(CONTENDERS.get(goal.measurement, {goal.ours: [], goal.other: []}))
    scripts = {argv[0] for these in CONTENDERS.values() for work in these.values() for argv in work}
    assert all(SCRIPTS.joinpath(path).exists() for path in scripts if path.startswith(str(SCRIPTS)))
