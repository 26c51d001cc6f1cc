"""`lvmsnap status` as a whole, on a system that is made up: every profile is told of, what ails one hides no other."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lvmsnap.cli import parser
from lvmsnap.execution import guard_reports, records, run_history
from lvmsnap.model.facts import Enlargement, Facts, Sighting
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.past_run import PastRun, Result
from lvmsnap.model.profile import Profile
from lvmsnap.model.units import MIB
from lvmsnap.operations import named_profile
from lvmsnap.system import path_facts, reading
from tests import samples
from tests.unit.cli.test_metrics import parse

GROWN = Enlargement("2024-05-04T03:10:00+00:00", 16 * MIB)


class World:
    """A machine with profiles and records in folders of its own; `system` is what LVM and the kernel say."""

    def __init__(self, folder: Path) -> None:
        """Begin with no profile."""
        self.profiles, self.records, self.run = (folder / name for name in ("etc", "lib", "run"))
        for path in (self.profiles, self.records, self.run):
            path.mkdir()
        self.system = samples.facts()

    def write_profile(self, name: str, text: str = "volumes: [{origin: vg0/system}]\n") -> None:
        (self.profiles / f"{name}.yaml").write_text(text)

    def bring_up(self, seconds_ago: float = 100) -> None:
        """Let nightly be up with a quarter of its 64 MiB used."""
        snapshot = samples.snapshot_lv(data_percent=25.0, chunk_size_bytes=4096)
        self.system = samples.up_facts(samples.vg(snapshot, pvs=(samples.DISK, samples.lent_pv())))
        then = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        records.write(replace(samples.record(), time=then.isoformat(timespec="seconds")), str(self.records))

    def status(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
        assert parser.main(["--profile-dir", str(self.profiles), "status", *arguments]) == 0, capsys.readouterr()
        told = capsys.readouterr()
        assert told.err == ""
        return told.out

    def data(self, capsys: pytest.CaptureFixture[str], *names: str) -> dict[str, dict[str, Any]]:
        told = json.loads(self.status(capsys, "--json", *names))["profiles"]
        found = {entry["name"]: entry for entry in told}
        assert len(found) == len(told), "a profile twice"
        return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)

    def focus(system: Facts, _interest: reading.Interest) -> Facts:
        return system

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(reading, "is_root", lambda: False)
    monkeypatch.setattr(reading, "read_system", lambda *_, **__: made.system)
    monkeypatch.setattr(reading, "focus", focus)
    monkeypatch.setattr(path_facts, "file_facts", lambda _: None)
    for function in (records.write, records.read, records.names):
        monkeypatch.setattr(function, "__defaults__", (str(made.records),))
    monkeypatch.setattr(guard_reports, "RUN_DIR", str(made.run))
    return made


def seen(seconds_ago: float = 1.0, uuid: str = dm_uuid(samples.VG_UUID, samples.SNAPSHOT_UUID)) -> None:
    guard_reports.write("nightly", Sighting(uuid, time.monotonic() - seconds_ago, 2.0 * MIB, GROWN))


KEYS = ("rate_bytes_per_second", "rate_over", "seconds_to_full", "last_growth")


def test_json_tells_what_the_guard_saw(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.bring_up()
    seen()

    found = world.data(capsys)["nightly"]

    assert [found[key] for key in KEYS] == [2 * MIB, "guard", 24.0, {"time": GROWN.time, "bytes": 16 * MIB}]


def test_the_last_run_is_told_of_each_profile_and_one_that_failed_is_a_problem(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.bring_up()
    world.write_profile("idle")
    world.write_profile("new")
    ok = PastRun("2024-05-04T03:00:00+00:00", 12.5, 0, Result.OK, "borg", 0)
    run_history.add("nightly", replace(ok, exit_code=2, result=Result.FAILED))
    run_history.add("nightly", ok)
    run_history.add("idle", replace(ok, exit_code=124, result=Result.LOST))

    found = world.data(capsys)
    metrics = parse(world.status(capsys, "--prometheus"))

    ends = {name: entry["last_run"] and entry["last_run"]["result"] for name, entry in found.items()}
    assert ends == {"nightly": "ok", "idle": "lost", "new": None}
    problems = {
        dict(labels)["profile"]: value for (name, labels), value in metrics.items() if name == "lvmsnap_profile_problem"
    }
    assert problems == {"nightly": 0, "idle": 1, "new": 0}
    assert re.search(r"^idle  .*  lost \d+ d ago  ", world.status(capsys), re.MULTILINE)


def test_json_has_the_same_keys_whatever_is_known(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.write_profile("idle")
    world.bring_up()
    seen()

    found = world.data(capsys)

    assert set(found["idle"]) == set(found["nightly"])
    assert [found["idle"][key] for key in KEYS] == [None] * 4


@pytest.mark.parametrize("told", ["nothing", "garbage", "another's", "long ago"])
def test_without_a_guard_the_rate_is_the_mean_since_up(
    world: World, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world.bring_up(seconds_ago=100)
    if told == "garbage":
        guard_reports.path("nightly").write_bytes(b'{"uuid": \xff')
    elif told != "nothing":
        seen(60) if told == "long ago" else seen(uuid="LVM-x")

    found = world.data(capsys)["nightly"]

    assert found["rate_over"] == "up"
    assert found["rate_bytes_per_second"] == pytest.approx(16 * MIB / 100, rel=0.1)
    assert found["seconds_to_full"] == pytest.approx(300, rel=0.1)
    assert (found["last_growth"] is not None) == (told == "long ago")


def test_one_that_cannot_be_read_is_told_of_and_the_others_too(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.bring_up()
    world.write_profile("wrong", "volumes: 5\n")
    world.write_profile("good")
    world.write_profile("loop")
    (world.profiles / "loop.yaml").unlink()
    (world.profiles / "loop.yaml").symlink_to("loop.yaml")
    (world.records / "torn.json").write_text('{"format": 1')

    found = world.data(capsys)
    metrics = parse(world.status(capsys, "--prometheus"))
    table = world.status(capsys)

    states = {name: entry["state"] for name, entry in found.items()}
    assert states == {"nightly": "up", "wrong": "down", "good": "down", "loop": "down", "torn": "partial"}
    assert "wrong.yaml:1:" in found["wrong"]["problem"]
    assert "loop.yaml: cannot be read: Too many levels of symbolic links" in found["loop"]["problem"]
    assert "its profile is invalid: " in table
    assert "the record cannot be read" in table
    problems = {
        dict(labels)["profile"]: value for (name, labels), value in metrics.items() if name == "lvmsnap_profile_problem"
    }
    assert problems == {"nightly": 0, "wrong": 1, "good": 0, "loop": 1, "torn": 1}
    assert metrics["lvmsnap_snapshot_fill_ratio", (("profile", "nightly"), ("origin", "vg0/system"))] == 0.25


@pytest.mark.parametrize("error", [ValueError("a bug"), RecursionError(), MemoryError()])
def test_one_that_breaks_the_reading_itself_hides_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def load(name: str, directory: str) -> Profile | None:
        if name == "broken":
            raise error
        return load_if_there(name, directory)

    load_if_there = named_profile.load_if_there
    world.bring_up()
    for name in ("broken", "good"):
        world.write_profile(name)
    monkeypatch.setattr(named_profile, "load_if_there", load)

    found = world.data(capsys)

    assert {name: entry["state"] for name, entry in found.items()} == {
        "nightly": "up",
        "broken": "down",
        "good": "down",
    }
    assert found["broken"]["problem"].startswith("its profile cannot be read: an internal error of lvmsnap: ")


def test_one_whose_paths_cannot_be_looked_at_does_not_hide_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def focus(_system: Facts, _interest: reading.Interest) -> Facts:
        raise OSError(5, "Input/output error", "/srv/space")

    world.bring_up()
    world.write_profile("idle")
    monkeypatch.setattr(reading, "focus", focus)

    found = world.data(capsys)

    assert (found["nightly"]["state"], found["nightly"]["problem"]) == ("partial", "/srv/space: Input/output error")
    assert found["idle"]["state"] == "down"


def test_a_name_that_there_is_not_is_no_profile_that_is_down(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.write_profile("system")

    code = parser.main(["--profile-dir", str(world.profiles), "status", "--json", "sytem", "system"])

    told = capsys.readouterr()
    found = {entry["name"]: entry for entry in json.loads(told.out)["profiles"]}
    assert (code, told.err.splitlines()[0]) == (2, "error: there is no profile sytem")
    assert found["sytem"]["problem"] == f"there is no profile of this name in {world.profiles}"
    assert found["system"]["problem"] is None


def test_a_name_given_twice_is_reported_once_since_two_series_alike_spoil_the_whole_file(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.bring_up()

    assert parse(world.status(capsys, "--prometheus", "nightly", "nightly"))
    assert list(world.data(capsys, "nightly", "/etc/lvmsnap/nightly.yaml")) == ["nightly"]


@pytest.mark.parametrize("form", ["--prometheus", "--json", None])
def test_output_has_what_would_have_been_printed(
    world: World, form: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forms = (form,) if form else ()
    path = tmp_path / "lvmsnap.prom"
    world.bring_up(seconds_ago=7200)
    printed = world.status(capsys, *forms)

    assert world.status(capsys, *forms, "--output", str(path)) == ""

    # The figures may be another second's.
    assert re.sub(r"[\d.]+", "N", path.read_text()) == re.sub(r"[\d.]+", "N", printed)
    assert "nightly" in printed
    assert path.stat().st_mode & 0o777 == 0o644


def test_what_cannot_be_written_is_an_error_that_names_the_file(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.bring_up()

    code = parser.main(["--profile-dir", str(world.profiles), "status", "--prometheus", "--output", f"{tmp_path}/no/x"])

    told = capsys.readouterr()
    assert (code, told.out) == (1, "")
    assert f"cannot write {tmp_path}/no/x: No such file or directory" in told.err


def test_json_and_metrics_at_once_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert parser.main(["status", "--json", "--prometheus"]) == 2

    assert "not allowed with" in capsys.readouterr().err


# --- what is said of a success ----------------------------------------------------------------------------------------


def test_where_nothing_is_left_over_a_dry_recover_says_so(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.write_profile("idle")

    assert parser.main(["--profile-dir", str(world.profiles), "recover", "--dry-run"]) == 0

    assert capsys.readouterr().out == "nothing is left over: nothing to recover\n"


@pytest.mark.parametrize(("option", "told"), [("-v", "no profile is up: nothing to take down\n"), ("-q", "")])
def test_where_nothing_is_up_down_all_says_so_to_whoever_listens(
    option: str, told: str, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert parser.main(["--profile-dir", str(world.profiles), option, "down", "--all"]) == 0

    assert capsys.readouterr().err == told


def test_an_export_says_what_it_wrote_to_whoever_listens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile, path = tmp_path / "p.yaml", tmp_path / "plan.svg"
    profile.write_text("volumes: [{origin: vg0/system}]\n")
    for option, told in (("-v", f"wrote {path}\n"), ("-q", "")):
        assert parser.main([option, "plan", "--offline", str(profile), "--export", str(path)]) == 0
        assert capsys.readouterr() == ("", told)
