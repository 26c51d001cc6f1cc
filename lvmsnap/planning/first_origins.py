"""Which volumes `lvmsnap init` offers, and which one an argument on its command line means. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from lvmsnap.model.errors import UsageError
from lvmsnap.model.facts import Facts, LogicalVolume, Mount, VolumeGroup, mount_of, top_mount
from lvmsnap.model.first_profile import Offer, Offers
from lvmsnap.model.lvm_names import lvm_name
from lvmsnap.model.near import nearest
from lvmsnap.model.paths import RUN_DIR, is_within
from lvmsnap.planning import origin_kinds
from lvmsnap.planning.lent_pvs import available_extents
from lvmsnap.planning.lost_record import TAG
from lvmsnap.planning.luks import LUKS_FILESYSTEM

MAPPER = "/dev/mapper/"
LIST = "lvmsnap init lists the volumes"


def offers(facts: Facts, types: Mapping[str, str]) -> Offers:
    """Return the volumes to choose from; `types` maps device numbers to the filesystems on them.

    LVM's hidden volumes and lvmsnap's own snapshots are not mentioned at all.
    """
    shown = [(vg, lv) for vg in facts.vgs for lv in vg.lvs if not lv.is_hidden and not _is_own(lv)]
    others = {f"{vg.name}/{lv.name}": why for vg, lv in shown if (why := _why_not(vg, lv, types))}
    mounts = _mounts_by_volume(facts)
    offered = (_offer(vg, lv, mounts, facts, types) for vg, lv in shown if f"{vg.name}/{lv.name}" not in others)
    return Offers(tuple(offered), tuple(others.items()))


def devices(facts: Facts) -> tuple[str, ...]:
    """Return the numbers of all devices whose content an offer shows: volumes, and open LUKS containers."""
    lvs = [lv for vg in facts.vgs for lv in vg.lvs if lv.is_active and lv.device_number and not lv.is_hidden]
    mappings = (facts.luks_mapping_of(lv.device_number) for lv in lvs)
    return (*(lv.device_number for lv in lvs), *(one.device_number for one in mappings if one))


def _is_own(lv: LogicalVolume) -> bool:
    return any(re.fullmatch(TAG, tag) for tag in lv.tags)


def _why_not(vg: VolumeGroup, lv: LogicalVolume, types: Mapping[str, str]) -> str:
    check = origin_kinds.check(lv, vg)
    if not check.passed:
        return check.found.removeprefix("it is ")
    return "swap" if types.get(lv.device_number) == "swap" else ""


def _offer(
    vg: VolumeGroup, lv: LogicalVolume, mounts: Mapping[str, list[str]], facts: Facts, types: Mapping[str, str]
) -> Offer:
    free_bytes = available_extents(vg) * vg.extent_size_bytes
    places = tuple(dict.fromkeys(mounts.get(f"{vg.name}/{lv.name}", ())))
    return Offer(f"{vg.name}/{lv.name}", lv.size_bytes, _holds(lv, facts, types), places, free_bytes)


def _holds(lv: LogicalVolume, facts: Facts, types: Mapping[str, str]) -> str:
    if not lv.is_active:
        return "(inactive)"
    kind = types.get(lv.device_number, "")
    if kind == "LVM2_member":
        return "a volume group"
    if kind != LUKS_FILESYSTEM:
        return kind or "no filesystem"
    mapping = facts.luks_mapping_of(lv.device_number)
    return f"LUKS: {types.get(mapping.device_number) or 'no filesystem'}" if mapping else "LUKS, closed"


def mountpoints(lv: LogicalVolume, facts: Facts) -> tuple[str, ...]:
    """Return where a whole volume, or the LUKS container in it, is mounted; not lvmsnap's own mounts."""
    return tuple(dict.fromkeys(_mounts_by_volume(facts).get(f"{lv.vg}/{lv.name}", ())))


def _mounts_by_volume(facts: Facts) -> dict[str, list[str]]:
    """Return the mountpoints of each mounted volume, by VG/LV."""
    found: dict[str, list[str]] = {}
    for mount in facts.mounts:
        if mount.root == "/" and not is_within(mount.mountpoint, RUN_DIR):
            for lv in _volumes_of(mount, facts):
                found.setdefault(f"{lv.vg}/{lv.name}", []).append(mount.mountpoint)
    return found


# --- what a word means ------------------------------------------------------------------------------------------------


