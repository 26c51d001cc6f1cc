"""What `up --replace` can check before it takes the old stack down: the machine as it will be without that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lvmsnap.model.facts import Facts
from lvmsnap.model.looked import Looked, MountpointFacts, OriginFacts
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.planning import planner, replacement
from lvmsnap.planning.identify import find
from tests import samples

SNAPSHOT = dm_uuid(samples.VG_UUID, samples.SNAPSHOT_UUID)
DEVICES = (
    samples.dm("vg0-system--lvmsnap--nightly", SNAPSHOT),
    samples.dm("vg0-system--lvmsnap--nightly-cow", f"{SNAPSHOT}-cow"),
)


def up(**fields: Any) -> Facts:
    """The machine while nightly is up, each path looked at by its name."""
    disk = replace(samples.DISK, allocated_extents=2600)
    taken = samples.snapshot_lv(devices=("/dev/loop7",))
    group = samples.vg(taken, pvs=(disk, samples.lent_pv()), free_extents=2400)
    facts = samples.up_facts(group, dm_devices=DEVICES, **fields)
    looked = Looked(
        files={samples.FILE: samples.FILE_FACTS},
        directories={samples.FILE: samples.DIRECTORY},
        mountpoints={samples.MOUNTPOINT: MountpointFacts("mounted", samples.MOUNTPOINT, "")},
        groups=facts.looked.groups,
        origins={("vg0", "system"): OriginFacts("ext4", ways=(samples.WAY,))},
    )
    return replace(facts, looked=looked)


def failed(facts: Facts, profile: str = "") -> list[str]:
    """The checks that fail once the old stack is gone."""
    found = find(samples.TARGET, facts, samples.record())
    assert replacement.is_foreseeable(found)
    asked = samples.with_file(profile)
    gone = replacement.without_old(facts, found)
    return [check.title for check in planner.plan_up(asked, gone, (samples.PV_UUID,)).checks if not check.passed]


def test_nothing_of_the_old_stack_is_in_the_way_of_the_new_one() -> None:
    assert failed(up()) == []
    assert failed(up(), "loop_device: /dev/loop7") == []


def test_what_will_still_be_wrong_is_found_before() -> None:
    facts = up()
    inactive = replace(facts.vgs[0], lvs=(replace(samples.ORIGIN, attr="-wi-------"), *facts.vgs[0].lvs[1:]))
    exposed = replace(samples.DIRECTORY, filesystem="tmpfs")
    elsewhere = replace(facts, looked=replace(facts.looked, directories={samples.FILE: exposed}))

    assert failed(replace(facts, vgs=(inactive,))) == ["vg0/system is active"]
    assert failed(elsewhere) == ["filesystem of /srv/space can hold a backing file"]


@pytest.mark.parametrize("devices", [("/dev/loop7",), ("/dev/sda2",)])
def test_the_extents_of_the_old_snapshot_are_free_again_and_those_lent_are_not(devices: tuple[str, ...]) -> None:
    facts = up()
    taken = samples.snapshot_lv(devices=devices)
    group = replace(facts.vgs[0], lvs=(samples.ORIGIN, taken))
    facts = replace(facts, vgs=(group,))

    (gone,) = replacement.without_old(facts, find(samples.TARGET, facts)).vgs

    on_disk = 16 if devices == ("/dev/sda2",) else 0
    assert [pv.allocated_extents for pv in gone.pvs] == [2600 - on_disk]
    assert gone.free_extents == 2400 + on_disk
    assert gone.lvs == (samples.ORIGIN,)


def test_of_a_group_that_lacks_the_lent_pv_nothing_is_foreseen() -> None:
    missing = samples.lent_pv(device="[unknown]", missing=True)
    facts = samples.facts(samples.vg(pvs=(samples.DISK, missing), missing_pv_count=1))

    assert not replacement.is_foreseeable(find(samples.TARGET, facts, samples.record(samples.EARLIER_BOOT)))
    assert not replacement.is_foreseeable(find(samples.TARGET, samples.facts(samples.merging())))
