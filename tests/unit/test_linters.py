"""The linters, as tests: what they say is the failure's message."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import TOP

ROOT = TOP


def said_by(*command: str) -> str:
    """Run a linter at the project's root; return what it says, "" where it is content."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def shell_scripts() -> list[str]:
    """The tracked files that a shell runs."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    first_lines = {name: _first_line(ROOT / name) for name in tracked.splitlines()}
    return [name for name, line in first_lines.items() if name.endswith(".sh") or line.startswith(b"#!/bin/")]


def _first_line(path: Path) -> bytes:
    if not path.is_file():
        return b""  # A link to a folder, or deleted and not committed yet.
    with path.open("rb") as file:
        return file.readline()


def test_ruff_finds_nothing_to_fix() -> None:
    assert not said_by(sys.executable, "-m", "ruff", "check", "--no-fix", ".")


def test_the_code_is_formatted_as_ruff_does_it() -> None:
    assert not said_by(sys.executable, "-m", "ruff", "format", "--check", ".")


def test_mypy_strict_finds_no_wrong_type() -> None:
    assert not said_by(sys.executable, "-m", "mypy")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_shellcheck_finds_nothing_to_fix_in_the_shell_scripts() -> None:
    assert not said_by("shellcheck", "--severity=warning", *shell_scripts())
