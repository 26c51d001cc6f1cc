"""What is suggested where a profile is up already: the command that was given, as it would have to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvmsnap.model.errors import NotStartedError, RefusedError
from lvmsnap.model.plan import Direction, Plan
from lvmsnap.operations import hold, named_profile, preparation, run, up_down
from lvmsnap.planning import planner
from tests import samples
from tests.unit.operations.test_up_down import PROFILE, World


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(monkeypatch)
    world.system, world.record = samples.up_facts(), samples.record()
    monkeypatch.setattr(preparation, "_look", lambda _session, _profile, system: system)
    monkeypatch.setattr(planner, "plan_up", lambda *_: Plan(Direction.UP, None, (), (), ()))
    return world


def test_up_of_what_is_up_suggests_up_with_replace(standing: World) -> None:
    with pytest.raises(RefusedError) as refused:
        up_down.up(standing.working, PROFILE, "", replace_old=False, if_down=False)
    assert (
        refused.value.hint == "lvmsnap down nightly, or lvmsnap up nightly --replace; lvmsnap status nightly shows it"
    )


def test_run_of_what_is_up_suggests_run_with_replace_and_its_command(standing: World) -> None:
    with pytest.raises(NotStartedError) as refused:
        run.run(standing.working, PROFILE, "", ("true", "a b"), replace_old=False)
    assert "or lvmsnap run nightly --replace -- true 'a b'; " in refused.value.hint
    assert standing.taken == []


def test_hold_of_what_is_up_suggests_hold_with_replace(standing: World) -> None:
    with pytest.raises(RefusedError) as refused:
        hold.hold(standing.working, PROFILE, "", lambda _: None, replace_old=False)
    assert "or lvmsnap hold nightly --replace; " in refused.value.hint


def test_down_of_a_misspelt_name_asks_whether_the_profile_of_nearly_that_name_was_meant(tmp_path: Path) -> None:
    for name in ("nightly", "weekly"):
        (tmp_path / f"{name}.yaml").write_text("volumes: []")

    asked = {name: named_profile.meant_instead(name, str(tmp_path)) for name in ("nigthly", "nightly", "other")}

    assert asked == {"nigthly": "nightly", "nightly": "", "other": ""}
    assert named_profile.meant_instead("nigthly", str(tmp_path / "absent")) == ""
