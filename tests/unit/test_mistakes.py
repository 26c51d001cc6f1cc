"""Mistakes that people make: what each is told, held as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lvmsnap.cli import parser
from lvmsnap.system import programs
from tests import TOP

DATA: dict[str, Any] = yaml.safe_load((TOP / "tests/unit/data/mistakes.yaml").read_text(encoding="utf-8"))
GOOD = "volumes: [{origin: vg0/root}]\n"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LVMSNAP_PROFILE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", DATA["commands"], ids=lambda case: case["mistake"])
def test_a_mistaken_command_is_told_what_is_wrong_and_what_to_do(
    case: dict[str, Any], directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in case.get("files", {}).items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_bytes(text if isinstance(text, bytes) else (text or GOOD).encode())

    code = parser.main(case["arguments"])

    told = capsys.readouterr()
    hint = f"  what to do: {case['do']}\n" if case["do"] else ""
    assert told.err.replace(str(directory), "DIR") == f"error: {case['says']}\n{hint}"
    assert (code, told.out) == (2, "")


@pytest.mark.parametrize("case", DATA["programs"], ids=lambda case: " ".join(case["words"]))
def test_a_command_that_cannot_start_is_told_why(case: dict[str, Any], directory: Path) -> None:
    (directory / "text").write_text("echo")

    says, do = programs.problem(tuple(case["words"]), "/usr/empty")

    assert (says, do.replace(str(directory), "DIR")) == (case["says"], case["do"])


def test_a_program_that_is_there_is_no_mistake() -> None:
    assert programs.problem(("sh", "-c", "x=1 cd")) == ("", "")
