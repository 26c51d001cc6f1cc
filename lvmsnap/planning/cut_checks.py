"""Whether all snapshots of a profile can be taken at one instant: nothing may depend on a held origin. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lvmsnap.model.facts import Facts, LogicalVolume
from lvmsnap.model.looked import LvmPart
from lvmsnap.model.plan import Check
from lvmsnap.model.profile import Profile

GIVE_UP = "or write `consistent: false` to take the snapshots one after the other"


def run(profile: Profile, facts: Facts) -> Iterator[Check]:
    """Yield the checks of the cut; `thin_checks` has the one that no snapshot is thin."""
    if not profile.is_cut:
        return
    origins = _origins(profile, facts)
    bearing = {origin.name: part for origin in origins if (part := lvm_part_on(origin, facts))}
    is_able = len(bearing) <= 1
    found = "" if is_able else ", ".join(f"{part.path} lies on {name}" for name, part in bearing.items())
    hint = f"leave out all but one of these origins, {GIVE_UP}"
    title, problem = "LVM can work while all origins are suspended", "LVM cannot work while all origins are suspended"
    yield Check("instant-lvm-works", "", title, problem, is_able, found, hint)
    beneath = _beneath_pvs(profile, origins, facts)
    hint = f"leave out the origin that a PV lies on, {GIVE_UP}"
    title, problem = (
        "LVM can read its PVs while all origins are suspended",
        "LVM cannot read its PVs while all origins are suspended",
    )
    yield Check("instant-pvs-readable", "", title, problem, not beneath, beneath, hint)
    group = facts.looked.bound_to_group
    hint = f"in a systemd unit: ProtectControlGroups=no; {GIVE_UP}"
    found = f"its process could not leave {group}, and would be killed with it" if group else ""
    title, problem = "the dead man's switch can be armed", "the dead man's switch cannot be armed"
    yield Check("instant-switch", "", title, problem, not group, found, hint)


def lvm_part_on(origin: LogicalVolume, facts: Facts) -> LvmPart | None:
    """Return something that LVM's commands need and that lies on the origin, None if nothing does."""
    number = origin.device_number
    return next((part for part in facts.looked.lvm_parts if number and number in part.block_devices), None)


def _origins(profile: Profile, facts: Facts) -> list[LogicalVolume]:
    groups = ((facts.vg(volume.vg), volume.origin) for volume in profile.volumes)
    return [origin for vg, name in groups if vg and (origin := vg.lv(name))]


def _beneath_pvs(profile: Profile, origins: list[LogicalVolume], facts: Facts) -> str:
    """Say which origin a PV of the profile's groups lies on, "" if none does."""
    for origin in origins:
        for group in profile.groups:
            if origin.device_number and origin.device_number in facts.looked.groups[group].beneath_pvs:
                return f"a PV of {group} lies on {origin.vg}/{origin.name}"
    return ""
