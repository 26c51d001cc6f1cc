"""Whether writes to a backing file end up on an origin, and by way of which snapshots. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

from lvmsnap.model.facts import Facts
from lvmsnap.model.looked import Copy, DirectoryFacts
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.plan import Check
from lvmsnap.model.target import Target
from lvmsnap.planning.lost_record import TAG

HINT = "name a path on another disk: every write to the origin would wait for itself, and the server would freeze"


def check(path: str, directory: DirectoryFacts, target: Target | None, facts: Facts) -> Check:
    """Return the check that no write to the backing file at `path` ends up on an origin."""
    what = ("backing-file-not-on-origin", path, f"{path} does not lie on the origin")
    problem = f"backing file {path} lies on the origin"
    prefixes = tuple(dm_uuid(one.vg_uuid, one.origin_uuid) for one in target.snapshots) if target else ()
    origins = {device.device_number: device.name for device in facts.dm_devices if device.uuid.startswith(prefixes)}
    if lies_on := next((origins[number] for number in directory.own_devices if number in origins), ""):
        return Check(*what, problem, passed=False, found=lies_on, hint=HINT)
    if not (led_to := next((origins[number] for number in directory.block_devices if number in origins), "")):
        return Check(*what, problem, passed=True, hint=HINT)
    by_way_of = ", ".join(_name(copy, facts) for copy in ways(directory, origins.keys()))
    wanted, is_one_enough = to_take_down(directory, origins.keys())
    names = _joined([_name(copy, facts) for copy in wanted])
    down = f"one of {names}" if is_one_enough and len(wanted) > 1 else names
    found, hint = f"{led_to}, by way of {by_way_of}", f"{HINT}; or take {down} down first"
    return Check(*what, problem, passed=False, found=found, hint=hint)


def ways(directory: DirectoryFacts, origins: Collection[str]) -> tuple[Copy, ...]:
    """Return the snapshots by way of which writes to the directory reach one of the origins' devices."""
    return tuple(copy for copy in directory.copies if _leads(copy.beneath, directory.copies, origins))


def to_take_down(directory: DirectoryFacts, origins: Collection[str]) -> tuple[tuple[Copy, ...], bool]:
    """Return the snapshots to take down so that no write reaches the origins, and whether any one of them is enough."""
    found, own = ways(directory, origins), directory.own_devices
    alone = tuple(copy for copy in found if not _leads(own, [one for one in directory.copies if one != copy], origins))
    return (alone, True) if alone else (tuple(copy for copy in found if copy.origin in own), False)


def _leads(devices: Collection[str], copies: Collection[Copy], to: Collection[str]) -> bool:
    """Whether writes to `devices` cause writes to one of the devices `to`."""
    reached = set(devices)
    while more := [copy for copy in copies if copy.origin in reached and not reached.issuperset(copy.beneath)]:
        reached.update(*(copy.beneath for copy in more))
    return not reached.isdisjoint(to)


def _name(copy: Copy, facts: Facts) -> str:
    """Return a snapshot's name, VG/LV, and the profile that its tag names."""
    device = next((device for device in facts.dm_devices if device.device_number == copy.cow), None)
    uuid = device.uuid.removesuffix("-cow") if device else ""
    lv = next((lv for vg in facts.vgs for lv in vg.lvs if dm_uuid(vg.uuid, lv.uuid) == uuid), None)
    if lv is None:
        return device.name if device else f"the snapshot of device {copy.cow}"
    profiles = [match[2] for tag in lv.tags if (match := re.fullmatch(TAG, tag))]
    return f"{lv.vg}/{lv.name}" + (f" (profile {profiles[0]})" if profiles else "")


def _joined(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
