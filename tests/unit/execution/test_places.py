"""The place of a step is looked at again right before it: what lies beneath the file may have changed meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvmsnap.execution import places
from lvmsnap.model.condition import LabelWritten, PVLent
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.system import block_devices, device_mapper, mount_table
from tests import samples
from tests.samples import ORIGIN_UUID, OTHER_UUID, VG_UUID

LENT = PVLent(samples.PV_UUID, samples.FILE, "vg0")
ORIGIN = replace(samples.dm("vg0-system", dm_uuid(VG_UUID, ORIGIN_UUID)), device_number="254:0")
OTHER = replace(samples.dm("vg0-other", dm_uuid(VG_UUID, OTHER_UUID)), device_number="254:5")


@pytest.fixture(autouse=True)
def system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mount_table, "mounts", lambda: ())
    monkeypatch.setattr(device_mapper, "devices", lambda: (OTHER, ORIGIN))


@pytest.mark.parametrize(
    ("beneath", "found"),
    [
        (("8:0", "254:0"), "/srv/space now lies on vg0-system, through snapshots of the devices beneath it"),
        (("8:0", "254:5"), ""),
    ],
    ids=["the origin", "another volume of its group"],
)
def test_before_space_is_lent_it_is_seen_whether_it_has_come_to_lie_on_the_origin(
    monkeypatch: pytest.MonkeyPatch, beneath: tuple[str, ...], found: str
) -> None:
    monkeypatch.setattr(block_devices, "devices_under", lambda path, _table: {"/srv/space": beneath}[path])

    assert places.exposed(LENT, samples.TARGET) == found


def test_of_what_lies_nowhere_no_place_is_looked_at() -> None:
    assert places.exposed(LabelWritten(samples.FILE, samples.PV_UUID), samples.TARGET) == ""
