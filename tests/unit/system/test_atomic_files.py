"""A result in a file: the new one whole, or the old one as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lvmsnap.model.errors import LvmsnapError
from lvmsnap.system import atomic_files


def test_a_new_file_is_readable_by_all_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        atomic_files.write_whole(str(tmp_path / "x.prom"), "a\udcffb\n")
    finally:
        os.umask(before)

    assert (tmp_path / "x.prom").read_bytes() == b"a\\udcffb\n"
    assert (tmp_path / "x.prom").stat().st_mode & 0o7777 == 0o644


def test_an_old_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.prom"
    path.write_text("a long old text\n")
    path.chmod(0o600)
    with path.open() as reader:
        atomic_files.write_whole(str(path), "new\n")

        assert reader.read() == "a long old text\n"
    assert path.read_text() == "new\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_alone_is_a_file_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    atomic_files.write_whole("x", "new\n")

    assert (tmp_path / "x").read_text() == "new\n"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("absent/x", "No such file or directory"),
        ("file/x", "Not a directory"),
        ("folder", "it is a directory"),
        ("folder/", "it is a directory"),
        ("fifo", "it is not a regular file"),
        ("link", "it is not a regular file"),
        ("broken", "it is not a regular file"),
        ("y" * 300, "File name too long"),
    ],
)
def test_what_cannot_be_written_is_reported_and_left_as_it_is(name: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "broken").symlink_to("nowhere")
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(LvmsnapError) as caught:
        atomic_files.write_whole(f"{tmp_path}/{name}", "new")

    assert f"{tmp_path}/{name}" in caught.value.message
    assert says in caught.value.message
    assert caught.value.hint
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "old"
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_half_way_leaves_the_old_file_and_nothing_else(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.prom"
    path.write_text("old")

    def fail(_descriptor: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((LvmsnapError, KeyboardInterrupt)) as caught:
        atomic_files.write_whole(str(path), "new")

    assert "No space" in str(caught.value) or isinstance(error, KeyboardInterrupt)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_on_disk_before_it_has_its_name_and_its_name_before_is_no_metrics_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there: list[list[str]] = []
    monkeypatch.setattr(os, "fsync", lambda _: there.append(os.listdir(tmp_path)))

    atomic_files.write_whole(str(tmp_path / "x.prom"), "new")

    ((name,),) = there
    assert name.startswith(".")
    assert not name.endswith(".prom")
