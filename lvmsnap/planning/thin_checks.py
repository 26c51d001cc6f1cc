"""What must hold before a thin snapshot is taken, which shares the thin pool of its origin. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lvmsnap.model.facts import LogicalVolume, VolumeGroup
from lvmsnap.model.plan import Check
from lvmsnap.model.profile import Profile, Volume
from lvmsnap.model.target import PoolSpace
from lvmsnap.planning import pools
from lvmsnap.planning.sizing import human

OWN_SPACE = "give `size`: the snapshot then has a space of its own in the group"


def run(
    profile: Profile, volume: Volume, space: PoolSpace, vg: VolumeGroup, autoextend_percent: int
) -> Iterator[Check]:
    """Yield the checks of the pool, and of what the profile says that makes no sense in one.

    In a pool that is fuller than `autoextend_percent` LVM makes no volume.
    """
    name = f"{vg.name}/{space.pool}"
    if pool := vg.lv(space.pool):
        yield from _pool(name, pool, vg, profile.overflow.warn_percent, autoextend_percent)
    own = [f"{vg.name}/{lv.name}" for lv in vg.lvs if lv.origin == volume.origin and not lv.is_thin]
    why = "has a space of its own: LVM would not hold the filesystem still then, and show it half-written"
    hint = f"wait until it is removed; or {OWN_SPACE}"
    found = f"{own[0]} {why}" if own else ""
    yield Check(f"{vg.name}/{volume.origin} has thin snapshots alone", not own, found, hint)
    backing = profile.backing_file(vg.name)
    why = "lends space to its group: if the pool grew onto that, it could not be given back"
    hint = f"leave out `backing_file`, which a thin snapshot has no use for; or {OWN_SPACE}"
    yield Check(f"no file is lent beside {name}", backing is None, f"{backing.path} {why}" if backing else "", hint)
    alone = not profile.is_cut
    found = "" if alone else "thin snapshots of several volumes are of several instants: a held origin breaks its pool"
    title = f"the snapshot of {vg.name}/{volume.origin} may be of an instant of its own"
    yield Check(title, alone, found, f"{OWN_SPACE}, at one instant with the others; or write `consistent: false`")
    found = "" if volume.chunk_size_bytes is None else "a thin snapshot has the chunks of its pool"
    title = f"no chunk_size is given for the snapshot of {vg.name}/{volume.origin}"
    yield Check(title, not found, found, f"leave out `chunk_size`; or {OWN_SPACE}")


def _pool(
    name: str, pool: LogicalVolume, vg: VolumeGroup, warn_percent: int, autoextend_percent: int
) -> Iterator[Check]:
    trouble = pools.trouble(pool)
    yield Check(f"thin pool {name} takes writes", not trouble, trouble, f"see lvs -a {vg.name}, and lvmthin(7)")
    fill = pools.fill_of(pool)
    if trouble or fill is None:
        return
    found = f"{fill.percent:.0f} % of its {fill.part} used"
    if fill.percent > autoextend_percent:
        found += f", more than thin_pool_autoextend_threshold in lvm.conf, {autoextend_percent} %"
        yield Check(f"LVM makes a volume in {name}", False, found, f"lvextend {name}; or {OWN_SPACE}")
        return
    promised = pools.promised_bytes(pool, vg)
    found += f"; its volumes have {human(promised)} together, it has {human(pool.size_bytes)}"
    hint = f"when it is full, the snapshot is lost and so is what is written to its volumes: lvextend {name}"
    yield Check(f"thin pool {name} has room", True, found, hint, warning=fill.percent >= warn_percent)
