"""A plan without the machine, and the facts that a plan shows."""

from __future__ import annotations

import pytest

from lvmsnap.model.plan import Thing
from lvmsnap.model.units import GIB
from lvmsnap.planning import offline, planner
from tests import samples
from tests.unit.planning.test_planner import CASES, made, plain, things


@pytest.mark.parametrize("name", CASES)
def test_an_offline_plan_has_the_same_steps_as_one_on_a_clean_system(name: str) -> None:
    case = CASES[name]

    plan = offline.plan(case.profile)

    assert plan.target is not None
    # Only the assumed system differs: its mountpoint is absent, so it is made and removed.
    expected = {Thing.DIRECTORY} if case.profile.volumes[0].mountpoint else set()
    assert set(things(plan)) == set(things(made(case))) | expected
    assert plan.checks == ()
    assert plan.facts[0].name == "assumed"


def test_an_offline_plan_assumes_an_origin_of_100_gib() -> None:
    plan = offline.plan(plain("size: 20%ORIGIN"))

    assert plan.target is not None
    # A fifth of 100 GiB, and what lists all of its chunks of 4 KiB, as lvcreate makes it.
    cow = plan.target.snapshots[0].own_space
    assert cow is not None
    assert 20.3 * GIB < cow.size_bytes < 20.4 * GIB


@pytest.mark.parametrize(
    ("volume", "more", "snapshot", "fate"),
    [
        ("", "", "10.04 GiB for changes (40 GiB asked; more can never be used)", "it never does"),
        ("size: 64MiB", "", "64 MiB for changes (16 extents)", "extended by 50 % at 80 % from the free space of vg0"),
        ("size: 10%ORIGIN", "", "1.043 GiB for changes (10%ORIGIN asked; 267 extents)", "a warning at 70 %"),
        ("size: 1GiB", "overflow: {extend_at: 100%}", "(256 extents)", "not extended, as `extend_at` says"),
        ("size: 1GiB", f"backing_file: {{path: {samples.FILE}}}", "(256", "without a `backing_file.max_size`"),
        (
            "size: 1GiB",
            f"backing_file: {{path: {samples.FILE}, max_size: 9GiB}}",
            "(256 extents)",
            "by a larger backing file, up to 9 GiB",
        ),
    ],
)
def test_the_facts_say_how_large_a_snapshot_is_and_why_and_what_becomes_of_it(
    volume: str, more: str, snapshot: str, fate: str
) -> None:
    volume = volume or "size: 40GiB"
    profile = samples.profile(f"volumes:\n  - origin: vg0/system\n    {volume}\n{more}\n")

    uuids = (samples.PV_UUID,) * len(profile.backing_files)
    told = {fact.name: fact.value for fact in planner.plan_up(profile, samples.facts(), uuids).facts}

    assert snapshot in told["snapshot"]
    assert fate in told["when it fills"]
