"""What tests of the executor share."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvmsnap.execution import records, teardown
from lvmsnap.system import block_devices, device_mapper
from tests.unit.execution.walked import Notes


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Notes:
    """Progress, on a machine on which nothing is looked up and no time passes."""
    monkeypatch.setattr(teardown, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(block_devices, "loops", lambda: ())
    monkeypatch.setattr(device_mapper, "devices", lambda: ())
    monkeypatch.setattr("os.path.lexists", lambda _path: False)
    for function in (records.write, records.remove, records.read):
        monkeypatch.setattr(function, "__defaults__", (str(tmp_path),))
    monkeypatch.setattr(records, "RUN_DIR", str(tmp_path / "run"))
    return Notes()
