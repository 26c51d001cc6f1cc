"""Others who are there too: a host that sees the same disks, and somebody who merges our snapshot into its origin."""

from __future__ import annotations

from lvmsnap.model.lvm_names import dm_name
from tests import samples
from tests.simulation.system import System
from tests.simulation.world import OURS, World


def of_second_host(world: World) -> World:
    """Return what another host has: the same disks, none of the first one's files, devices, mounts and records."""
    seen = world.with_faults()
    system = seen.system
    system.host, system.boots = samples.OTHER_HOST, 77
    system.files, system.loops, system.dm, system.mounts = {}, {}, {}, []
    system.directories = {}
    seen.records = {}
    return seen


def begin_merge(world: World) -> World | None:
    """Return the world with our snapshot about to be merged (lvconvert --merge); None where there is none."""
    begun = world.with_faults()
    ours = [lv for lv in begun.system.lvs.values() if OURS in lv.tags and lv.origin]
    for lv in ours:
        lv.merging = True
    return begun if ours else None


def end_merge(world: World) -> World:
    """Return the world with the merge done: whoever had it mounted let go of it."""
    ended = world.with_faults()
    system: System = ended.system
    for lv in [lv for lv in system.lvs.values() if lv.merging]:
        name, origin = dm_name("vg0", lv.name), system.lvs[lv.origin]
        system.mounts = [mount for mount in system.mounts if mount[1] != name]
        del system.lvs[lv.name]
        for device in (name, f"{name}-cow"):
            system.dm.pop(device, None)
        system.activate(origin)
        if not system.snapshots(origin.name):
            system.dm.pop(f"{dm_name('vg0', origin.name)}-real", None)
    system.settle()
    return ended
