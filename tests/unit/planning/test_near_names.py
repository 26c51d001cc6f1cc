"""What is suggested for an origin that LVM does not have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvmsnap.model.facts import Facts, VolumeGroup
from lvmsnap.planning import near_names
from tests import samples


def group(name: str, *lvs: str) -> VolumeGroup:
    return replace(samples.GROUP, name=name, uuid=name, lvs=tuple(samples.lv(lv, uuid=f"{name}{lv}") for lv in lvs))


def machine(*groups: VolumeGroup) -> Facts:
    return replace(samples.facts(), vgs=groups)


MACHINE = machine(group("ubuntu-vg", "ubuntu-lv", "home"), group("data", "srv"))


@pytest.mark.parametrize(
    ("name", "origin", "hint"),
    [
        ("ubuntuvg", "home", "did you mean ubuntu-vg/home?"),
        ("ubuntu", "home", "did you mean ubuntu-vg/home?"),
        ("home", "ubuntu-vg", "the group comes first: ubuntu-vg/home"),
        ("vg0", "srv", "did you mean data/srv?"),
        ("dat", "nothing", "did you mean data?"),
        ("vg0", "nothing", ""),
    ],
)
def test_for_a_group_that_is_not_there(name: str, origin: str, hint: str) -> None:
    assert near_names.of_group(name, (origin,), MACHINE) == hint


@pytest.mark.parametrize(
    ("origin", "hint"),
    [
        ("ubuntu_lv", "did you mean ubuntu-vg/ubuntu-lv?"),
        ("homes", "did you mean ubuntu-vg/home?"),
        ("srv", "did you mean data/srv?"),
        ("swap", ""),
    ],
)
def test_for_a_volume_that_its_group_does_not_have(origin: str, hint: str) -> None:
    assert near_names.of_volume(origin, MACHINE.vgs[0], MACHINE) == hint


def test_what_is_a_part_a_pool_or_a_snapshot_is_not_suggested() -> None:
    parts = tuple(samples.lv(f"root{n}", attr=attr, is_hidden=n == 0) for n, attr in enumerate(("-wi", "swi", "twi")))
    vg = replace(samples.GROUP, lvs=parts)

    assert near_names.of_volume("root", vg, machine(vg)) == ""
