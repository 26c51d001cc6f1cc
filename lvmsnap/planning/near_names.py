"""Which origin was probably meant, if LVM has none of the given name. Pure."""

from __future__ import annotations

from lvmsnap.model.facts import Facts, VolumeGroup
from lvmsnap.model.near import nearest

MOST_LISTED = 12


def of_group(name: str, origins: tuple[str, ...], facts: Facts) -> str:
    """Return a hint for a group that does not exist, in which `origins` were wanted; "" if nothing is similar."""
    origin = origins[0] if origins else ""
    swapped = facts.vg(origin)
    if swapped and swapped.lv(name):
        return f"the group comes first: {origin}/{name}"
    near = nearest(name, [group.name for group in facts.vgs])
    found = facts.vg(near) if near else None
    if found and found.lv(origin):
        return f"did you mean {near}/{origin}?"
    return _elsewhere(origin, facts) or (f"did you mean {near}?" if near else "")


def of_volume(origin: str, vg: VolumeGroup, facts: Facts) -> str:
    """Return a hint for a volume that its group does not have; "" if nothing is similar."""
    near = nearest(origin, volumes(vg))
    return f"did you mean {vg.name}/{near}?" if near else _elsewhere(origin, facts)


def volumes(vg: VolumeGroup) -> list[str]:
    """Return the names of a group's volumes that may be meant: no hidden LVs, no snapshots, no thin pools."""
    return [lv.name for lv in vg.lvs if not lv.is_hidden and lv.attr[:1] not in ("s", "S", "t")]


def listed(vg: VolumeGroup) -> str:
    """Return the names of those volumes for a reader; if there are many, only the first."""
    names = volumes(vg)
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return f"{', '.join(names[:MOST_LISTED]) or 'none'}{more}"


def _elsewhere(origin: str, facts: Facts) -> str:
    groups = [group.name for group in facts.vgs if origin in volumes(group)]
    return f"did you mean {groups[0]}/{origin}?" if len(groups) == 1 else ""
