"""One simulated machine with lvmsnap's records on it, what is to go wrong there, and how it is looked at."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from lvmsnap.execution.records import RecordError
from lvmsnap.model.looked import Superblock
from lvmsnap.model.paths import RUN_DIR
from lvmsnap.model.plan import Thing
from lvmsnap.model.target import Record
from lvmsnap.planning.lent_pvs import PV_UUID_PREFIX
from lvmsnap.system.held_signals import Signals
from tests import samples
from tests.simulation.commands import Commands
from tests.simulation.parts import Fault, File, Killed, Lv, PowerCut, Raising
from tests.simulation.system import DISK_PV, FILE, FOREIGN_FILE, ORIGIN_MOUNT, SPACE, System, add_foreign_loop

NAME = "nightly"
WHOLE = Superblock(0, needs_other_device=False, has_journal=True, is_clean=True)
HOOKS = {
    Thing.BEFORE_SNAPSHOT: "before_snapshot",
    Thing.AFTER_SNAPSHOT: "after_snapshot",
    Thing.BEFORE_DOWN: "before_down",
    Thing.AFTER_DOWN: "after_down",
}
OURS = f"lvmsnap2.{samples.HOST}.{NAME}"


@dataclass
class World:
    """One machine, lvmsnap's records on it, and what is to go wrong; `mountpoints` are of the profile's volumes."""

    system: System
    mountpoints: tuple[str, ...]
    records: dict[str, Record] = field(default_factory=dict)
    notes: dict[str, Record] = field(default_factory=dict)
    is_read_only: bool = False
    faults: tuple[Fault, ...] = ()
    count: int = 0
    broken: dict[tuple[str, ...], str] = field(default_factory=dict)
    fired: bool = False
    wrongs: list[str] = field(default_factory=list)
    clock: float = 0
    log: list[str] = field(default_factory=list)
    raising: Raising | None = None
    calls: list[str] = field(default_factory=list)
    ran: list[tuple[str, ...]] = field(default_factory=list)

    def copy(self) -> World:
        """Return a machine that is the same now and lives on apart."""
        copied: World = pickle.loads(pickle.dumps(self))
        return copied

    def with_faults(self, *faults: Fault) -> World:
        """Return a copy on which these things go wrong from now on, and nothing else."""
        copied = self.copy()
        copied.faults, copied.count, copied.broken, copied.fired = faults, 0, {}, False
        copied.raising, copied.calls = None, []
        return copied

    def with_raising(self, raising: Raising) -> World:
        """Return a copy on which a call raises an exception, and nothing else goes wrong."""
        copied = self.with_faults()
        copied.raising = raising
        return copied

    def call(self, name: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call what takes the place of a part of the system, or raise what is to be raised there."""
        self.calls.append(name)
        raising = self.raising
        number = len(self.calls)
        if raising is None or (number != raising.at and (number < raising.at or name != raising.name)):
            return function(*arguments, **named)
        if raising.for_ever:
            self.raising = replace(raising, name=name)
        self.log.append(f"{name} raises {raising.error!r} {'after' if raising.after else 'before'}")
        if raising.after:
            function(*arguments, **named)
        raise raising.error

    def read_record(self, name: str) -> Record | None:
        """As lvmsnap.execution.records.read."""
        record, noted = self.records.get(name), self.notes.get(name)
        return noted if record and noted and record.time == noted.time else record

    def write_record(self, written: Record) -> None:
        """As lvmsnap.execution.records.write."""
        if self.is_read_only:
            raise RecordError("the record cannot be written: Read-only file system")
        self.records[written.target.name] = written
        self.notes.pop(written.target.name, None)

    def remove_record(self, name: str) -> None:
        """As lvmsnap.execution.records.remove."""
        if self.is_read_only and name in self.records:
            raise RecordError("the record cannot be removed: Read-only file system")
        self.records.pop(name, None)
        self.notes.pop(name, None)

    def run(self, argv: tuple[str, ...], signals: Signals) -> tuple[int, str]:
        """Run a command, or what becomes of it."""
        self.count += 1
        key = (
            argv[0],
            *(word for word in argv if word.startswith(("--detach", "--remove")) or argv[0] in ("dmsetup", "hook")),
        )
        fault = next((fault for fault in self.faults if fault.at == self.count), None)
        kind = fault.kind if fault else self.broken.get(key, "")
        if fault:
            self.fired = True
            if fault.for_ever:
                self.broken[key] = kind
        self.log.append(f"{' '.join(argv)} {kind and '# ' + kind} {fault.stage if fault else ''}")
        return self._take_effect(argv, kind, fault.stage if fault else "", signals)

    def _take_effect(self, argv: tuple[str, ...], kind: str, stage: str, signals: Signals) -> tuple[int, str]:
        if kind == "extends":
            self.system.extend_onto_lent()
        if kind.startswith("killed before"):
            raise Killed
        if kind == "cut before":
            raise PowerCut
        if kind in ("fails", "lies"):
            return (7, "made to fail") if kind == "fails" else (0, "")
        if kind == "swapped":
            self.system.is_swapped = True
        self.ran.append(argv)
        commands = Commands(self.system, self.wrongs)
        result = commands.run(argv, stage)
        if kind == "killed after":
            raise Killed
        if kind == "cut after":
            raise PowerCut
        if kind == "interrupted":
            signals.received = signal.SIGTERM
        return (7, "made to fail after all") if kind == "fails after all" else result


# Mounts of the server below the origin's own: of another origin, and of a partition.
HOME_AND_BOOT = ((f"{ORIGIN_MOUNT}/home", "vg0-home"), (f"{ORIGIN_MOUNT}/boot", "boot"))
TREE = f"{RUN_DIR}/nightly"


