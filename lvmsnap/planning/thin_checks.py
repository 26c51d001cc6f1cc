"""What must hold before a thin snapshot is taken, which shares the thin pool of its origin. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lvmsnap.model.facts import LogicalVolume, VolumeGroup
from lvmsnap.model.plan import Check
from lvmsnap.model.profile import Profile, Volume
from lvmsnap.model.target import PoolSpace
from lvmsnap.planning import pools
from lvmsnap.planning.sizing import human

OWN_SPACE = "give `size`: the snapshot then has its own CoW space in the group"


def run(
    profile: Profile, volume: Volume, space: PoolSpace, vg: VolumeGroup, autoextend_percent: int
) -> Iterator[Check]:
    """Yield the checks of the pool, and of what makes no sense in a profile with thin snapshots.

    LVM refuses to make a volume in a pool that is fuller than `autoextend_percent`.
    """
    name, origin = f"{vg.name}/{space.pool}", f"{vg.name}/{volume.origin}"
    if pool := vg.lv(space.pool):
        yield from _pool(origin, pool, vg, profile.overflow.warn_percent, autoextend_percent)
    own = [f"{vg.name}/{lv.name}" for lv in vg.lvs if lv.origin == volume.origin and not lv.is_thin]
    why = "has its own CoW space: LVM would not freeze the filesystem, and the snapshot would look half-written"
    hint = f"wait until it is removed; or {OWN_SPACE}"
    found = f"{own[0]} {why}" if own else ""
    title, problem = f"{origin} has only thin snapshots", f"{origin} has a snapshot that is not thin"
    yield Check("thin-snapshots-alone", origin, title, problem, not own, found, hint)
    backing = profile.backing_file(vg.name)
    why = "lends space to its group: if the pool grew onto it, it could not be given back"
    hint = f"leave out `backing_file`, which a thin snapshot has no use for; or {OWN_SPACE}"
    title, problem = f"no file lends space beside {name}", f"a file lends space beside {name}"
    found = f"{backing.path} {why}" if backing else ""
    yield Check("thin-no-loan", origin, title, problem, backing is None, found, hint)
    alone = not profile.is_cut
    found = (
        "" if alone else "thin snapshots of several volumes show several instants: a suspended origin breaks its pool"
    )
    title = f"the snapshot of {origin} need not be taken at the same instant as the others"
    problem = f"the snapshot of {origin} cannot be taken at the same instant as the others"
    hint = f"{OWN_SPACE}, at the same instant as the others; or write `consistent: false`"
    yield Check("thin-no-instant", origin, title, problem, alone, found, hint)
    found = "" if volume.chunk_size_bytes is None else "a thin snapshot uses its pool's chunk size"
    title = f"no chunk_size is given for the snapshot of {origin}"
    problem = f"chunk_size is given for the snapshot of {origin}"
    yield Check(
        "thin-no-chunk-size", origin, title, problem, not found, found, f"leave out `chunk_size`; or {OWN_SPACE}"
    )


def _pool(
    origin: str, pool: LogicalVolume, vg: VolumeGroup, warn_percent: int, autoextend_percent: int
) -> Iterator[Check]:
    name, trouble, hint = f"{vg.name}/{pool.name}", pools.trouble(pool), f"see lvs -a {vg.name}, and lvmthin(7)"
    title, problem = f"thin pool {name} is writable", f"thin pool {name} is not writable"
    yield Check("thin-pool-works", origin, title, problem, not trouble, trouble, hint)
    fill = pools.fill_of(pool)
    if trouble or fill is None:
        return
    found = f"{fill.percent:.0f} % of its {fill.part} used"
    if fill.percent > autoextend_percent:
        found += f", more than thin_pool_autoextend_threshold in lvm.conf, {autoextend_percent} %"
        title, problem = f"thin pool {name} accepts new volumes", f"thin pool {name} accepts no new volumes"
        hint = f"lvextend {name}; or {OWN_SPACE}"
        yield Check("thin-pool-threshold", origin, title, problem, passed=False, found=found, hint=hint)
        return
    promised = pools.promised_bytes(pool, vg)
    found += f"; its volumes total {human(promised)}, the pool {human(pool.size_bytes)}"
    hint = f"when it is full, the snapshot is lost and so is what is written to its volumes: lvextend {name}"
    title, problem, warning = f"thin pool {name} has room", f"thin pool {name} is filling", fill.percent >= warn_percent
    yield Check("thin-pool-room", origin, title, problem, passed=True, found=found, hint=hint, warning=warning)
