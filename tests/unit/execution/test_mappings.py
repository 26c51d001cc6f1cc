"""LUKS mappings, looked at: whether one is what was meant, and what may be seen of what is in it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lvmsnap.execution import mappings, places, verification
from lvmsnap.model.condition import MappingOpen, SnapshotMounted, UdevRuleWritten
from lvmsnap.model.facts import DmDevice
from lvmsnap.model.looked import Gate, Superblock
from lvmsnap.model.target import LuksMapping
from lvmsnap.planning import luks_actions
from lvmsnap.planning.identify import FoundSnapshot
from lvmsnap.system import ancestors, device_mapper, mapping_users, mount_table, mount_users, superblock
from lvmsnap.system.ancestors import Way
from tests import samples
from tests.samples import KEY_FILE, MAPPING_UUID, mapping

OPEN = MappingOpen("lvmsnap-nightly", MAPPING_UUID, "vg0", samples.SNAPSHOT, KEY_FILE, is_examined=True)
SNAPSHOT = DmDevice("254:3", "vg0-system--lvmsnap--nightly", "LVM-x", False)
WHOLE = Superblock(0, needs_other_device=False, has_journal=True, is_clean=False)
LUKS = LuksMapping("lvmsnap-nightly", MAPPING_UUID, KEY_FILE)


class Kernel:
    """The devices, and what is on the mapping."""

    def __init__(self, patch: pytest.MonkeyPatch, *devices: DmDevice) -> None:
        self.devices, self.at, self.superblock, self.is_pv = devices, "254:20", WHOLE, False
        patch.setattr(device_mapper, "devices", lambda: self.devices)
        patch.setattr(mappings, "_number_at", lambda _: self.at)
        patch.setattr(mappings, "pv_uuid", lambda _: "uuid" if self.is_pv else "")
        patch.setattr(superblock, "read", lambda _: self.superblock)
        patch.setattr(device_mapper, "snapshot_status", lambda *_: None)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch, SNAPSHOT, mapping())


def unmet(condition: MappingOpen = OPEN) -> str:
    return verification.unmet(condition, samples.TARGET)


def test_a_mapping_on_the_snapshot_alone_with_a_sound_filesystem_is_what_was_meant(kernel: Kernel) -> None:
    assert unmet() == ""
    assert verification.remains(OPEN, samples.TARGET, "dmsetup remove") != ""
    kernel.devices = (SNAPSHOT,)
    assert verification.remains(OPEN, samples.TARGET, "dmsetup remove") == ""


@pytest.mark.parametrize(
    "device",
    [
        mapping(beneath=("254:0",)),
        mapping(beneath=("254:3", "254:0")),
        mapping(has_table=False),
        mapping("CRYPT-LUKS2-00000000000000000000000000000000-lvmsnap-nightly"),
    ],
)
def test_a_mapping_that_lies_elsewhere_or_is_half_made_is_not(kernel: Kernel, device: DmDevice) -> None:
    kernel.devices = (SNAPSHOT, device)

    assert "does not lie on vg0/system-lvmsnap-nightly alone" in unmet()


def test_what_is_in_it_is_not_shown_where_it_is_unknown_or_not_whole_or_its_name_leads_elsewhere(
    kernel: Kernel,
) -> None:
    kernel.at = "254:9"
    assert unmet() == "/dev/mapper/lvmsnap-nightly is another device"
    kernel.at = "254:20"
    for found, words in (
        (None, "no filesystem that is known to work"),
        (replace(WHOLE, needs_other_device=True), "on another device"),
        (replace(WHOLE, has_journal=False), "was not cleanly unmounted"),
    ):
        kernel.superblock = found  # type: ignore[assignment]
        assert words in unmet()
        # What was examined before, or is not to be mounted, is the device's user's business.
        assert unmet(replace(OPEN, is_examined=False)) == ""
    kernel.is_pv = True
    assert "volume group of its own" in unmet(replace(OPEN, is_examined=False))


def test_one_that_was_opened_on_something_else_is_closed_at_once(kernel: Kernel) -> None:
    (_, action) = luks_actions.opening(FoundSnapshot(replace(samples.TAKEN, luks=LUKS)))

    assert places.take_back(action, samples.TARGET, ()) == ()
    kernel.devices = (SNAPSHOT, mapping(beneath=("254:0",)))
    assert places.take_back(action, samples.TARGET, ()) == action.undo


def test_a_mount_is_the_snapshots_where_it_is_of_the_mapping_with_the_uuid(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    condition = SnapshotMounted(samples.MOUNTPOINT, "vg0", samples.SNAPSHOT, MAPPING_UUID)
    monkeypatch.setattr(mount_table, "mounts", lambda: (samples.mounted(device_number="254:20"),))

    assert verification.unmet(condition, samples.TARGET) == ""
    kernel.devices = (SNAPSHOT, mapping("CRYPT-LUKS2-00000000000000000000000000000000-lvmsnap-nightly"))
    assert "does not show the snapshot" in verification.unmet(condition, samples.TARGET)


def test_the_way_to_the_key_file_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mount_table, "mounts", lambda: ())
    monkeypatch.setattr(ancestors, "walk", lambda path, _: Way(path, (Gate(path, 1000, 0, 0o755),), exists=True))

    assert places.exposed(OPEN, samples.TARGET) == "/root belongs to user 1000"
    assert places.exposed(replace(OPEN, key_file=""), samples.TARGET) == ""


def test_a_rule_is_there_where_the_file_has_it_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "rules.d/12-lvmsnap-nightly.rules"
    rule = luks_actions.rule_text(LUKS)
    assert "cannot be read" in mappings.rule_unmet(UdevRuleWritten(str(path), rule))
    argv = ("sh", "-c", luks_actions.WRITE_SCRIPT.replace("/run/udev/control", "/nowhere"), "sh", str(path), rule)

    assert os.spawnvp(os.P_WAIT, "sh", argv) == 0
    assert mappings.rule_unmet(UdevRuleWritten(str(path), rule)) == ""
    assert f'ATTR{{dm/uuid}}=="{MAPPING_UUID}"' in path.read_text()
    path.write_text(f"{rule}\nmore\n")
    assert "does not have the rule" in mappings.rule_unmet(UdevRuleWritten(str(path), rule))


def test_who_keeps_the_mapping_busy_is_named_and_the_mapping_itself_is_nobody(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def pins(_mountpoint: str, number: str = "", **_: Any) -> tuple[str, ...]:
        asked.append(number)
        of = {"254:20": ("pid 7 (dd): /dev/dm-20",), "254:3": ("device lvmsnap-nightly above it", "device x above it")}
        return of[number]

    monkeypatch.setattr(mount_users, "pins", pins)
    monkeypatch.setattr(mount_users, "holders", pins)
    snapshot = replace(samples.TAKEN, luks=LUKS)

    for named in (mapping_users.pins(snapshot, samples.MOUNTPOINT), mapping_users.holders(snapshot)):
        assert named == ("pid 7 (dd): /dev/dm-20", "device x above it")
    kernel.devices = (SNAPSHOT,)
    assert mapping_users.pins(snapshot, samples.MOUNTPOINT)[0] == "device lvmsnap-nightly above it"
    assert asked[-1] == "254:3"
