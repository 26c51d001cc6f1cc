"""The metrics: Prometheus's text format by its own rules, one series a thing, and only what is known."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pytest

from lvmsnap.cli import commands, metrics, parser
from lvmsnap.model.facts import Enlargement
from lvmsnap.model.past_run import PastRun, Peak, Result
from lvmsnap.model.units import MIB
from lvmsnap.planning import state
from lvmsnap.planning.state import State, Status
from lvmsnap.planning.volume_state import VolumeStatus
from tests import TOP, samples

NOW = datetime.fromisoformat("2024-05-04T05:30:00+00:00")
VOLUME = VolumeStatus(
    "vg0/system",
    "vg0/s",
    64 * MIB,
    12.5,
    "/media/s",
    "/dev/vg0/s",
    rate_bytes_per_second=1024.5,
    rate_over="guard",
    seconds_to_full=57344.0,
    last_growth=Enlargement("2024-05-04T05:29:55+00:00", 32 * MIB),
)
NIGHTLY = Status("nightly", State.UP, time=samples.TIME)
PEAK = Peak("vg0/system", "vg0/s", 48 * MIB, 64 * MIB, 0.75, 64 * MIB, 96 * MIB)
RUN = PastRun("2024-05-03T03:00:00+00:00", 723.4, 0, Result.OK, "borg", 0, snapshots=(PEAK,))
UP = replace(state.of_volumes(NIGHTLY, (VOLUME,)), last_run=RUN)

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"'
LINE = re.compile(rf"({NAME})(?:\{{((?:{LABEL},?)*)\}})? ([-+]?\d+(?:\.\d+)?(?:e[-+]\d+)?|\+Inf)")
UNESCAPED = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
Series = tuple[str, tuple[tuple[str, str], ...]]


def parse(text: str) -> dict[Series, float]:
    """Read the exposition format as its description has it; a mistake fails the test."""
    return dict(_parse(text))


def _parse(text: str) -> Iterator[tuple[Series, float]]:
    assert text.endswith("\n")
    family, seen = "", set()
    families: list[str] = []
    for line in text.removesuffix("\n").split("\n"):
        if about := re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.+)", line):
            if about[1] == "HELP":
                family = about[2]
                assert family not in families, "a family in two places"
                families.append(family)
            else:
                assert (about[2], about[3]) == (family, "gauge")
            continue
        match = LINE.fullmatch(line)
        assert match, line
        assert match[1] == family
        labels = tuple(
            (name, re.sub(r"\\.", lambda found: UNESCAPED[found[0]], value))
            for name, value in re.findall(LABEL, match[2] or "")
        )
        assert (family, labels) not in seen, "a series twice"
        seen.add((family, labels))
        yield (family, labels), float(match[5])


def told(*statuses: Status) -> dict[str, float]:
    """The metrics of one profile without their labels, and the state it is in."""
    found = parse(metrics.to_prometheus(statuses, NOW))
    return {name: value for (name, labels), value in found.items() if "state" not in dict(labels)}


def states(*statuses: Status) -> dict[tuple[str, str], float]:
    found = parse(metrics.to_prometheus(statuses, NOW))
    wanted = ((dict(labels), value) for (name, labels), value in found.items() if name == "lvmsnap_profile_state")
    return {(labels["profile"], labels["state"]): value for labels, value in wanted}


def test_all_that_is_known_of_a_profile_is_reported_in_base_units() -> None:
    assert told(UP) == {
        "lvmsnap_status_timestamp_seconds": NOW.timestamp(),
        "lvmsnap_profile_problem": 0,
        "lvmsnap_up_timestamp_seconds": datetime.fromisoformat(samples.TIME).timestamp(),
        "lvmsnap_snapshot_size_bytes": 64 * MIB,
        "lvmsnap_snapshot_fill_ratio": 0.125,
        "lvmsnap_snapshot_fill_bytes_per_second": 1024.5,
        "lvmsnap_snapshot_full_in_seconds": 57344,
        "lvmsnap_snapshot_guarded": 1,
        "lvmsnap_snapshot_last_growth_timestamp_seconds": NOW.timestamp() - 5,
        "lvmsnap_snapshot_last_growth_bytes": 32 * MIB,
        "lvmsnap_last_run_timestamp_seconds": datetime.fromisoformat("2024-05-03T03:00:00+00:00").timestamp(),
        "lvmsnap_last_run_exit_code": 0,
        "lvmsnap_last_run_duration_seconds": 723.4,
        "lvmsnap_last_run_peak_fill_ratio": 0.75,
    }


def test_the_last_run_is_told_of_a_profile_that_is_down_each_snapshots_peak_with_its_origin() -> None:
    lost = replace(RUN, exit_code=124, result=Result.LOST, snapshots=(PEAK, replace(PEAK, origin="vg1/data")))
    status = Status("nightly", State.DOWN, last_run=lost)

    found = parse(metrics.to_prometheus((status,), NOW))

    assert found["lvmsnap_last_run_exit_code", (("profile", "nightly"),)] == 124
    origins = [dict(labels)["origin"] for name, labels in found if name == "lvmsnap_last_run_peak_fill_ratio"]
    assert origins == ["vg0/system", "vg1/data"]
    assert not any(name.startswith("lvmsnap_snapshot_") for name, _ in found)


def test_what_is_of_a_snapshot_is_told_of_each_with_its_origin_and_what_is_of_the_profile_once() -> None:
    other = replace(VOLUME, origin="vg1/data", fill_percent=50.0, last_growth=None)

    found = parse(metrics.to_prometheus((state.of_volumes(NIGHTLY, (VOLUME, other)),), NOW))

    labels = [dict(labels) for name, labels in found if name.startswith("lvmsnap_snapshot_")]
    assert {(one["profile"], one["origin"]) for one in labels} == {("nightly", "vg0/system"), ("nightly", "vg1/data")}
    assert [dict(labels) for name, labels in found if name == "lvmsnap_up_timestamp_seconds"] == [
        {"profile": "nightly"}
    ]
    fills = {dict(labels)["origin"]: value for (name, labels), value in found.items() if name.endswith("_fill_ratio")}
    assert fills == {"vg0/system": 0.125, "vg1/data": 0.5}


def test_what_is_not_known_has_no_sample() -> None:
    assert set(told(Status("idle", State.DOWN, "vg0/idle"))) == {
        "lvmsnap_status_timestamp_seconds",
        "lvmsnap_profile_problem",
    }


def test_a_snapshot_that_does_not_fill_is_never_full() -> None:
    resting = state.of_volumes(
        NIGHTLY, (replace(VOLUME, rate_bytes_per_second=0.0, seconds_to_full=None, rate_over="up"),)
    )

    assert told(resting)["lvmsnap_snapshot_full_in_seconds"] == math.inf
    assert told(resting)["lvmsnap_snapshot_guarded"] == 0


@pytest.mark.parametrize("wanted", State)
def test_every_state_has_its_series_and_one_of_them_is_1(wanted: State) -> None:
    found = states(Status("x", wanted), UP)

    assert {key: value for key, value in found.items() if key[0] == "x"} == {
        ("x", other.value): float(other is wanted) for other in State
    }
    assert sum(value for key, value in found.items() if key[0] == "nightly") == 1


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (Status("x", State.UP), 0),
        (Status("x", State.DOWN), 0),
        (Status("x", State.LOST), 1),
        (Status("x", State.STALE), 1),
        (Status("x", State.DOWN, problem="its profile is invalid"), 1),
        (Status("x", State.UP, problem="its profile is invalid"), 1),
        (Status("x", State.DOWN, last_run=RUN), 0),
        (Status("x", State.DOWN, last_run=replace(RUN, exit_code=2, result=Result.FAILED)), 1),
        (Status("x", State.UP, last_run=replace(RUN, exit_code=143, result=Result.INTERRUPTED)), 1),
    ],
)
def test_what_a_person_should_look_at_is_a_problem(status: Status, problem: int) -> None:
    assert told(status)["lvmsnap_profile_problem"] == problem


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a\\", "\\n", "ü", "a,b}", "\u2028", "x\x85y"])
def test_a_name_of_any_characters_is_a_label_that_is_read_again_as_it_was(name: str) -> None:
    assert (name, "up") in states(Status(name, State.UP))


def test_a_name_that_is_no_utf_8_is_reported_in_ascii() -> None:
    assert (r"a\xff", "up") in states(Status("a\udcff", State.UP))
    metrics.to_prometheus((Status("a\udcff", State.UP),), NOW).encode()


def test_without_profiles_only_the_time_is_reported() -> None:
    assert told() == {"lvmsnap_status_timestamp_seconds": NOW.timestamp()}


# --- the page ---------------------------------------------------------------------------------------------------------

MEANINGS = metrics.PROFILE_METRICS | metrics.SNAPSHOT_METRICS | metrics.PEAK_METRICS
PAGE = (TOP / "lvmsnap/docs/monitoring.md").read_text()


def test_the_metrics_of_the_page_are_those_there_are() -> None:
    listed = re.findall(r"^\| `(lvmsnap_\w+)` \| (.*) \|$", PAGE, re.MULTILINE)

    assert {name for name, _ in listed} == {name for name, _ in parse(metrics.to_prometheus((UP,), NOW))}
    assert {name: told for name, told in listed if name.removeprefix("lvmsnap_") in MEANINGS} == {
        f"lvmsnap_{name}": told for name, told in MEANINGS.items()
    }


def test_the_crontab_line_of_the_page_is_understood() -> None:
    (arguments,) = re.findall(r"^\* \* \* \* \* root \S*/lvmsnap (.*)$", PAGE, re.MULTILINE)

    options = parser.parse(arguments.split())

    assert (options.command, options.prometheus) == (commands.cmd_status, True)
    assert options.output.endswith(".prom")
