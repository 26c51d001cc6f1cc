"""What superblocks say, read from filesystems that mkfs made in files of the test's own."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lvmsnap.model.looked import Superblock
from lvmsnap.model.units import MIB
from lvmsnap.system import superblock


def made(path: Path, *mkfs: str, size_bytes: int = 40 * MIB) -> Path:
    """Make a filesystem in a file; skip where mkfs is not installed."""
    program = shutil.which(mkfs[0], path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        pytest.skip(f"{mkfs[0]} is not installed")
    with path.open("ab") as file:
        file.truncate(size_bytes)
    subprocess.run([program, *mkfs[1:], str(path)], check=True, capture_output=True)
    return path


@pytest.mark.parametrize("kind", ["ext3", "ext4"])
def test_a_journal_has_its_size(tmp_path: Path, kind: str) -> None:
    path = made(tmp_path / "fs", f"mkfs.{kind}", "-q", "-J", "size=6")

    assert superblock.read(str(path)) == Superblock(6 * MIB, needs_other_device=False, has_journal=True, is_clean=True)


@pytest.mark.parametrize("kind", [("mkfs.ext2",), ("mkfs.ext4", "-O", "^has_journal")])
def test_a_filesystem_without_a_journal_says_whether_it_was_unmounted(tmp_path: Path, kind: tuple[str, ...]) -> None:
    path = made(tmp_path / "fs", *kind, "-q")
    raw = bytearray(path.read_bytes()[:4096])

    assert superblock.parse(bytes(raw)) == Superblock(0, needs_other_device=False, has_journal=False, is_clean=True)
    raw[1024 + 0x3A] = 0  # s_state, as it is while mounted
    assert superblock.parse(bytes(raw)) == Superblock(0, needs_other_device=False, has_journal=False, is_clean=False)


def test_a_journal_that_must_be_replayed_is_seen(tmp_path: Path) -> None:
    raw = bytearray(made(tmp_path / "fs", "mkfs.ext4", "-q").read_bytes()[:4096])

    raw[1024 + 0x60] |= 4  # s_feature_incompat, EXT4_FEATURE_INCOMPAT_RECOVER

    found = superblock.parse(bytes(raw))
    assert found is not None
    assert not found.is_clean


def test_a_journal_on_another_device_is_seen(tmp_path: Path) -> None:
    raw = bytearray(made(tmp_path / "fs", "mkfs.ext4", "-q").read_bytes()[:4096])

    raw[1024 + 0xE0 : 1024 + 0xE4] = bytes(4)  # s_journal_inum: none of its own; s_journal_uuid names the device

    assert superblock.parse(bytes(raw)) == Superblock(0, needs_other_device=True, has_journal=True, is_clean=True)


def test_the_log_of_xfs_has_its_size_and_its_place(tmp_path: Path) -> None:
    inside = made(tmp_path / "fs", "mkfs.xfs", "-q", "-l", "size=64m", size_bytes=364 * MIB)
    with (tmp_path / "log").open("wb") as file:
        file.truncate(64 * MIB)
    outside = made(tmp_path / "fs2", "mkfs.xfs", "-q", "-l", f"logdev={tmp_path}/log,size=64m", size_bytes=364 * MIB)

    found = superblock.read(str(inside)), superblock.read(str(outside))

    assert found[0] == Superblock(64 * MIB, needs_other_device=False, has_journal=True, is_clean=False)
    assert found[1] is not None
    assert found[1].needs_other_device


@pytest.mark.parametrize("content", [b"", bytes(4096), b"XFSB", b"\xff" * 4096])
def test_what_is_no_known_superblock_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "fs").write_bytes(content)

    assert superblock.read(str(tmp_path / "fs")) is None
    assert superblock.read(str(tmp_path / "none")) is None


@pytest.mark.parametrize(("bits", "byte"), [("12", 37), ("16", 37), ("32", 65)])
def test_a_vfat_says_whether_it_was_unmounted(tmp_path: Path, bits: str, byte: int) -> None:
    raw = bytearray(made(tmp_path / "fs", "mkfs.vfat", "-F", bits, size_bytes=50 * MIB).read_bytes()[:4096])

    assert superblock.parse(bytes(raw)) == Superblock(0, needs_other_device=False, has_journal=False, is_clean=True)
    raw[byte] |= 1
    assert superblock.parse(bytes(raw)) == Superblock(0, needs_other_device=False, has_journal=False, is_clean=False)


def test_an_f2fs_says_whether_it_lies_on_one_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # it keeps no long names of its devices
    alone = made(Path("alone"), "mkfs.f2fs", "-q", size_bytes=100 * MIB)
    second = made(Path("second"), "true", size_bytes=100 * MIB)
    two = made(Path("two"), "mkfs.f2fs", "-q", "-c", str(second), size_bytes=100 * MIB)

    one = Superblock(0, needs_other_device=False, has_journal=True, is_clean=False)
    assert superblock.read(str(alone)) == one
    assert superblock.read(str(two)) == replace(one, needs_other_device=True)
