"""The last runs, for a reader and as JSON."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from lvmsnap.cli import layout, run_table
from lvmsnap.execution import run_history
from lvmsnap.model.past_run import PastRun, Peak, Result
from lvmsnap.model.units import GIB, MIB
from tests.unit.cli.calling import lvmsnap

PEAK = Peak("vg0/system", "vg0/s", 218 * MIB, GIB, 0.213, GIB, 384 * MIB)
RUN = PastRun("2026-11-24T00:01:40+00:00", 850, 0, Result.OK, "borg", 0, snapshots=(PEAK,))
FULLER = replace(PEAK, peak_bytes=960 * MIB, peak_fill_ratio=0.9375, enough_bytes=1536 * MIB)
FAILED = replace(RUN, started="2026-11-25T00:01:40+00:00", exit_code=2, result=Result.FAILED, command_status=2)
REFUSED = PastRun("2026-11-26T00:01:40+00:00", 0.4, 125, Result.NEVER_STARTED, "borg")
OVERFLOWED = replace(PEAK, peak_bytes=GIB, peak_fill_ratio=1.0, enough_bytes=0, has_overflowed=True)
THIN = replace(PEAK, peak_fill_ratio=0.63, enough_bytes=0, pool="vg0/pool", part="data")


@pytest.fixture(autouse=True)
def _as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def shown(*runs: PastRun) -> list[str]:
    return layout.plain(run_table.history_lines({"nightly": runs}, UTC)).splitlines()


def test_each_run_is_a_line_the_last_one_last_and_then_the_size_that_is_enough_for_all() -> None:
    assert shown(RUN, replace(FAILED, snapshots=(FULLER,)), REFUSED) == [
        "STARTED           TOOK    RESULT         EXIT  COMMAND  PEAK FILL",
        "2026-11-24 00:01  14 min  ok             0     borg     21.3 % of 1 GiB",
        "2026-11-25 00:01  14 min  failed         2     borg     93.8 % of 1 GiB",
        "2026-11-26 00:01  0 s     never started  125   borg     -",
        "`size: 1536MiB` would have been enough for all of these runs",
    ]


def test_of_a_set_the_fullest_is_shown_and_each_volume_has_its_size() -> None:
    home = replace(FULLER, origin="vg0/home")

    *_, row, first, second = shown(replace(RUN, snapshots=(PEAK, home)))

    assert row.endswith("93.8 % of 1 GiB (vg0/home)")
    assert first == "vg0/system: `size: 384MiB` would have been enough for all of these runs"
    assert second == "vg0/home: `size: 1536MiB` would have been enough for all of these runs"


def test_a_size_that_once_was_not_enough_is_not_said_to_be() -> None:
    lost = replace(RUN, exit_code=124, result=Result.LOST, snapshots=(OVERFLOWED,))

    assert shown(RUN, lost)[-1] == "1 GiB were not enough for all of these runs, unless a disk failed"


def test_of_runs_that_were_lost_no_size_is_said_to_be_enough() -> None:
    unknown = replace(RUN, exit_code=124, result=Result.LOST, snapshots=(replace(PEAK, enough_bytes=0),))
    overflowed = replace(unknown, snapshots=(replace(OVERFLOWED, size_bytes=GIB // 8),))

    assert len(shown(unknown)) == 2, "only the table: of its need nothing is known"
    assert (
        shown(unknown, RUN)[-1]
        == "`size: 384MiB` would have been enough for all of these runs except those that were lost"
    )
    assert shown(overflowed, RUN)[-1].endswith(" except those that were lost")


def test_a_thin_one_shows_its_pool_and_no_size() -> None:
    _, row = shown(replace(RUN, snapshots=(THIN,)))

    assert row.endswith("63.0 % of data of vg0/pool")


def test_of_one_that_was_killed_nobody_knows_how_long_it_took() -> None:
    assert shown(PastRun("2026-11-24T00:01:40+00:00", 0.0, 137, Result.KILLED, ""))[1:] == [
        "2026-11-24 00:01  -     killed  137   -        -"
    ]


def test_of_many_the_last_ones_are_shown() -> None:
    runs = [replace(RUN, started=f"2026-11-24T{hour:02}:00:00+00:00") for hour in range(24)]

    assert [line[:16] for line in shown(*runs)[1:-1]] == [f"2026-11-24 {hour:02}:00" for hour in range(4, 24)]


def test_a_command_whose_name_a_terminal_would_obey_is_escaped() -> None:
    assert r"\x1b[2Jrm" in shown(replace(RUN, command="\x1b[2Jrm"))[1]


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def profiles(tmp_path: Path) -> tuple[str, ...]:
    run_history.add("nightly", RUN)
    run_history.add("weekly", FAILED)
    (tmp_path / "idle.yaml").write_text("volumes: [{origin: vg0/system}]\n")
    return ("--profile-dir", str(tmp_path), "status", "--history")


def test_without_a_name_all_that_have_one_are_shown_and_with_names_those(profiles: tuple[str, ...]) -> None:
    both, one = lvmsnap(*profiles), lvmsnap(*profiles, "weekly")

    assert both.stdout.splitlines()[0] == "nightly"
    assert both.stdout.splitlines()[4:6] == ["", "weekly"]
    assert one.stdout.splitlines()[0].startswith("STARTED")
    assert (both.returncode, one.returncode) == (0, 0)


def test_json_has_all_that_is_kept(profiles: tuple[str, ...], tmp_path: Path) -> None:
    data = json.loads(lvmsnap(*profiles, "--json").stdout)

    assert data["format"] == 1
    assert [(one["name"], [run["exit_code"] for run in one["runs"]]) for one in data["profiles"]] == [
        ("nightly", [0]),
        ("weekly", [2]),
    ]
    assert data["profiles"][0]["runs"][0]["snapshots"][0]["enough_bytes"] == 384 * MIB
    assert lvmsnap(*profiles, "--json", "--output", f"{tmp_path}/x").stdout == ""
    assert json.loads((tmp_path / "x").read_text()) == data


def test_a_profile_that_never_ran_is_no_error_and_a_name_that_is_nobodys_is(profiles: tuple[str, ...]) -> None:
    idle, nobody = lvmsnap(*profiles, "idle"), lvmsnap(*profiles, "nobody", "nightly")

    assert (idle.returncode, idle.stdout) == (0, "no run of idle is recorded\n")
    assert nobody.returncode == 2
    assert "there is no profile nobody" in nobody.stderr
    assert "borg" in nobody.stdout


def test_a_history_that_cannot_be_read_is_said_so_and_its_profile_is_not_called_unknown(
    profiles: tuple[str, ...], tmp_path: Path
) -> None:
    run_history.path("idle").symlink_to(tmp_path / "elsewhere")
    run_history.path("torn").write_text("torn")

    done = lvmsnap(*profiles)
    asked = lvmsnap(*profiles, "idle")

    assert (done.returncode, asked.returncode) == (0, 0)
    assert "no run of idle is recorded" in asked.stdout
    assert f"warning: {run_history.path('idle')} cannot be read: Too many levels of symbolic links" in asked.stderr
    assert f"warning: {run_history.path('torn')} cannot be read: it has no line that is a run" in done.stderr


def test_where_nothing_ever_ran_that_is_said() -> None:
    assert lvmsnap("status", "--history").stdout == "no run of any profile is recorded\n"


def test_metrics_of_the_history_are_wrong_usage() -> None:
    assert lvmsnap("status", "--history", "--prometheus").returncode == 2
