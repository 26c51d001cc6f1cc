"""The table of states: what it tells, and that it stays readable on terminals of any width."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

import pytest

from lvmsnap.cli import layout, status_table
from lvmsnap.model.facts import Enlargement
from lvmsnap.model.past_run import PastRun, Result
from lvmsnap.model.units import GIB, KIB, MIB
from lvmsnap.planning import state
from lvmsnap.planning.state import State, Status
from lvmsnap.planning.volume_state import VolumeStatus
from tests import samples
from tests.unit.cli.seen import golden
from tests.unit.cli.test_views import ODD

NOW = datetime.fromisoformat("2024-05-04T05:30:00+00:00")
GUARDED = Status(
    name="nightly",
    state=State.UP,
    snapshot="lvm_server_vg/system-lvmsnap-nightly",
    size_bytes=4 * GIB,
    fill_percent=52.34,
    mountpoint="/run/lvmsnap/nightly",
    device="/dev/lvm_server_vg/system-lvmsnap-nightly",
    time=samples.TIME,
    rate_bytes_per_second=3.14 * MIB,
    rate_over="guard",
    seconds_to_full=621.8,
    last_growth=Enlargement("2024-05-04T05:29:55+00:00", 1344 * MIB),
    last_run=PastRun("2024-05-03T03:00:00+00:00", 723.4, 0, Result.OK, "borg", 0),
)
HOME = VolumeStatus(
    "vg0/home",
    "vg0/home-lvmsnap-server",
    2 * GIB,
    71.5,
    "/run/lvmsnap/server/home",
    "/dev/vg0/home-lvmsnap-server",
    rate_bytes_per_second=1.5 * MIB,
    rate_over="guard",
    seconds_to_full=389.0,
    last_growth=Enlargement("2024-05-04T05:25:00+00:00", 512 * MIB),
)
ROOT = VolumeStatus(
    "vg0/root", "vg0/root-lvmsnap-server", 4 * GIB, 3.2, "/run/lvmsnap/server", "/dev/vg0/root-lvmsnap-server"
)
DATA = VolumeStatus("vg1/data", "vg1/data-lvmsnap-server", GIB, 0.0, "", "/dev/vg1/data-lvmsnap-server")
SERVER = state.of_volumes(Status("server", State.UP, time=samples.TIME), (ROOT, HOME, DATA), "/run/lvmsnap/server")
LOST = state.of_volumes(
    Status("other", State.LOST, time=samples.TIME, problem="vg0/home: it overflowed, or a write to it failed"),
    (ROOT, replace(HOME, lost="it overflowed, or a write to it failed", fill_percent=100.0), DATA),
    "/run/lvmsnap/server",
)
IDLE = state.of_volumes(
    Status("both", State.DOWN), (VolumeStatus("vg0/root", "vg0/r"), VolumeStatus("vg0/home", "vg0/h"))
)
STATUSES = (
    GUARDED,
    Status(
        "device-only",
        State.UP,
        "vg0/d",
        64 * MIB,
        12.0,
        "",
        "/dev/vg0/d",
        "2024-05-04T05:29:30+00:00",
        "",
        262144,
        "up",
        225.3,
    ),
    Status("resting", State.UP, "vg0/r", 64 * MIB, 0.0, "/media/r", "/dev/vg0/r", samples.TIME, "", 0.0, "guard", None),
    Status(
        "idle",
        State.DOWN,
        "vg0/idle",
        last_run=PastRun("2024-05-04T03:00:00+00:00", 1.0, 125, Result.NEVER_STARTED, "tar"),
    ),
    Status("typo", State.DOWN, problem="there is no profile of this name in /etc/lvmsnap"),
    Status("full", State.LOST, "vg0/full", 64 * MIB, 100.0, "", "/dev/vg0/full", "2024-05-01T05:30:00+00:00"),
    Status("broken", State.PARTIAL, "vg0/b", problem="missing: mount"),
)


def table(*statuses: Status, columns: int = 10_000) -> list[str]:
    return layout.plain(status_table.status_lines(statuses, NOW, columns)).splitlines()


def test_states_are_a_table_with_a_line_for_each_profile_and_what_is_wrong_below() -> None:
    golden("status.txt", "\n".join(table(*STATUSES)))


SETS = (SERVER, IDLE, LOST, Status("idle", State.DOWN, "vg0/idle"))


@pytest.mark.parametrize("columns", [10_000, 120, 80, 40])
def test_a_profile_with_several_volumes_has_a_row_and_an_indented_one_for_each(columns: int) -> None:
    golden(f"status-sets{f'-{columns}' if columns < 1000 else ''}.txt", "\n".join(table(*SETS, columns=columns)))


def test_no_states_are_a_sentence() -> None:
    assert table() == ["no profiles and no lvmsnap snapshots on this machine"]


@pytest.mark.parametrize(("columns", "name"), [(120, "status-120.txt"), (80, "status-80.txt"), (40, "status-40.txt")])
def test_on_a_narrow_terminal_the_last_columns_go_below_the_others(columns: int, name: str) -> None:
    golden(name, "\n".join(table(*STATUSES, columns=columns)))


@pytest.mark.parametrize("columns", [40, 80, 100, 120])
@pytest.mark.parametrize("status", [GUARDED, SERVER], ids=["one", "set"])
def test_all_that_fits_below_one_another_fits_the_terminal(status: Status, columns: int) -> None:
    lines = table(status, columns=columns)

    assert max(map(len, lines)) <= columns


def test_a_terminal_that_is_just_wide_enough_has_one_line_a_profile() -> None:
    width = len(table(GUARDED)[1])

    assert len(table(GUARDED, columns=width)) == 2
    assert len(table(GUARDED, columns=width - 1)) == 4


def test_no_control_character_of_a_path_reaches_the_reader() -> None:
    told = "".join(table(Status("x", State.UP, "vg0/s", mountpoint=ODD)))

    assert "red" in told
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", told)


@pytest.mark.parametrize(
    ("time", "age"),
    [
        ("", "-"),
        ("2024-05-04T05:30:00+00:00", "0 s"),
        ("2024-05-04T05:28:01+00:00", "119 s"),
        ("2024-05-04T05:28:00+00:00", "2 min"),
        ("2024-05-04T03:30:01+00:00", "119 min"),
        ("2024-05-04T03:30:00+00:00", "2 h"),
        ("2024-05-02T05:30:01+00:00", "47 h"),
        ("2024-05-02T05:30:00+00:00", "2 d"),
        ("2024-05-04T05:31:00+00:00", "0 s"),  # the clock was set back since
    ],
)
def test_an_age_is_reported_in_one_unit(time: str, age: str) -> None:
    assert status_table.age(time, NOW) == age


@pytest.mark.parametrize(
    ("rate", "over", "told"),
    [
        (None, None, "-"),
        (0.0, "up", "0 B/s"),
        (0.4, "guard", "0.4 B/s"),
        (900, "guard", "900 B/s"),
        (1023.7, "guard", "1 KiB/s"),
        (1.52 * KIB, "guard", "1.5 KiB/s"),
        (9.96 * MIB, "guard", "10 MiB/s"),
        (320.4 * MIB, "up", "~320 MiB/s"),
        (1 * GIB, "guard", "1 GiB/s"),
    ],
)
def test_a_rate_is_reported_roughly_and_marked_where_it_is_a_mean(rate: float | None, over: str, told: str) -> None:
    status = Status("x", State.UP, "vg0/s", MIB, 1.0, rate_bytes_per_second=rate, rate_over=over)

    # Columns that have nothing to tell of any profile are left out, but not of these two.
    head, line, _ = table(status, GUARDED)

    assert line[head.index("RATE") : head.index("FULL IN")].strip() == told


@pytest.mark.parametrize(
    ("seconds", "over", "told"),
    [(None, "guard", "-"), (0.4, "guard", "0 s"), (600, "up", "~10 min"), (1e9, "up", "> 1 year")],
)
def test_the_time_to_full_is_reported_as_an_age_is(seconds: float | None, over: str, told: str) -> None:
    status = Status("x", State.UP, rate_bytes_per_second=1.0, rate_over=over, seconds_to_full=seconds)

    head, line, _ = table(status, GUARDED)

    assert line[head.index("FULL IN") : head.index("GREW")].strip() == told


def test_a_column_that_has_nothing_to_tell_of_any_profile_is_left_out() -> None:
    idle = Status("idle", State.DOWN, "vg0/idle")

    assert table(idle) == ["PROFILE  STATE  SNAPSHOT", "idle     down   vg0/idle"]
    assert table(Status("typo", State.DOWN))[0] == "PROFILE  STATE"
