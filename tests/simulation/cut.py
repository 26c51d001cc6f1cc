"""The prepared cut on the fake machine: LVM's scripts step by step, and the dead man's switch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from lvmsnap.execution.dead_mans_switch import Held
from lvmsnap.model.lvm_names import dm_name
from lvmsnap.system.device_mapper import DmTarget
from tests.simulation.lvcreate import to_stage
from tests.simulation.parts import Lv
from tests.simulation.system import System

SCRIPT = "| lvm /dev/fd/0"
# How many steps of a script may have been done when LVM was killed; the longest has fewer.
MOST_STEPS = 24
REFRESH = ("real made", "real loaded", "cow made", "cow live", "loaded", "resuming")

Step = Callable[[], str]


def run(system: System, script: str, stop_after: int | None) -> tuple[int, str]:
    """Run the shell's script; LVM and whoever else is at work are killed after so many steps, where that is said."""
    for number, step in enumerate(_steps(system, script)):
        if number == stop_after:
            return -9, ""
        if complaint := step():
            return 5, complaint
    return 0, ""


def _steps(system: System, script: str) -> Iterator[Step]:
    if found := re.search(r"dmsetup suspend ([^&]+) &&", script):
        yield from (_Suspend(system, name) for name in found[1].split())
    if found := re.search(r"case \$n in \*,([^)]+)\)", script):
        yield lambda: next((f"{name} is active already" for name in found[1].split("|*,") if name in system.dm), "")
    for line in re.findall(r'"((?:lvcreate|lvchange|lvconvert) [^"]*)"', script):
        argv = line.split()
        yield from {"lvcreate": _create, "lvconvert": _convert, "lvchange": _change}[argv[0]](system, argv)


@dataclass
class _Suspend:
    """dmsetup suspend, of one device."""

    system: System
    name: str

    def __call__(self) -> str:
        self.system.dm[self.name].suspended = True
        return ""


def _create(system: System, argv: list[str]) -> Iterator[Step]:
    words, device = dict(pairwise(argv)), argv[-1] if argv[-1].startswith("/") else "/dev/ubda"
    name, extents = words["--name"], int(words["--extents"])

    def allocate() -> str:
        pv = next((pv for pv in system.members if system.device_of(pv) == device), "")
        if not pv or system.missing():
            return "Cannot change VG vg0 while PVs are missing."
        if name in system.lvs or system.pv_extents[pv] - system.allocated(pv) < extents:
            return "insufficient free space"
        uuid = f"snap{system.next()}-ssss-ssss-ssss-ssss-ssss-ssssss"
        system.lvs[name] = Lv(name, uuid, {pv: extents}, "", (words["--addtag"],))
        return ""

    yield allocate
    yield from (_Stage(system, name, "", stage) for stage in ("created", "active"))


def _convert(system: System, argv: list[str]) -> Iterator[Step]:
    origin, name = (path.removeprefix("vg0/") for path in argv[-2:])

    def convert() -> str:
        if dm_name("vg0", name) in system.dm:
            return f"vg0/{name} is active"
        system.lvs[name].origin = origin
        return ""

    yield convert


def _change(system: System, argv: list[str]) -> Iterator[Step]:
    names = [word.removeprefix("vg0/") for word in argv if word.startswith("vg0/")]
    if "--refresh" in argv:
        for name in names:
            yield from _refresh(system, name)
    elif "--activate" in argv:
        yield from (_Stage(system, name, "", "zeroed") for name in names)


def _refresh(system: System, origin: str) -> Iterator[Step]:
    # What is held already is not suspended again.
    snapshot = next(lv for lv in system.snapshots(origin) if dm_name("vg0", lv.name) not in system.dm)
    yield from (_Stage(system, snapshot.name, origin, stage) for stage in REFRESH)

    def let_go() -> str:
        system.activate(system.lvs[origin])
        return ""

    yield let_go


@dataclass
class _Stage:
    """One of the stages that lvcreate --snapshot has too."""

    system: System
    name: str
    origin: str
    stage: str

    def __call__(self) -> str:
        origin = self.origin or next(iter(self.system.lvs))
        to_stage(self.system, self.system.lvs[self.name], origin, self.stage)
        return ""


@dataclass
class FakeSwitch:
    """As lvmsnap.execution.dead_mans_switch.Switch."""

    control: int = 9
    is_good: bool = False
    held: Held = field(default=Held(0.0, True))


@contextmanager
def armed(system: System, origins: tuple[str, ...]) -> Iterator[FakeSwitch]:
    """As lvmsnap.execution.dead_mans_switch.armed: a process of its own does what is done at the end here."""
    switch = FakeSwitch()
    try:
        yield switch
    finally:
        held = [name for name, dm in system.dm.items() if dm.uuid in origins and dm.suspended]
        for name in held:
            _let_go(system, name)
        switch.held = Held(0.1, bool(held))


def _let_go(system: System, name: str) -> None:
    below = [dm for other, dm in system.dm.items() if other in (system.dm[name].live or ())]
    for dm in below:
        if dm.suspended:
            dm.resume()
    real = system.dm.get(f"{name}-real")
    if system.dm[name].loaded is not None:
        if real is not None and real.loaded is not None:
            real.resume()
        if real is None or real.live is None:
            system.dm[name].loaded = None
    system.dm[name].resume()


def first_target(system: System, name: str) -> DmTarget | None:
    """As lvmsnap.system.device_mapper.first_target, as far as it tells an origin that has snapshots."""
    dm = system.dm.get(name)
    if dm is None or dm.live is None:
        return None
    return DmTarget("snapshot-origin" if f"{name}-real" in dm.live else "linear", "", name, dm.uuid)
