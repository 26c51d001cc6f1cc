"""Whether a power cut could keep this machine from booting, or make it boot from a snapshot. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lvmsnap.model.facts import Facts
from lvmsnap.model.plan import Check
from lvmsnap.model.profile import BackingFile, Volume

HINT = "lvmsnap install-boot makes the boot repair the group"


def check(backing: BackingFile, facts: Facts) -> Iterator[Check]:
    """Yield the check that the machine still boots after a power cut, if the boot needs the file's group at all.

    Only the root filesystem's group is refused, whichever of its LVs is the origin: at boot LVM activates no LV of a
    group with a missing PV, and the boot would end in an emergency shell, without a network.
    """
    needed = {place: lv for place, (vg, lv) in boot_volumes(facts).items() if vg == backing.vg}
    if not needed:
        return
    what = ("boot-survives", backing.vg, f"the boot survives a power cut while {backing.vg} has the file")
    problem = f"the boot may fail after a power cut while {backing.vg} has the file"
    if facts.looked.boot_recovery:
        yield Check(*what, problem, passed=True, found="boot recovery is installed")
        return
    places = ", ".join(sorted(needed))
    if "/" in needed and not backing.accept_boot_risk:
        hint = f"{HINT}; --accept-boot-risk, or `accept_boot_risk: true`, accepts the risk"
        found = "the root filesystem is in that group, and boot recovery is not installed"
        yield Check(*what, problem, passed=False, found=found, hint=hint)
        return
    found = f"boot recovery is not installed, and {places} would not be mounted"
    yield Check(*what, problem, passed=True, found=found, hint=HINT, warning=True)


def check_origin(volume: Volume, facts: Facts) -> Iterator[Check]:
    """Yield the check that the boot cannot mistake the snapshot for an origin that it looks up by UUID or LABEL.

    After a power cut LVM activates both, and for a moment the links in /dev/disk/by-uuid may point to the snapshot.
    """
    looked = facts.looked.origins.get((volume.vg, volume.origin))
    shared = [tag for tag in looked.tags if tag in facts.looked.boot_tags] if looked else []
    if not shared:
        return
    what = ("boot-takes-origin", volume.path, f"no boot can mistake the snapshot for {volume.path}")
    problem = f"after a power cut the boot may mistake the snapshot for {volume.path}"
    if facts.looked.boot_recovery:
        yield Check(*what, problem, passed=True, found="boot recovery is installed")
        return
    found = f"the boot looks for {' and '.join(shared)}, and the snapshot has the same"
    hint = "lvmsnap install-boot makes the boot remove the snapshot before LVM activates it"
    yield Check(*what, problem, passed=True, found=found, hint=hint, warning=True)


def boot_volumes(facts: Facts) -> dict[str, tuple[str, str]]:
    """Return the (VG, LV) of each mountpoint that the boot needs: the root filesystem's, and those in fstab."""
    by_number = {lv.device_number: (vg.name, lv.name) for vg in facts.vgs for lv in vg.lvs if lv.device_number}
    mounted = {mount.mountpoint: by_number.get(mount.device_number) for mount in facts.mounts}
    return {place: lv for place in facts.boot_mountpoints if (lv := mounted.get(place))}
