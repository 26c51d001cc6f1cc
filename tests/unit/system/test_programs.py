"""Where a program is, as shutil.which has it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lvmsnap.system import programs


@pytest.mark.parametrize("word", ["sh", "/bin/sh", "no-such-program", "/no/such", "file", "folder", "./tool", "tool"])
@pytest.mark.parametrize("path", [None, "", "/bin", "{here}", "/none:{here}:/bin", "/bin:"])
def test_a_program_is_found_where_the_library_finds_it(
    word: str, path: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch(0o600)
    (tmp_path / "tool").touch(0o700)
    monkeypatch.chdir(tmp_path)
    search = path and path.format(here=tmp_path)

    found, known = programs.which(word, search), shutil.which(word, path=search)
    assert (found and Path(found).resolve()) == (known and Path(known).resolve())
