"""What a guard saw last: kept for `status`, believed only if it is of this snapshot, and never in anybody's way."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lvmsnap.execution import guard_reports, records, teardown
from lvmsnap.model.facts import Enlargement, Sighting, SnapshotStatus
from lvmsnap.model.units import MIB
from lvmsnap.operations.lookout import Lookout
from lvmsnap.planning.fill_rate import Sample
from tests import samples

SEEN = Sighting("LVM-x", 100.5, 2048.0, Enlargement(samples.TIME, 4 * MIB))


@pytest.fixture(autouse=True)
def run_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(guard_reports, "RUN_DIR", str(tmp_path))
    return tmp_path


def status(used_mib: float, total_mib: float = 100, uuid: str = "LVM-x") -> SnapshotStatus:
    return SnapshotStatus(False, int(used_mib * MIB), int(total_mib * MIB), uuid)


def look(lookout: Lookout, seconds: float, used_mib: float, total_mib: float = 100, uuid: str = "LVM-x") -> None:
    told = status(used_mib, total_mib, uuid)
    lookout.keep(told, Sample(seconds, told.used_bytes, told.total_bytes))


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seen", [SEEN, Sighting("", 0.0, 0.0, None)])
def test_what_is_written_is_read_again_and_is_roots_own(seen: Sighting, run_directory: Path) -> None:
    guard_reports.write("p", seen)

    assert guard_reports.read("p") == seen
    assert [path.name for path in run_directory.iterdir()] == ["p.guard"]
    assert guard_reports.path("p").stat().st_mode & 0o777 == 0o600


GOOD = json.loads('{"uuid": "x", "seconds": 1, "rate_bytes_per_second": 2, "last_growth": null}')
GARBAGE: tuple[object, ...] = (
    {**GOOD, "seconds": "soon"},
    {**GOOD, "seconds": None},
    {**GOOD, "seconds": 10**400},
    {**GOOD, "seconds": float("nan")},
    {**GOOD, "rate_bytes_per_second": float("inf")},
    {**GOOD, "rate_bytes_per_second": -1},
    {**GOOD, "last_growth": {"time": "yesterday", "bytes": 1}},
    {**GOOD, "last_growth": {"time": "2024-05-04T05:30:00", "bytes": 1}},
    {**GOOD, "last_growth": {"time": samples.TIME}},
    {**GOOD, "last_growth": {"time": samples.TIME, "bytes": float("inf")}},
    {**GOOD, "last_growth": 5},
    {key: value for key, value in GOOD.items() if key != "uuid"},
    [],
    None,
)


@pytest.mark.parametrize("text", ["", "{", "\0", "[" * 5000, *map(json.dumps, GARBAGE)])
def test_garbage_is_no_sighting(text: str) -> None:
    guard_reports.path("p").write_text(json.dumps(GOOD))
    assert guard_reports.read("p")

    guard_reports.path("p").write_text(text)

    assert guard_reports.read("p") is None


def test_no_file_a_directory_and_a_link_are_no_sighting() -> None:
    assert guard_reports.read("p") is None
    guard_reports.write("p", SEEN)
    guard_reports.path("link").symlink_to(guard_reports.path("p"))
    assert guard_reports.read("link") is None
    guard_reports.path("folder").mkdir()
    assert guard_reports.read("folder") is None


def test_what_cannot_be_kept_stops_nothing_and_follows_no_link(run_directory: Path) -> None:
    victim = run_directory / "victim"
    victim.write_text("untouched")
    (run_directory / "p.guard.new").symlink_to(victim)

    guard_reports.write("p", SEEN)
    guard_reports.write("absent/p", SEEN)

    assert guard_reports.read("p") == SEEN
    assert victim.read_text() == "untouched"


def test_it_goes_with_the_record(monkeypatch: pytest.MonkeyPatch, run_directory: Path) -> None:
    for function in (records.write, records.remove):
        monkeypatch.setattr(function, "__defaults__", (str(run_directory),))
    records.write(samples.record())
    guard_reports.write("nightly", SEEN)
    (run_directory / "nightly.guard.new").write_text("of a guard that was killed")
    guard_reports.write("other", SEEN)

    past, work = teardown._Past(None, None), cast(Any, SimpleNamespace(owns_record=True))
    teardown._forget(samples.TARGET, past, work)

    assert [path.name for path in run_directory.iterdir()] == ["other.guard"]
    teardown._forget(samples.TARGET, past, work)


# --- what the guard keeps ---------------------------------------------------------------------------------------------


def kept() -> Sighting:
    seen = guard_reports.read("p")
    assert seen
    return seen


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    lookout = Lookout("p")

    for second in range(30):
        look(lookout, second, 10 if second < 20 else 10 + second - 20)

    assert kept().seconds == 29
    assert kept().uuid == "LVM-x"
    assert kept().rate_bytes_per_second == pytest.approx(MIB * 9 / 10, rel=0.1)


def test_one_look_is_no_rate_and_is_not_kept() -> None:
    look(Lookout("p"), 5, 50)

    assert guard_reports.read("p") is None


def test_many_looks_in_a_second_are_kept_once(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Sighting] = []
    monkeypatch.setattr(guard_reports, "write", lambda _, seen, *__: written.append(seen))
    lookout = Lookout("p")

    for step in range(200):
        look(lookout, step / 50, step / 50)

    assert [seen.seconds for seen in written] == [1, 2, 3]


def test_a_growth_is_kept_at_once_whoever_made_it_and_until_the_next() -> None:
    lookout = Lookout("p")
    look(lookout, 1, 10, 100)
    look(lookout, 1.02, 10, 164)

    grown = kept().last_growth
    assert grown
    assert grown.bytes == 64 * MIB
    look(lookout, 3, 10, 164)
    assert kept() == Sighting("LVM-x", 3, 0.0, grown)
    look(lookout, 3.02, 10, 200)
    assert (kept().last_growth or grown).bytes == 36 * MIB


@pytest.mark.parametrize(("uuid", "is_known"), [("LVM-x", True), ("LVM-y", False)])
def test_a_second_guard_knows_the_growth_that_the_first_one_saw_of_the_same_snapshot(uuid: str, is_known: bool) -> None:
    guard_reports.write("p", SEEN)
    lookout = Lookout("p")

    look(lookout, 200, 10, uuid=uuid)
    look(lookout, 201, 10, uuid=uuid)

    assert kept() == Sighting(uuid, 201, 0.0, SEEN.last_growth if is_known else None)