def resolved(word: str, facts: Facts, real_path: str = "", device_number: str = "") -> LogicalVolume:
    """Return the volume that a word means: VG/LV, a device, or a mountpoint. Raises UsageError.

    `real_path` is the resolved path of a word that is one, `device_number` that of the device there, "" for none.
    """
    if not word.startswith("/"):
        return _named(word, word, facts)
    if device_number:
        found = next(_volumes_on(device_number, facts), None)
        if found is None:
            raise _unknown(f"{word} is not a logical volume", word, facts)
        return found
    if name := name_of_device(word):
        return _named(name, word, facts)
    return _mounted(word, real_path or word, facts)


def name_of_device(path: str) -> str:
    """Return VG/LV for one of LVM's paths below /dev, whether or not the device exists; "" for any other path."""
    if path.startswith(MAPPER):
        return lvm_name(path.removeprefix(MAPPER))
    name = path.removeprefix("/dev/")
    return name if name != path and name.count("/") == 1 else ""


def named_by_mount(word: str, real_path: str, mounts: tuple[Mount, ...]) -> str:
    """Return VG/LV of the volume that a word means, judging by names and mounts alone: LVM is not queried.

    Raises UsageError.
    """
    if not word.startswith("/"):
        return word
    mount = top_mount(mounts, real_path)
    name = name_of_device(word) or (name_of_device(mount.source) if mount else "")
    if name:
        return name
    raise UsageError(f"cannot tell which volume {word} is without querying LVM", hint="give it as VG/LV")


def _named(name: str, word: str, facts: Facts) -> LogicalVolume:
    vg, slash, lv = name.partition("/")
    group = facts.vg(vg)
    found = group.lv(lv) if group else None
    if found:
        return found
    if not slash:
        raise _unknown(f"{word or repr(word)} is not of the form VG/LV", word, facts)
    raise _unknown(f"there is no volume {name}" if group else f"there is no volume group {vg}", name, facts)


def _mounted(word: str, real_path: str, facts: Facts) -> LogicalVolume:
    mount = top_mount(facts.mounts, real_path)
    if mount is None:
        raise _not_mounted(word, real_path, facts)
    found = next(_volumes_of(mount, facts), None)
    if found is None:
        hint = f"LVM snapshots logical volumes alone; {LIST}"
        raise UsageError(f"{mount.source}, mounted at {word}, is not a logical volume", hint=hint)
    return found


def _not_mounted(word: str, real_path: str, facts: Facts) -> UsageError:
    mount = mount_of(real_path, facts.mounts)
    if mount and mount.mountpoint != "/" and next(_volumes_of(mount, facts), None):
        message = f"nothing is mounted at {word}, which is in {mount.mountpoint}"
        return UsageError(message, hint=f"lvmsnap init {mount.mountpoint}; {LIST}")
    return _unknown(f"nothing is mounted at {word}", word, facts)


def _volumes_of(mount: Mount, facts: Facts) -> Iterator[LogicalVolume]:
    """Yield the volume behind a mount; a btrfs mount lacks its device number, but names the device."""
    yield from _volumes_on(mount.device_number, facts)
    if mount.device_number.startswith("0:") and (name := name_of_device(mount.source)):
        yield from (lv for vg in facts.vgs for lv in vg.lvs if f"{vg.name}/{lv.name}" == name)


def _volumes_on(device_number: str, facts: Facts) -> Iterator[LogicalVolume]:
    """Yield the volume with this device, or whose LUKS container is open as this device."""
    opened = {number for one in facts.dm_devices if one.device_number == device_number for number in one.beneath}
    numbers = {device_number, *opened} - {""}
    yield from (lv for vg in facts.vgs for lv in vg.lvs if lv.device_number in numbers)


def _unknown(message: str, word: str, facts: Facts) -> UsageError:
    near = _nearest(word, _words(facts))
    return UsageError(message, hint=f"did you mean {near}? {LIST}" if near else LIST)


def _nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word most similar to this one, "" if none is; a bare LV name matches its VG/LV."""
    names = list(dict.fromkeys(known))
    same = [name for name in names if name.rpartition("/")[2] == word.rpartition("/")[2]]
    return same[0] if same else nearest(word, names)


def _words(facts: Facts) -> Iterator[str]:
    yield from (f"{vg.name}/{lv.name}" for vg in facts.vgs for lv in vg.lvs if not lv.is_hidden and not _is_own(lv))
    yield from _places(facts)


def _places(facts: Facts) -> Iterator[str]:
    yield from (mount.mountpoint for mount in facts.mounts if next(_volumes_of(mount, facts), None))
