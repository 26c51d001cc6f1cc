"""What a plan rests on."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import pytest

from lvmsnap.execution import records
from lvmsnap.execution.records import RecordError
from lvmsnap.system import reading
from tests import samples
from tests.simulation.stage import Stage
from tests.simulation.world import make_world


def test_a_plan_made_by_somebody_who_may_not_read_the_record_says_that_root_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreadable(_: str) -> NoReturn:
        raise RecordError("/var/lib/lvmsnap/nightly.json: Permission denied")

    stage = Stage(monkeypatch)
    stage.world = make_world("/media/snapshot")
    seen = replace(stage.world.system.facts(), is_root=False)
    monkeypatch.setattr(records, "read", unreadable)
    monkeypatch.setattr(reading, "read_system", lambda *_, **__: seen)

    assert "run by root" in [check.title for check in stage.checks(samples.profile())]