def make_world(
    *mountpoints: str, other_snapshot: bool = False, directory: str = "", tree: bool = False, has_luks: bool = False
) -> World:
    """Make a machine with nothing of the profile: vg0 with `system`, mounted, `home`, `other` and a snapshot of it.

    With `other_snapshot` somebody has a snapshot of `system` too; `directory` is there and empty; with `tree` `home` is
    mounted below `system`, and a partition.
    """
    system = System(members=[DISK_PV], pv_extents={DISK_PV: 255})
    system.files[f"{SPACE}/foreign"] = File(11, 1 << 20, 1 << 20)
    system.files[FOREIGN_FILE] = File(12, 1 << 20, 1 << 20)
    names: tuple[tuple[str, str, int], ...] = (
        *(("system", "", 16), ("home", "", 4)),
        *(("other", "", 4), ("backup", "other", 2)),
    )
    for name, origin, extents in names + ((("keep", "system", 2),) if other_snapshot else ()):
        uuid = samples.ORIGIN_UUID if name == "system" else f"{name:a<6}-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa"
        system.lvs[name] = Lv(name, uuid, {DISK_PV: extents}, origin, ("backup",) if origin else ())
    for lv in system.lvs.values():
        system.activate(lv)
    system.directories = {"/media/foreign": 3} | ({directory: 0} if directory else {})
    mounted = () if has_luks else ((ORIGIN_MOUNT, "vg0-system"),)
    system.fstab = ((SPACE, "space"), *mounted, *((HOME_AND_BOOT) if tree else ()))
    system.mounts = [*system.fstab]
    system.has_luks = has_luks
    add_foreign_loop(system)
    return World(system, mountpoints)


# The origins and the snapshots' names of a profile's volumes.
VOLUMES = (("system", "snap"), ("home", "snap2"))


def standing(world: World, *, found_directory: bool) -> str:
    """Say what of the profile exists, by a look at the machine, in the words of a residue."""
    system, file = world.system, world.system.files.get(FILE)
    bound = [b for b in system.loops.values() if b.path == FILE]
    volumes = tuple(zip(VOLUMES, world.mountpoints, strict=False))
    there = {
        Thing.FILE: file is not None,
        Thing.LOOP: bool(bound),
        Thing.PV: any(b.file.label for b in bound),
        Thing.INACTIVE_ORIGIN: any(f"vg0-{origin}" not in system.dm for (origin, _), _ in volumes)
        and not system.missing(),
        Thing.VG_MEMBER: any(pv.startswith(PV_UUID_PREFIX) for pv in system.members),
        **{
            thing: any((record := world.read_record(one)) and name in record.hooks_due for one in world.records)
            for thing, name in HOOKS.items()
        },
    }
    of_volumes = [
        thing.value
        for (origin, snapshot), mountpoint in volumes
        for thing, exists in _of_volume(world, origin, snapshot, mountpoint, found_directory).items()
        if exists
    ]
    of_tree = [Thing.DIRECTORY.value for path in system.directories if f"{path}/".startswith(f"{TREE}/")]
    included = [Thing.INCLUDE.value for path, source in system.mounts if source == "boot" and path.startswith(TREE)]
    made = [*of_volumes, *of_tree, *included]
    return ", ".join(sorted([*made, *(thing.value for thing, exists in there.items() if exists)]))


def _of_volume(world: World, origin: str, name: str, mountpoint: str, found_directory: bool) -> dict[Thing, bool]:
    system = world.system
    tree = [path for path in system.directories if f"{path}/".startswith(f"{TREE}/")]
    ours = [lv for lv in system.lvs.values() if OURS in lv.tags and lv.name == name]
    real_left = f"vg0-{origin}-real" in system.dm and not system.snapshots(origin)
    left = not ours and (real_left or bool({f"vg0-{name}", f"vg0-{name}-cow"} & set(system.dm)))
    suspended = (f"vg0-{origin}", f"vg0-{origin}-real")
    return {
        Thing.LEFTOVER_DEVICES: left,
        Thing.SNAPSHOT: bool(ours),
        Thing.SUSPENDED_ORIGIN: any(
            dm.suspended and (dm.live or dm.loaded) for device, dm in system.dm.items() if device in suspended
        ),
        Thing.DIRECTORY: mountpoint in {*system.directories} - {*tree} and not found_directory,
        Thing.MOUNT: any(path == mountpoint for path, _ in system.mounts),
        Thing.LUKS: any(dm.uuid == samples.MAPPING_UUID for dm in system.dm.values()) and origin == "system",
        Thing.UDEV_RULE: bool(system.rules) and origin == "system",
    }


def look(system: System) -> dict[str, object]:
    """Return all that must be as before; the origin's own mount is the boot's business."""
    return {
        "files": sorted((path, file.inode, file.size, file.label) for path, file in system.files.items()),
        "directories": sorted(system.directories.items()),
        "locked": system.is_locked,
        "rules": sorted(system.rules),
        "loops": sorted((device, bound.path, bound.leaving) for device, bound in system.loops.items()),
        "members": sorted(system.members),
        "lvs": sorted((lv.name, lv.uuid, lv.origin, lv.tags, *lv.extents.items()) for lv in system.lvs.values()),
        "devices": sorted((name, dm.uuid, dm.live, dm.loaded, dm.suspended) for name, dm in system.dm.items()),
        "mounts": sorted(mount for mount in system.mounts if not mount[0].startswith(ORIGIN_MOUNT)),
    }
