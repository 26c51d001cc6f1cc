"""The record is durable and refuses what it cannot understand."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lvmsnap.execution import records
from lvmsnap.model.errors import LvmsnapError
from lvmsnap.model.profile import Hooks
from lvmsnap.model.target import Record
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
    records.write(written, str(tmp_path))

    assert records.read("nightly", str(tmp_path)) == written
    assert records.names(str(tmp_path)) == ("nightly",)


def test_a_record_is_roots_alone(tmp_path: Path) -> None:
    directory = tmp_path / "state"

    records.write(samples.record(), str(directory))

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

    really_rename = os.rename

    def rename(old: str, new: str) -> None:
        done.append(f"rename {os.path.basename(old)} {os.path.basename(new)}")
        really_rename(old, new)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "rename", rename)

    records.write(samples.record(), str(tmp_path))

    assert done == ["sync nightly.json.new whole", "rename nightly.json.new nightly.json", "sync ."]


@pytest.mark.parametrize(("number", "todo"), [(errno.ENOSPC, "make room on"), (errno.EROFS, "mount -o remount,rw")])
def test_a_record_that_could_not_be_written_leaves_the_old_one(
    number: int, todo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.write(samples.record(), str(tmp_path))

    def fail(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(LvmsnapError, match=f"the record cannot be written: .*: {os.strerror(number)}") as caught:
        records.write(samples.record(snapshot="other"), str(tmp_path))

    assert caught.value.hint.startswith("lvmsnap changes nothing that it has not written down; ")
    assert todo in caught.value.hint
    assert records.read("nightly", str(tmp_path)) == samples.record()
    assert records.names(str(tmp_path)) == ("nightly",)


def test_a_file_whose_name_no_profile_can_have_is_no_record(tmp_path: Path) -> None:
    for name in ("nightly", "Nightly", "lock", "a b", "x\ny", "a" * 65):
        (tmp_path / f"{name}.json").write_text("{}")

    assert records.names(str(tmp_path)) == ("nightly",)


def test_no_record_is_none(tmp_path: Path) -> None:
    assert records.read("nightly", str(tmp_path)) is None
    assert records.read("nightly", str(tmp_path / "none")) is None
    assert records.names(str(tmp_path / "none")) == ()


def _changed(**fields: Any) -> str:
    data = json.loads(_text())
    return json.dumps(data | fields)


def _text() -> str:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        records.write(samples.record(), directory)
        return records.record_path("nightly", directory).read_text()


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "3", _text()[:200], _changed(format=3), _changed(target={}), _changed(target=None)),
        *(_changed(more=1), _changed(time="today"), '{"format": 1}', "\x00" * 100),
    ],
)
def test_a_record_that_cannot_be_understood_is_reported_with_a_way_out(tmp_path: Path, text: str) -> None:
    path = tmp_path / "nightly.json"
    path.write_text(text)

    with pytest.raises(LvmsnapError, match=f"the record cannot be read: {path}: .") as caught:
        records.read("nightly", str(tmp_path))

    assert caught.value.hint == "lvmsnap down nightly --force relies on LVM's own marks, and puts the record aside"


def _with(path: str, value: Any) -> str:
    """The record with one value replaced; `path` is dotted."""
    data = json.loads(_text())
    *parents, last = path.split(".")
    inner = data
    for key in parents:
        inner = inner[int(key) if key.isdigit() else key]
    inner[last] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("time", "2024-05-04T03:00:00", "time '2024-05-04T03:00:00' has no time zone"),
        ("time", 5, "time must be text, and is a number 5"),
        ("time", "\x00", "time contains NUL"),
        ("boot_id", None, "boot_id must be text, and is null"),
        ("profile_text", ["x"], "profile_text must be text, and is a list"),
        ("hooks_due", "after_snapshot", "hooks_due must be a list, and is text 'after_snapshot'"),
        ("hooks_due", [[]], "hooks_due[0] must be text, and is a list"),
        ("target", [], "target must be an object, and is a list"),
        ("target.name", "weekly", "it is the record of 'weekly'"),
        ("target.name", "../evil", "it is the record of '../evil'"),
        ("target.snapshots.0.vg", None, "target.snapshots[0].vg must be text, and is null"),
        ("target.snapshots.0.cow.extents", "16", "target.snapshots[0].cow.extents must be a number, and is text '16'"),
        (
            "target.snapshots.0.cow.extents",
            True,
            "target.snapshots[0].cow.extents must be a number, and is true or false",
        ),
        (
            "target.snapshots.0.cow.extents",
            1.5,
            "target.snapshots[0].cow.extents must be a number, and is a number 1.5",
        ),
        ("target.snapshots.0.cow.extents", -1, "target.snapshots[0].cow.extents is out of range"),
        ("target.snapshots.0.cow.extents", 10**30, "target.snapshots[0].cow.extents is out of range"),
        ("target.snapshots.0.permission", "x", "target.snapshots[0].permission must be r or rw, and is text 'x'"),
        ("target.snapshots.0.permission", {}, "target.snapshots[0].permission must be r or rw, and is an object"),
        ("target.loans", [3], "target.loans[0] must be an object, and is a number 3"),
        ("target.loans.0.inode", "7", "target.loans[0].inode must be a number, and is text '7'"),
        ("target.loans.0.allocation", None, "target.loans[0].allocation must be fallocate or zero-fill, and is null"),
        ("target.loans.0.direct_io", 1, "target.loans[0].direct_io must be true or false, and is a number 1"),
        (
            "target.snapshots.0.mount.options",
            "ro",
            "target.snapshots[0].mount.options must be a list, and is text 'ro'",
        ),
        ("target.snapshots.0.mount.more", 1, "target.snapshots[0].mount.'more' is not known"),
        ("target.hooks.before_down", [None], "target.hooks.before_down[0] must be text, and is null"),
    ],
)
def test_the_type_of_each_field_is_checked(tmp_path: Path, path: str, value: Any, says: str) -> None:
    (tmp_path / "nightly.json").write_text(_with(path, value))

    with pytest.raises(LvmsnapError) as caught:
        records.read("nightly", str(tmp_path))

    assert caught.value.message == f"the record cannot be read: {tmp_path}/nightly.json: {says}"


def test_a_record_that_is_nested_without_end_is_unreadable(tmp_path: Path) -> None:
    for text in ("[" * 100_000, '{"a":' * 100_000, _with("target", json.loads("[" * 500 + "]" * 500))):
        (tmp_path / "nightly.json").write_text(text)
        with pytest.raises(LvmsnapError, match="the record cannot be read"):
            records.read("nightly", str(tmp_path))


def _link(path: Path) -> None:
    other = path.with_name("other")
    other.write_text(_text())
    path.symlink_to(other)


def _of_somebody(path: Path) -> None:
    path.write_text(_text())
    os.chown(path, 1000, 1000)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, _link, _of_somebody], ids=["folder", "pipe", "link", "bob's"])
def test_what_is_no_file_of_roots_is_unreadable_and_can_be_put_aside(
    tmp_path: Path, make: Callable[[Path], Any]
) -> None:
    path = tmp_path / "nightly.json"
    for number in ("", "1"):
        make(path)
        with pytest.raises(LvmsnapError, match="the record cannot be read"):
            records.read("nightly", str(tmp_path))

        records.remove("nightly", str(tmp_path))

        assert not os.path.lexists(path)
        assert os.path.lexists(f"{path}.unreadable{number}")
    assert records.names(str(tmp_path)) == ()


def test_an_unreadable_record_is_put_aside_and_not_lost(tmp_path: Path) -> None:
    (tmp_path / "nightly.json").write_text("{")

    records.remove("nightly", str(tmp_path))

    assert [path.name for path in tmp_path.iterdir()] == ["nightly.json.unreadable"]
    assert records.read("nightly", str(tmp_path)) is None


def test_a_record_from_before_there_were_hooks_has_none(tmp_path: Path) -> None:
    data = json.loads(_text())
    del data["hooks_due"], data["target"]["hooks"]
    (tmp_path / "nightly.json").write_text(json.dumps(data))

    assert records.read("nightly", str(tmp_path)) == samples.record()


def test_a_record_of_another_version_is_reported_as_such(tmp_path: Path) -> None:
    (tmp_path / "nightly.json").write_text(_changed(format=3))

    with pytest.raises(LvmsnapError, match="written by another version of lvmsnap"):
        records.read("nightly", str(tmp_path))


def test_removing_takes_the_record_and_what_an_interrupted_write_left(tmp_path: Path) -> None:
    records.write(samples.record(), str(tmp_path))
    (tmp_path / "nightly.json.new").write_text("half")

    records.remove("nightly", str(tmp_path))
    records.remove("nightly", str(tmp_path))

    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "nightly.json.new").write_text("half")

    assert records.names(str(tmp_path)) == ()
    assert records.read("nightly", str(tmp_path)) is None


def test_writing_follows_no_symlink(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "nightly.json.new").symlink_to(victim)

    records.write(samples.record(), str(tmp_path))

    assert victim.read_text() == "precious"
    assert records.read("nightly", str(tmp_path)) == samples.record()


def test_who_has_an_interrupted_write_open_does_not_write_into_the_next_record(tmp_path: Path) -> None:
    with (tmp_path / "nightly.json.new").open("w") as other:
        records.write(samples.record(), str(tmp_path))
        other.write("evil")

    assert records.read("nightly", str(tmp_path)) == samples.record()
