"""What is read at a profile's own paths, on real files in a folder of the test's."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lvmsnap.model.facts import Mount
from lvmsnap.model.looked import FileFacts
from lvmsnap.planning import access
from lvmsnap.system import ancestors, block_devices, mount_owners, path_facts, reading
from lvmsnap.system.reading import Interest
from tests import samples

# --- the backing file ---------


def test_a_file_that_is_not_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert path_facts.file_facts(str(tmp_path / "none")) is None
    assert path_facts.file_facts(str(tmp_path / "file/below")) is None


def test_a_claimed_file_is_empty_and_private(tmp_path: Path) -> None:
    path = tmp_path / "claimed"
    path.touch(mode=0o600)

    found = path_facts.file_facts(str(path))

    assert found is not None
    assert (found.inode, found.device) == (path.stat().st_ino, path.stat().st_dev)
    assert found.is_empty_private is (os.geteuid() == 0)
    path.chmod(0o640)
    assert not _facts(path).is_empty_private
    path.chmod(0o600)
    path.write_bytes(b"x")
    assert not _facts(path).is_empty_private


def test_a_symlink_a_folder_and_a_pipe_are_no_regular_files(tmp_path: Path) -> None:
    (tmp_path / "target").touch(mode=0o600)
    (tmp_path / "link").symlink_to("target")
    os.mkfifo(tmp_path / "pipe", 0o600)

    for path in (tmp_path / "link", tmp_path / "pipe", tmp_path):
        found = _facts(path)
        assert (found.is_regular, found.is_empty_private, found.pv_uuid) == (False, False, "")


def test_holes_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 20)

    assert (_facts(path).size_bytes, _facts(path).allocated_bytes) == (1 << 20, 0)


@pytest.mark.parametrize("sector", range(4))
def test_a_pv_label_in_one_of_the_first_four_sectors_is_read(sector: int, tmp_path: Path) -> None:
    path = tmp_path / "pv"
    raw = samples.PV_UUID.replace("-", "").encode()

    path.write_bytes(bytes(512 * sector) + b"LABELONE" + bytes(24) + raw + bytes(4096))

    assert _facts(path).pv_uuid == samples.PV_UUID


@pytest.mark.parametrize("content", [b"", b"LABELONE", b"LABELTWO" + bytes(100), bytes(2048) + b"LABELONE" + b"x" * 64])
def test_what_is_no_label_is_no_pv(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    assert _facts(path).pv_uuid.strip("-") == ""


def _facts(path: Path) -> FileFacts:
    found = path_facts.file_facts(str(path))
    assert found is not None
    return found


# --- the mountpoint ---------


@pytest.fixture
def places(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/.hidden").touch()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("empty")
    (tmp_path / "loose").symlink_to("nowhere")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("empty", "empty"), ("full", "not empty"), ("file", "no directory"), ("link", "symlink")),
        *(("loose", "symlink"), ("absent", "absent"), ("absent/below", "no parent"), ("file/below", "no parent")),
    ],
)
def test_what_is_at_a_mountpoint_is_reported_by_its_kind(places: Path, name: str, kind: str) -> None:
    assert path_facts.mountpoint_facts(str(places / name), ()).kind == kind


def test_something_mounted_at_a_mountpoint_is_seen_in_the_mount_table(places: Path) -> None:
    mount = Mount("8:1", "/", str(places / "empty"), "ext4", "/dev/sda1")

    assert path_facts.mountpoint_facts(str(places / "empty"), (mount,)).kind == "mounted"


def test_a_mountpoint_behind_a_symlink_is_reported_by_its_real_path(places: Path) -> None:
    found = path_facts.mountpoint_facts(str(places / "link/snapshot"), ())

    assert found.real_path == str(places / "empty/snapshot")


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/media/snap", "media-snap"),
        ("/media/my-snap", r"media-my\x2dsnap"),
        ("/mnt/a b", r"mnt-a\x20b"),
        ("/mnt/ä", r"mnt-\xc3\xa4"),
        ("/.hidden/.x", r"\x2ehidden-.x"),
    ],
)
def test_a_mountpoints_unit_has_the_name_that_systemd_escape_gives(path: str, unit: str) -> None:
    assert mount_owners.unit_name(path) == unit


# --- the directory of the backing file ---------


def test_a_directory_is_private_where_only_root_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_devices, "own_devices_under", lambda *_: ())

    def is_private(mode: int) -> bool:
        tmp_path.chmod(mode)
        way = ancestors.walk(str(tmp_path), ())
        return not access.exposed(
            path_facts.directory_facts(str(tmp_path), replace(way, gates=way.gates[-1:]), ()).gates
        )

    assert is_private(0o755) is (os.geteuid() == 0)
    assert not is_private(0o775)
    assert not is_private(0o1777)


def test_a_directory_that_is_not_there_is_said_not_to_be() -> None:
    path = "/nonexistent/deep"

    assert not path_facts.directory_facts(path, ancestors.walk(path, ()), ()).exists


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "virtiofs"])
def test_nothing_below_a_network_filesystem_is_touched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    """A dead server would hang whoever looks; the mount table says what it is without a look."""
    (tmp_path / "dead/deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("dead/deep")
    table = (Mount("0:50", "/", f"{tmp_path}/dead", kind, "server:/export"),)
    touched: list[str] = []

    def watched(real: Any) -> Any:
        def look(path: Any, *arguments: Any, **options: Any) -> Any:
            touched.append(str(path))
            return real(path, *arguments, **options)

        return look

    for name in ("lstat", "stat", "statvfs", "readlink", "scandir", "listxattr"):
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    for path in (f"{tmp_path}/dead/deep/x", f"{tmp_path}/dead/x", f"{tmp_path}/link/x"):
        facts = replace(samples.facts(), mounts=table)
        looked = reading.focus(facts, Interest((), (), files=(path,))).looked
        assert looked.files[path] is None
        assert (looked.directories[path].exists, looked.directories[path].filesystem) == (True, kind)
        assert path_facts.mountpoint_facts(path, table).kind == "unreachable"
        assert path_facts.mountpoint_facts(path, table).stalling == kind

    assert [path for path in touched if path.startswith(f"{tmp_path}/dead")] == []
    assert any(path == str(tmp_path) for path in touched)


# --- the rest ---------


def test_missing_programs_are_looked_for_on_the_childrens_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lvmsnap-own-tool").write_text("#!/bin/sh\n")
    (tmp_path / "lvmsnap-own-tool").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert reading.missing_tools(("sh", "lvmsnap-own-tool", "lvmsnap-no-tool")) == ("lvmsnap-no-tool",)


def test_what_a_profile_and_its_target_name_is_what_is_looked_at() -> None:
    origin = (("vg0",), (("vg0", "system"),))
    whole = Interest(*origin, (samples.FILE,), (samples.MOUNTPOINT,))

    assert Interest.of_profile(samples.with_file()) == whole
    assert Interest.of_target(samples.TARGET) == whole
    assert Interest.of_target(samples.target(lent_pv=None, mount=None)) == Interest(*origin)


def test_fstab_has_blanks_and_tabs_between_its_fields_and_nothing_else() -> None:
    raw = "# c\n\n \t/dev/a\t/x\x85y\u2028z\x1c  ext4 noauto\n/dev/b /c\\777 auto\rx\n\t# d\n".encode()
    raw += b"/dev/\xff /e"

    assert mount_owners.fstab_fields(raw) == [
        ["/dev/a", "/x\x85y\u2028z\x1c", "ext4", "noauto"],
        ["/dev/b", "/c\\777", "auto\rx"],
        ["/dev/\udcff", "/e"],
    ]


# --- a key file -----------


def test_a_key_file_is_known_by_its_kind_owner_and_mode_and_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"secret")
    path.chmod(0o400)
    (tmp_path / "link").symlink_to("key")
    os.mkfifo(tmp_path / "pipe", 0o600)

    found = path_facts.key_file_facts(str(path), ())
    assert (found.kind, found.uid, found.mode, found.size_bytes) == ("regular", os.geteuid(), 0o400, 6)
    assert found.gates[-1].path == str(tmp_path.resolve())
    kinds = {name: path_facts.key_file_facts(str(tmp_path / name), ()).kind for name in ("link", "pipe", "none", "")}
    assert kinds == {"link": "symlink", "pipe": "other", "none": "absent", "": "other"}


def test_a_key_file_on_a_filesystem_that_may_stall_is_not_touched(tmp_path: Path) -> None:
    table = (replace(samples.mounted(str(tmp_path), "0:99"), filesystem="nfs4"),)

    found = path_facts.key_file_facts(str(tmp_path / "folder/key"), table)

    assert (found.kind, found.stalling) == ("unreachable", "nfs4")
