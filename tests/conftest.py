"""Fixtures of all tests: the lab's machines. And the markers by which `tests/run` selects the lab's tests."""

import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lvmsnap.execution import hold_marks, records, run_history
from tests.lab import sampled
from tests.lab.fixtures import fresh_machine, lab, shared_machine, stage

__all__ = ["fresh_machine", "lab", "shared_machine", "stage"]

# Whoever starts the tests by nohup, or in the background of a script, has these ignored, and so would all children.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
# Where a user's files are writable by their group, a record that a test makes by hand would not be trusted.
os.umask(0o022)


@pytest.fixture(autouse=True, scope="session")
def no_notes_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests from the notes of records in this machine's own /run."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (records, hold_marks):
            patch.setattr(module, "RUN_DIR", str(tmp_path_factory.getbasetemp() / "absent"))
        yield


_numbers = itertools.count()


@pytest.fixture(scope="session")
def histories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for histories of runs: a folder a test would cost more than most tests do."""
    return tmp_path_factory.mktemp("histories")


@pytest.fixture(autouse=True)
def _no_history_on_this_machine(histories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever tests as root keeps no runs of tests in the machine's own history, nor reads it."""
    monkeypatch.setattr(run_history, "STATE_DIR", f"{histories}/{next(_numbers)}")


@pytest.hookimpl(tryfirst=True)  # before -m selects by them
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what only a full run tries, and what the quick one tries of the lab."""
    for item in items:
        _, in_lab, name = item.nodeid.partition("tests/lab/")
        for marker in sampled.markers(name) if in_lab else ():
            item.add_marker(marker)
