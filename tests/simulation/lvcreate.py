"""The stages of lvcreate --snapshot on the fake machine: what it leaves where it is killed half-way."""

from __future__ import annotations

from lvmsnap.model.lvm_names import dm_name
from tests.simulation.parts import Lv
from tests.simulation.system import System

# How far lvcreate --snapshot had come when it was killed.
STAGES = (
    *("created", "active", "zeroed", "real made", "real loaded", "cow made", "cow live", "loaded"),
    *("suspended", "all suspended", "committed", "resuming"),
)
# As it is when lvcreate itself gives up after it loaded its tables, and exits 5.
REVERTED = "reverted"


def revert(system: System, origin: str) -> None:
    """Give up as lvcreate does: what it loaded for the snapshot stays, the origin goes on without."""
    real, below = system.dm[dm_name("vg0", origin) + "-real"], system.dm[dm_name("vg0", origin)]
    real.resume()
    below.loaded = None


def _layers(snapshots: list[Lv]) -> list[str]:
    names = [dm_name("vg0", snapshot.name) for snapshot in snapshots]
    return [*names, *(f"{name}-cow" for name in names)]


def to_stage(system: System, lv: Lv, origin_name: str, stage: str) -> None:  # noqa: PLR0912  a branch a stage
    """Take the system one stage of lvcreate --snapshot further."""
    origin, name, below = system.lvs[origin_name], dm_name("vg0", lv.name), dm_name("vg0", origin_name)
    real, cow, others = f"{below}-real", f"{name}-cow", [one for one in system.snapshots(origin_name) if one is not lv]
    match stage:
        case "created":
            system.add_dm(name, lv)
        case "active":
            system.dm[name].live = system.disks(lv)
        case "zeroed":
            del system.dm[name]
        case "real made":
            system.add_dm(real, origin, "-real")
        case "real loaded" if not others:
            system.dm[real].loaded, system.dm[below].loaded = system.disks(origin), (real,)
        case "cow made":
            system.add_dm(cow, lv, "-cow").loaded = system.disks(lv)
        case "cow live":
            system.dm[cow].resume()
            system.add_dm(name, lv)
        case "loaded":
            system.dm[name].loaded = (real, cow)
        case "suspended":
            system.dm[below].suspended = True
        case "all suspended":
            for device in (real, *_layers(others)):
                system.dm[device].suspended = True
        case "committed":
            lv.origin = origin_name
        case "resuming":
            for device in (real, *_layers(others), name):
                system.dm[device].resume()
