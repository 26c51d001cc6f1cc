"""The history of runs: bounded, whole or not there, and readable whatever somebody does to it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from lvmsnap.execution import records, run_history
from lvmsnap.model.past_run import PastRun, Peak, Result

PEAK = Peak("vg0/system", "vg0/s", 48 << 20, 64 << 20, 0.75, 64 << 20, 96 << 20)
RUN = PastRun("2024-05-04T03:00:00+00:00", 12.5, 2, Result.FAILED, "borg", 2, snapshots=(PEAK,))


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run_history, "STATE_DIR", f"{tmp_path}/state")
    return tmp_path / "state"


def run(number: int) -> PastRun:
    return replace(RUN, duration_seconds=float(number))


def numbers(name: str = "nightly") -> list[float]:
    return [one.duration_seconds for one in run_history.read(name)]


def test_a_run_is_read_again_as_it_was_kept_for_root_alone(state: Path) -> None:
    run_history.add("nightly", RUN)

    assert run_history.read("nightly") == (RUN,)
    assert run_history.last("nightly") == RUN
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (state, state / "history", run_history.path("nightly"))]
    assert modes == [0o700, 0o700, 0o600]
    assert os.listdir(state / "history") == ["nightly.jsonl"]


@pytest.mark.usefixtures("state")
def test_each_line_is_an_object_with_its_format_and_no_argument_of_the_command() -> None:
    run_history.add("nightly", RUN)

    (line,) = run_history.path("nightly").read_text().splitlines()
    assert json.loads(line) == {
        "format": 1,
        "started": "2024-05-04T03:00:00+00:00",
        "duration_seconds": 12.5,
        "exit_code": 2,
        "result": "failed",
        "command": "borg",
        "command_status": 2,
        "command_signal": "",
        "snapshots": [
            {
                "origin": "vg0/system",
                "snapshot": "vg0/s",
                "peak_bytes": 48 << 20,
                "size_bytes": 64 << 20,
                "peak_fill_ratio": 0.75,
                "first_size_bytes": 64 << 20,
                "enough_bytes": 96 << 20,
                "pool": "",
                "part": "",
                "has_overflowed": False,
            }
        ],
    }


@pytest.mark.usefixtures("state")
def test_it_keeps_the_last_hundred_runs() -> None:
    for number in range(105):
        run_history.add("nightly", run(number))

    assert numbers() == list(range(5, 105))


@pytest.mark.usefixtures("state")
def test_it_never_has_more_than_64_kib() -> None:
    large = replace(RUN, snapshots=(PEAK,) * 100)
    for number in range(10):
        run_history.add("nightly", replace(large, duration_seconds=float(number)))

    assert run_history.path("nightly").stat().st_size <= 64 << 10
    assert numbers()[-1] == 9
    with pytest.raises(ValueError, match="more than a history holds"):
        run_history.add("nightly", replace(RUN, snapshots=(PEAK,) * 1000))
    assert numbers()[-1] == 9


TORN = {
    "half a line": b'{"format": 1, "started": "2024-05',
    "no JSON": b"words",
    "no UTF-8": b'{"format": 1, "command": "\xff"}',
    "NUL": b"\0" * 5000,
    "another kind": b'["a"]',
    "lacking": b'{"format": 1}',
    "a time without a zone": json.dumps(
        {"format": 1, "started": "2024-05-04T03:00:00", "duration_seconds": 1, "exit_code": 0, "result": "ok"}
        | {"command": "x"}
    ).encode(),
    "nested": b"[" * 20000,
    "a number without end": b'{"format": 1, "exit_code": ' + b"9" * 5000 + b"}",
    "more than is kept": b"x" * (100 << 10),
}


@pytest.mark.parametrize("what", TORN)
@pytest.mark.usefixtures("state")
def test_lines_that_are_torn_or_foreign_are_left_out_and_spoil_no_other(what: str) -> None:
    run_history.add("nightly", run(1))
    with run_history.path("nightly").open("ab") as file:
        file.write(TORN[what] + b"\n")
    run_history.add("nightly", run(2))

    assert numbers()[-1] == 2
    assert what == "more than is kept" or numbers() == [1, 2]


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize("started", ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00", "2024-05-04T03:00:00"])
def test_a_time_that_not_every_zone_has_is_none(started: str) -> None:
    run_history.add("nightly", replace(RUN, started=started))

    assert run_history.read("nightly") == ()


def test_lines_of_a_later_version_stay_though_they_are_not_understood() -> None:
    later = '{"format": 2, "what": "ever"}'
    run_history.add("nightly", run(1))
    run_history.path("nightly").write_text(f"{later}\n")

    run_history.add("nightly", run(2))

    assert numbers() == [2]
    assert run_history.path("nightly").read_text().startswith(f"{later}\n")


def _fifo(path: Path) -> None:
    path.parent.mkdir(parents=True)
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.symlink_to("/etc/passwd")


def _directory(path: Path) -> None:
    path.mkdir(parents=True)


def _file_for_the_directory(path: Path) -> None:
    path.parent.parent.mkdir(parents=True)
    path.parent.write_text("")


def _link_for_the_directory(path: Path) -> None:
    path.parent.parent.mkdir(parents=True)
    (path.parent.parent / "elsewhere").mkdir()
    path.parent.symlink_to("elsewhere")


def _open_to_others(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.parent.parent.chmod(0o777)


@pytest.mark.parametrize(
    "strange", [_fifo, _link, _directory, _file_for_the_directory, _link_for_the_directory, _open_to_others]
)
def test_what_is_strange_in_its_place_is_an_error_that_stays_as_it_is(
    state: Path, strange: Callable[[Path], None]
) -> None:
    strange(run_history.path("nightly"))
    before = sorted(map(str, state.rglob("*")))

    with pytest.raises(OSError, match=r"\w"):
        run_history.add("nightly", RUN)

    assert run_history.read("nightly") == ()
    assert sorted(map(str, state.rglob("*"))) == before


@pytest.mark.usefixtures("state")
def test_runs_that_end_at_one_moment_keep_each_their_line() -> None:
    processes = [get_context("fork").Process(target=_add_ten, args=(number,)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert sorted(numbers()) == sorted(float(number * 10 + count) for number in range(4) for count in range(10))


def _add_ten(number: int) -> None:
    for count in range(10):
        run_history.add("nightly", run(number * 10 + count))


def test_it_is_no_record_and_a_profile_may_be_called_history(state: Path) -> None:
    run_history.add("history", RUN)
    run_history.add("nightly", RUN)

    assert records.names(str(state)) == ()
    assert not records.exists("history", str(state))
    assert run_history.names() == ("history", "nightly")
    assert records.record_path("history", str(state)) not in (state / "history", run_history.path("history"))
