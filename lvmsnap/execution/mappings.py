"""Verifies, by the kernel alone, that a LUKS mapping is the one intended, and what is in it. Changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

from lvmsnap.model.condition import MappingOpen, UdevRuleWritten
from lvmsnap.model.facts import DmDevice
from lvmsnap.model.lvm_names import dm_name
from lvmsnap.planning import filesystems
from lvmsnap.system import block_devices, device_mapper, superblock
from lvmsnap.system.path_facts import pv_uuid


def rule_unmet(condition: UdevRuleWritten) -> str:
    """Say why the rule is not in place, "" if it is."""
    try:
        text = Path(condition.path).read_text(encoding="utf-8")
    except OSError as error:
        return f"{condition.path} cannot be read: {error.strerror}"
    return "" if text == f"{condition.text}\n" else f"{condition.path} does not have the rule in it"


def mapping_unmet(condition: MappingOpen) -> str:
    """Say why the mapping is not the one intended, or why its content must not be used; "" if all is well."""
    device = number_of(condition)
    if not device:
        return f"{condition.name} does not exist, or does not lie on {condition.vg}/{condition.snapshot} alone"
    path = f"/dev/mapper/{condition.name}"
    if _number_at(path) != device:
        return f"{path} is another device"
    if pv_uuid(path):
        return "it holds a volume group of its own, which LVM would see"
    return filesystems.why_not_mounted(superblock.read(path)) if condition.is_examined else ""


def is_there(dm_uuid: str) -> bool:
    """Whether a device with that device-mapper UUID exists."""
    return any(device.uuid == dm_uuid for device in device_mapper.devices())


def number_of(condition: MappingOpen) -> str:
    """Return the mapping's device number, "" if there is no live one on the snapshot."""
    devices = device_mapper.devices()
    snapshot = next((one.device_number for one in devices if one.name == dm_name(condition.vg, condition.snapshot)), "")
    return next((one.device_number for one in devices if _is_on(one, condition.dm_uuid, snapshot)), "")


def _is_on(device: DmDevice, dm_uuid: str, snapshot: str) -> bool:
    return device.uuid == dm_uuid and device.has_table and device.beneath == (snapshot,)


def _number_at(path: str) -> str:
    try:
        return block_devices.device_number(os.stat(path).st_rdev)
    except OSError:
        return ""
