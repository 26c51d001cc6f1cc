"""What tests of the command line share."""

from __future__ import annotations

import pytest

from tests.unit.cli.calling import ROOT


@pytest.fixture(autouse=True)
def _at_the_projects_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("LVMSNAP_PROFILE_DIR", raising=False)
