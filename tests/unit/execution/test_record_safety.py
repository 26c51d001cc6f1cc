"""Whoever may write a record has root run what it says; and what cannot be written where it belongs is known."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lvmsnap.execution import records
from lvmsnap.model.errors import LvmsnapError
from lvmsnap.model.target import Process, Record
from tests import samples

# --- whoever may write a record has root run what it says -------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602])
def test_a_record_that_others_may_write_is_unreadable(tmp_path: Path, mode: int) -> None:
    records.write(samples.record(), str(tmp_path))
    path = records.record_path("nightly", str(tmp_path))
    path.chmod(mode)

    with pytest.raises(LvmsnapError) as caught:
        records.read("nightly", str(tmp_path))

    why = f"{path} is writable by users other than root (mode {mode:04o})"
    assert caught.value.message == f"the record cannot be read: {path}: {why}"
    assert "lvmsnap down nightly --force" in caught.value.hint
    _do_as_hinted(caught.value.hint)
    assert records.read("nightly", str(tmp_path)) == samples.record()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777])
def test_a_record_in_a_directory_that_others_may_write_to_is_unreadable(tmp_path: Path, mode: int) -> None:
    records.write(samples.record(), str(tmp_path))
    records.record_path("nightly", str(tmp_path)).chmod(0o666)
    tmp_path.chmod(mode)

    why = rf"{tmp_path} is writable by users other than root \(mode {mode:04o}\)"

    with pytest.raises(LvmsnapError, match=why) as caught:
        records.read("nightly", str(tmp_path))

    _do_as_hinted(caught.value.hint)
    assert records.read("nightly", str(tmp_path)) == samples.record()


def _do_as_hinted(hint: str) -> None:
    """Run the command that the hint names for a record that nobody has changed."""
    assert hint.startswith("lvmsnap down nightly --force relies on LVM's own marks, and puts the record aside; ")
    command = hint.partition("nobody has changed it, ")[2].removesuffix(" is enough")
    subprocess.run(shlex.split(command), check=True)


def test_writing_a_record_shuts_its_directory_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    records.write(samples.record(), str(tmp_path))

    assert tmp_path.stat().st_mode & 0o7777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give directories away")
def test_a_directory_of_somebody_elses_holds_no_record(tmp_path: Path) -> None:
    records.write(samples.record(), str(tmp_path))
    os.chown(tmp_path, 1000, 1000)
    says = f"{tmp_path} belongs to user 1000, not to root"

    with pytest.raises(LvmsnapError, match=f"the record cannot be read: .*: {says}"):
        records.read("nightly", str(tmp_path))
    with pytest.raises(LvmsnapError, match=f"the record cannot be written: {says}") as caught:
        records.write(samples.record(), str(tmp_path))

    assert caught.value.hint == f"chown root: {tmp_path}; then try again"


# --- what cannot be written down where it belongs ---------------------------------------------------------------------

DUE = replace(samples.record(), hooks_due=("before_down", "after_down"))
DONE = replace(DUE, hooks_due=())


@pytest.fixture
def run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of the test's own: /var/lib/lvmsnap is `tmp_path`/state, /run/lvmsnap what is returned."""
    state, run = tmp_path / "state", tmp_path / "run"
    for function in (records.write, records.read, records.remove):
        monkeypatch.setattr(function, "__defaults__", (str(state),))
    monkeypatch.setattr(records, "RUN_DIR", str(run))
    return run


def _fails(*_: Any) -> None:
    raise records.RecordError("the record cannot be written: Read-only file system")


def _keep_read_only(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as read_only:
        read_only.setattr(records, "write", _fails)
        records.keep(record)


def test_what_cannot_be_written_into_the_record_is_known_all_the_same(
    run_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.write(DUE)
    _keep_read_only(DONE, monkeypatch)

    assert records.read("nightly") == DONE
    assert run_directory.stat().st_mode & 0o777 == 0o700

    records.write(DUE)
    assert records.read("nightly") == DUE
    assert list(run_directory.iterdir()) == []


@pytest.mark.usefixtures("run_directory")
@pytest.mark.parametrize(
    "other",
    [
        replace(DUE, time="2024-05-05T03:00:00+00:00"),
        replace(DUE, boot_id="another"),
        replace(DUE, process=Process(1, 1)),
    ],
    ids=["of another up", "of another boot", "of another run"],
)
def test_what_was_noted_of_another_record_says_nothing_of_this_one(
    monkeypatch: pytest.MonkeyPatch, other: Record
) -> None:
    records.write(DUE)
    _keep_read_only(replace(other, hooks_due=()), monkeypatch)

    assert records.read("nightly") == DUE


def test_a_note_that_cannot_be_read_says_nothing(run_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records.write(DUE)
    _keep_read_only(DONE, monkeypatch)
    records.record_path("nightly", str(run_directory)).write_text("{")

    assert records.read("nightly") == DUE


def test_a_note_goes_with_its_record_and_is_none_without_it(
    run_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _keep_read_only(DONE, monkeypatch)
    assert records.read("nightly") is None

    records.remove("nightly")
    assert list(run_directory.iterdir()) == []


def test_what_can_be_kept_nowhere_stops_nothing(run_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records.write(DUE)
    run_directory.write_text("no directory")

    _keep_read_only(DONE, monkeypatch)

    assert records.read("nightly") == DUE


def test_the_sample_record_differs_from_another() -> None:
    assert samples.record() != replace(samples.record(), time="")
