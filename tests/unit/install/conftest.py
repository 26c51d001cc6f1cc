"""What tests of the units share."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvmsnap.install import systemd_timer, timer_units
from tests.unit.install.fake_systemd import FakeSystemd, Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A machine with systemd at work and nothing of lvmsnap's."""
    folder, stamps = tmp_path / "system", tmp_path / "stamps"
    folder.mkdir()
    stamps.mkdir()
    for module in (timer_units, systemd_timer):
        monkeypatch.setattr(module, "UNIT_FOLDER", str(folder))
    monkeypatch.setattr(systemd_timer, "RUNNING", str(folder))
    monkeypatch.setattr(systemd_timer, "STAMPS", str(stamps))
    monkeypatch.setattr(systemd_timer, "is_there", lambda: True)
    return Place(folder, stamps / "stamp-lvmsnap@nightly.timer", FakeSystemd(folder))
