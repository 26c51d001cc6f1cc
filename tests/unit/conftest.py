"""What all fast tests share."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from lvmsnap.execution import run_history

_numbers = itertools.count()


@pytest.fixture(scope="session")
def histories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for histories of runs: a folder a test would cost more than most tests do."""
    return tmp_path_factory.mktemp("histories")


@pytest.fixture(autouse=True)
def _no_history_on_this_machine(histories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever tests as root keeps no runs of tests in the machine's own history, nor reads it."""
    monkeypatch.setattr(run_history, "STATE_DIR", f"{histories}/{next(_numbers)}")
