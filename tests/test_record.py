"""The record is durable and refuses what it cannot understand."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lvmsnap import record
from lvmsnap.errors import LvmsnapError
from lvmsnap.model import Hooks, Record
from tests import samples

# --- the record -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        samples.record(),
        samples.record(lent_pv=None, mount=None),
        samples.record(
            chunk_size_bytes=65536, lent_pv=samples.lent(inode=None, device=None, allocate_on=("/dev/sda",))
        ),
        samples.record(lent_pv=samples.lent(path="/srv/\udcff \n'")),
        replace(
            samples.record(hooks=Hooks(before_snapshot=("a", "b c"), timeout_seconds=7)), hooks_due=("after_snapshot",)
        ),
    ],
    ids=["whole", "bare", "before the file", "odd file name", "hooks"],
)
def test_a_record_is_read_as_it_was_written(tmp_path: Path, written: Record) -> None:
    record.write(written, str(tmp_path))

    assert record.read("nightly", str(tmp_path)) == written
    assert record.names(str(tmp_path)) == ("nightly",)


def test_a_record_is_roots_alone(tmp_path: Path) -> None:
    directory = tmp_path / "state"

    record.write(samples.record(), str(directory))

    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "nightly.json").stat().st_mode & 0o777 == 0o600


def test_a_record_is_synced_before_it_is_in_place_and_its_directory_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def sync(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        content = "whole" if os.path.isfile(path) and json.loads(Path(path).read_text()) else ""
        done.append(f"sync {os.path.relpath(path, tmp_path)} {content}".strip())

    def rename(self: Path, target: Path) -> None:
        done.append(f"rename {self.name} {target.name}")
        os.rename(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "rename", rename)

    record.write(samples.record(), str(tmp_path))

    assert done == ["sync nightly.json.new whole", "rename nightly.json.new nightly.json", "sync ."]


def test_a_record_that_could_not_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record.write(samples.record(), str(tmp_path))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LvmsnapError, match=r"the record cannot be written: .*: No space left on device"):
        record.write(samples.record(snapshot="other"), str(tmp_path))

    assert record.read("nightly", str(tmp_path)) == samples.record()
    assert record.names(str(tmp_path)) == ("nightly",)


def test_a_file_whose_name_no_profile_can_have_is_no_record(tmp_path: Path) -> None:
    for name in ("nightly", "Nightly", "lock", "a b", "x\ny", "a" * 65):
        (tmp_path / f"{name}.json").write_text("{}")

    assert record.names(str(tmp_path)) == ("nightly",)


def test_no_record_is_none(tmp_path: Path) -> None:
    assert record.read("nightly", str(tmp_path)) is None
    assert record.read("nightly", str(tmp_path / "none")) is None
    assert record.names(str(tmp_path / "none")) == ()


def _changed(**fields: Any) -> str:
    data = json.loads(_text())
    return json.dumps(data | fields)


def _text() -> str:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        record.write(samples.record(), directory)
        return record.record_path("nightly", directory).read_text()


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "3", _text()[:200], _changed(format=2), _changed(target={}), _changed(target=None)),
        *(_changed(more=1), _changed(time="today"), '{"format": 1}', "\x00" * 100),
    ],
)
def test_a_record_that_cannot_be_understood_is_told_with_a_way_out(tmp_path: Path, text: str) -> None:
    path = tmp_path / "nightly.json"
    path.write_text(text)

    with pytest.raises(LvmsnapError, match=f"the record cannot be read: {path}: .") as caught:
        record.read("nightly", str(tmp_path))

    assert f"mv {path} {path}.broken" in caught.value.hint
    assert "lvmsnap down nightly" in caught.value.hint


def test_a_record_from_before_there_were_hooks_has_none(tmp_path: Path) -> None:
    data = json.loads(_text())
    del data["hooks_due"], data["target"]["hooks"]
    (tmp_path / "nightly.json").write_text(json.dumps(data))

    assert record.read("nightly", str(tmp_path)) == samples.record()


def test_a_record_of_another_version_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "nightly.json").write_text(_changed(format=2))

    with pytest.raises(LvmsnapError, match="written by another version of lvmsnap"):
        record.read("nightly", str(tmp_path))


def test_removing_takes_the_record_and_what_an_interrupted_write_left(tmp_path: Path) -> None:
    record.write(samples.record(), str(tmp_path))
    (tmp_path / "nightly.json.new").write_text("half")

    record.remove("nightly", str(tmp_path))
    record.remove("nightly", str(tmp_path))

    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "nightly.json.new").write_text("half")

    assert record.names(str(tmp_path)) == ()
    assert record.read("nightly", str(tmp_path)) is None


def test_writing_follows_no_symlink(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "nightly.json.new").symlink_to(victim)

    with pytest.raises(LvmsnapError, match="Too many levels of symbolic links"):
        record.write(samples.record(), str(tmp_path))

    assert victim.read_text() == "precious"


def test_the_sample_record_differs_from_another() -> None:
    assert samples.record() != replace(samples.record(), time="")
