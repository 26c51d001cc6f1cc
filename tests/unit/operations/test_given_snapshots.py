"""What a command was given, and whether it is still the same when it has ended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvmsnap.model.facts import SnapshotStatus
from lvmsnap.model.target import Include, Loss, LuksMapping, MountTarget
from lvmsnap.operations import given_snapshots
from lvmsnap.planning.state import OVERFLOWED
from lvmsnap.system import device_mapper, mount_table
from tests import samples
from tests.unit.operations.running import LATER, OWN
from tests.unit.planning import test_growth


def test_a_snapshot_whose_group_was_renamed_shows_what_it_showed(monkeypatch: pytest.MonkeyPatch) -> None:
    target = samples.target(dm_uuid=OWN)
    fine = SnapshotStatus(False, 1, 100, OWN)
    monkeypatch.setattr(mount_table, "mounts", lambda: (samples.mounted(),))
    monkeypatch.setattr(device_mapper, "snapshot_status", lambda _name, uuid: fine if uuid == OWN else None)
    monkeypatch.setattr(device_mapper, "devices", lambda: (samples.dm("vg0-system--lvmsnap--nightly", OWN),))
    before = given_snapshots.look(target)

    monkeypatch.setattr(device_mapper, "devices", lambda: (samples.dm("new-system--lvmsnap--nightly", OWN),))
    assert given_snapshots.why_lost(before, target) is None
    monkeypatch.setattr(device_mapper, "devices", lambda: (samples.dm("vg0-system--lvmsnap--nightly", LATER),))
    assert given_snapshots.why_lost(before, target) == Loss("it was removed or replaced")


def test_what_is_included_and_was_hidden_does_not_count_either(monkeypatch: pytest.MonkeyPatch) -> None:
    target, facts = test_growth.a_pair()
    where = MountTarget("/t/boot", "none", ("bind",), make_directory=False, remove_directory=False)
    target = replace(target, includes=(Include("/boot", "8:1", "/", where),))
    fine = SnapshotStatus(False, 1, 100, OWN)
    shown = replace(samples.mounted("/t/boot", "8:1"), mount_id=77)
    monkeypatch.setattr(device_mapper, "snapshot_status", lambda *_: fine)
    monkeypatch.setattr(device_mapper, "devices", tuple)
    monkeypatch.setattr(mount_table, "mounts", lambda: (*facts.mounts, shown))
    before = given_snapshots.look(target)

    assert (given_snapshots.why_hidden(before), given_snapshots.why_lost(before, target)) == (None, None)
    monkeypatch.setattr(mount_table, "mounts", lambda: facts.mounts)
    lost = Loss("/t/boot was unmounted or mounted over")
    assert (given_snapshots.why_hidden(before), given_snapshots.why_lost(before, target)) == (lost, lost)


def test_of_several_snapshots_the_one_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    target, facts = test_growth.a_pair()
    states = {one.dm_uuid: SnapshotStatus(False, 1, 100, one.dm_uuid) for one in target.snapshots}
    monkeypatch.setattr(device_mapper, "snapshot_status", lambda _name, uuid: states.get(uuid))
    monkeypatch.setattr(device_mapper, "devices", tuple)
    monkeypatch.setattr(mount_table, "mounts", lambda: facts.mounts)
    before = given_snapshots.look(target)

    assert given_snapshots.why_lost(before, target) is None
    states[target.snapshots[1].dm_uuid] = SnapshotStatus(True, 0, 0)
    assert given_snapshots.why_lost(before, target) == Loss(OVERFLOWED, "vg0/home")


def test_a_snapshot_is_lost_with_the_luks_mapping_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    target = samples.target(dm_uuid=OWN, luks=LuksMapping("lvmsnap-nightly", samples.MAPPING_UUID))
    fine, own = SnapshotStatus(False, 1, 100, OWN), samples.dm("vg0-system--lvmsnap--nightly", OWN)
    opened = samples.mapping(beneath=(own.device_number,))
    monkeypatch.setattr(mount_table, "mounts", lambda: (samples.mounted(),))
    monkeypatch.setattr(device_mapper, "snapshot_status", lambda *_: fine)
    monkeypatch.setattr(device_mapper, "devices", lambda: (own, opened))
    before = given_snapshots.look(target)

    monkeypatch.setattr(device_mapper, "devices", lambda: (own, replace(opened, name="renamed")))
    assert given_snapshots.why_lost(before, target) is None
    others = (replace(opened, device_number="254:99"), replace(opened, beneath=("254:0",)))
    for devices in ((own,), *((own, other) for other in others)):
        monkeypatch.setattr(device_mapper, "devices", lambda devices=devices: devices)
        assert given_snapshots.why_lost(before, target) == Loss("its LUKS mapping was closed or replaced")
