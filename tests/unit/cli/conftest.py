"""What tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvmsnap.model.facts import Facts
from lvmsnap.system import block_devices, crypttab, mount_table, origin_facts, reading
from tests.unit.cli.calling import ROOT
from tests.unit.cli.first_machine import TYPES, look_at, system


@pytest.fixture(autouse=True)
def _at_the_projects_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("LVMSNAP_PROFILE_DIR", raising=False)


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> Facts:
    """Put a machine in the place of this one."""
    made = system()
    monkeypatch.setattr(reading, "is_root", lambda: True)
    monkeypatch.setattr(reading, "read_system", lambda *_, **__: made)
    look_at(monkeypatch, made)
    monkeypatch.setattr(crypttab, "key_files", dict)
    monkeypatch.setattr(origin_facts, "filesystems", lambda *_: TYPES)
    monkeypatch.setattr(block_devices, "number_at", lambda _: "")
    monkeypatch.setattr(mount_table, "mounts", lambda: made.mounts)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a profile directory that is not there yet."""
    return tmp_path / "etc" / "lvmsnap"
