"""Paths through the simulated machine from one world to others; each must keep what lvmsnap promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lvmsnap.model.errors import FAULTS, ToolError
from lvmsnap.model.plan import Thing
from lvmsnap.model.profile import Profile
from tests import samples
from tests.simulation import cut
from tests.simulation.lvcreate import REVERTED, STAGES
from tests.simulation.parts import Fault, Raising
from tests.simulation.stage import Stage
from tests.simulation.system import FILE, ORIGIN_MOUNT
from tests.simulation.world import NAME, TREE, World, look, make_world, standing

FAILURES = ("fails", "fails after all", "lies")
KILLS = ("killed before", "killed after")
CUTS = ("cut before", "cut after")
SECOND = "/media/snapshot2"
# A command that is a script for LVM.
SCRIPT = "script"
# A command of `up` in the middle of things.
KILLED_AT = 3
# What the disk kept of the backing file, and how the boot activated the group.
BOOTS = [("event", "kept"), ("ay", "unlabelled"), ("repaired", "kept"), ("event", "lost"), ("event", "emptied")]


@dataclass(frozen=True)
class Scene:
    """A profile, and what of it is there before."""

    backing: str = ""
    mountpoint: str = "/media/snapshot"
    found: bool = False
    remove: bool = False
    other_snapshot: bool = False
    hooks: tuple[str, ...] = ()
    two: bool = False
    tree: bool = False
    luks: bool = False
    cut: bool = False

    @property
    def profile(self) -> Profile:
        if self.tree:
            return self._tree()
        first = f"origin: vg0/system, snapshot: snap, size: 16MiB, mountpoint: {self.mountpoint}"
        first += f", luks: {{key_file: {samples.KEY_FILE}}}" if self.luks else ""
        # What is closed is open to nobody.
        first += ", allow_wider_access: true" if self.luks and self.mountpoint != "null" else ""
        text = f"volumes: [{{{first}}}]\n"
        text += f"backing_file: {{path: {FILE}, allocation: {self.backing}}}\n" if self.backing else ""
        hooks = ", ".join(f"{name}: [hook, {name}]" for name in self.hooks)
        text += f"hooks: {{{hooks}}}\n" if hooks else ""
        one = samples.profile(text + f"remove_mountpoint: {str(self.remove).lower()}\n")
        (volume,) = one.volumes
        second = replace(volume, origin="home", snapshot="snap2", mountpoint=SECOND, allow_wider_access=True)
        two = replace(one, volumes=(volume, second), is_consistent=self.cut)
        return two if self.two else one

    def _tree(self) -> Profile:
        names = (("system", "snap"), ("home", "snap2"))
        volumes = ", ".join(f"{{origin: vg0/{origin}, snapshot: {name}, size: 16MiB}}" for origin, name in names)
        text = f"volumes: [{volumes}]\ninclude: [{ORIGIN_MOUNT}/boot]\n"
        text += f"consistent: {str(self.cut).lower()}\n"
        return samples.profile(text + (f"backing_file: {{path: {FILE}}}\n" if self.backing else ""))

    def clean(self) -> World:
        if self.tree:
            at = f"{TREE}{ORIGIN_MOUNT}"
            return make_world(at, f"{at}/home", tree=True)
        there = self.mountpoint if self.found else ""
        second = (SECOND,) if self.two else ()
        paths, other = (self.mountpoint, *second), self.other_snapshot
        return make_world(*paths, other_snapshot=other, directory=there, has_luks=self.luks)


HOOKS = ("before_snapshot", "after_snapshot", "before_down", "after_down")
LENT, PLAIN, HOOKED = Scene("fallocate"), Scene(), Scene(hooks=HOOKS)
SCENES = {
    "lent": LENT,
    "plain": PLAIN,
    "zero-filled, in run": Scene("zero-fill", "/run/lvmsnap/nightly"),
    "directory found": Scene("fallocate", found=True),
    "found, to be removed": Scene("fallocate", found=True, remove=True),
    "plain, directory found": Scene(found=True),
    "device only": Scene("fallocate", "null"),
    "another's snapshot": Scene("fallocate", other_snapshot=True),
    "hooks": HOOKED,
    "hooks, and a file": Scene("fallocate", hooks=HOOKS),
    "luks": Scene(luks=True),
    "luks, and a file": Scene("fallocate", hooks=HOOKS, luks=True),
    "luks, device only": Scene(mountpoint="null", luks=True),
    "two volumes": Scene(two=True),
    "two volumes, hooks and a file": Scene("fallocate", hooks=HOOKS, two=True),
    "a tree": Scene(tree=True),
    "a tree and a file": Scene("fallocate", tree=True),
    "a tree of one instant": Scene(tree=True, cut=True),
    "one cut": Scene(two=True, cut=True),
    "one cut, a file": Scene("fallocate", two=True, cut=True),
    "one cut, another's snapshot": Scene("fallocate", two=True, cut=True, other_snapshot=True),
}

ERRORS: tuple[BaseException, ...] = (
    *(OSError(28, "No space left on device"), ValueError("embedded null byte"), RecursionError(), MemoryError()),
    *(BrokenPipeError(32, "Broken pipe"), KeyError("x"), ToolError("no say"), KeyboardInterrupt(), SystemExit(1)),
)


# One of each kind that is treated in a way of its own is enough for what had taken effect already.
AFTER = (ERRORS[0], ERRORS[3], ERRORS[6], ERRORS[7])


UP, DOWN, MEND, RUN, HOLD = "up", "down", "mend", "run", "hold"


class Walk:
    """Tries paths from one world; each must keep what lvmsnap promises."""

    def __init__(self, stage: Stage, scene: Scene) -> None:
        self.stage, self.scene, self.profile = stage, scene, scene.profile
        self.before = self.look(scene.clean())
        self.paths = 0
        self.problems: list[str] = []

    def look(self, world: World) -> dict[str, object]:
        seen = look(world.system)
        if self.scene.remove:
            del seen["directories"]
        return seen

    def act(self, what: str, world: World, *faults: Fault) -> tuple[World, str]:
        self.stage.world = copied = world.with_faults(*faults)
        how = getattr(self.stage, what)(self.profile)
        copied.log.append(f"=> {what}: {how}")
        return copied, how

    def commands(self, what: str, world: World) -> list[str]:
        """Return what it runs where nothing goes wrong."""
        walked, _ = self.act(what, world)
        lines = walked.log[len(world.log) : -1]
        return [SCRIPT if cut.SCRIPT in line else line.split()[0] for line in lines]

    def complain(self, world: World, problem: str) -> None:
        self.problems.append("\n  ".join([problem, *world.log]))

    def judge(self, what: str, world: World, how: str, *faults: Fault) -> None:
        """Check what must hold however it ended."""
        left = standing(world, found_directory=self.scene.found and not (self.scene.remove and what != UP))
        if world.wrongs:
            self.complain(world, f"wrong: {world.wrongs}")
        if self.scene.cut and how != "cut" and any(dm.suspended for dm in world.system.dm.values()):
            self.complain(world, f"{how}, and something is held")
        if world.system.is_locked and Thing.AFTER_SNAPSHOT.value not in left:
            self.complain(world, f"{how}, the database is locked, and nobody knows")
        if how in ("undone", "interrupted") or (how == "done" and left != self.all_of_it):
            if self.look(world) != self.before:
                self.complain(world, f"{how}, and not as before: {left or self.difference(world)}")
            if world.records:
                self.complain(world, f"{how}, and a record is left")
        elif how.startswith("residue"):
            if not any(fault.for_ever for fault in faults):
                self.complain(world, f"{how}, though it failed but once")
            if how != f"residue: {left}":
                self.complain(world, f"{how}, and there is: {left}")
        elif how.startswith("refused"):
            self.complain(world, how)

    def raise_everywhere(self, what: str, start: World) -> None:
        """Let every call of a part of the system raise everything, before and after it took effect."""
        walked, _ = self.act(what, start)
        for at in range(1, len(walked.calls) + 1):
            for error in ERRORS:
                self.one_raised(what, start, Raising(at, error))
            for error in AFTER:
                self.one_raised(what, start, Raising(at, error, after=True))
            for error in ERRORS[:2]:
                self.one_raised(what, start, Raising(at, error, for_ever=True))

    def one_raised(self, what: str, start: World, raising: Raising) -> None:
        self.stage.world = world = start.with_raising(raising)
        try:
            how = getattr(self.stage, what)(self.profile)
        except FAULTS as error:
            how = f"raised {type(error).__name__}"
        world.log.append(f"=> {what}: {how}")
        if what in (RUN, HOLD) and how == "done" and self.look(world) != self.before:
            self.complain(world, f"{what} is done, and something of it is there")
        if how.startswith("raised"):
            # Only what came before the first change may come through to the command line.
            if self.look(world) != self.look(start) or world.records != start.records:
                self.complain(world, f"{how} though something was changed")
        elif how not in ("residue: unknown", f"residue: anything left of {NAME}") or not raising.for_ever:
            self.judge(what, world, how, *([Fault(0, "raises", for_ever=True)] if raising.for_ever else []))
        self.end(world, is_killed=False)

    def difference(self, world: World) -> str:
        now = self.look(world)
        return "; ".join(f"{key}: {now[key]} for {self.before[key]}" for key in now if now[key] != self.before[key])

    all_of_it = "?"

    def end(self, world: World, *, is_killed: bool = True) -> None:
        """Faults are over: one more recover must leave everything as before.

        Where lvmsnap was not killed no hook of `down` may have run twice.
        """
        self.paths += 1
        mended, how = self.act(MEND, world)
        ran = [argv[1] for argv in mended.ran if argv[0] == "hook"]
        if not is_killed and max(ran.count("before_down"), ran.count("after_down")) > 1:
            self.complain(mended, f"run: {' '.join(ran)}")
        if how != "done":
            self.complain(mended, f"mend: {how}")
        elif self.look(mended) != self.before or mended.records or mended.wrongs:
            self.complain(mended, f"not as before: {self.difference(mended)} {mended.wrongs}")

    def after(self, world: World, how: str, boots: list[tuple[str, str]]) -> Iterator[World]:
        """Yield the worlds in which lvmsnap is started again."""
        if how != "cut":
            yield world
            return
        for activation, fate in boots:
            booted = world.copy()
            booted.system.reboot(activation=activation, fate=fate)
            booted.notes = {}
            booted.log.append(f"=> boot: {activation}, file {fate}")
            yield booted

    def one_fault(self, what: str, start: World, *, twice: bool) -> None:
        """Let every command go wrong in every way; with `twice`, then every command of what follows too."""
        for fault in first_faults(self.commands(what, start)):
            world, how = self.act(what, start, fault)
            self.judge(what, world, how, fault)
            for again in self.after(world, how, BOOTS):
                self.end(again)
                if twice and how in ("cut", "killed"):
                    self.faults_of_mending(again)
            if twice and how not in ("cut", "killed") and fault.kind not in ("interrupted", "lies"):
                self.second_faults(what, start, fault)

    def faults_of_mending(self, world: World) -> None:
        for at in range(1, len(self.commands(MEND, world)) + 1):
            for fault in later_faults(at):
                mended, how = self.act(MEND, world, fault)
                self.judge(MEND, mended, how, fault)
                for again in self.after(mended, how, [("event", "kept")]):
                    self.end(again)

    def second_faults(self, what: str, start: World, first: Fault) -> None:
        """Let every command of the rollback go wrong too."""
        undone, _ = self.act(what, start, first)
        for at in range(first.at + 1, undone.count + 1):
            for fault in later_faults(at):
                world, how = self.act(what, start, first, fault)
                self.judge(what, world, how, first, fault)
                for again in self.after(world, how, [("event", "kept")]):
                    self.end(again)


def first_faults(commands: list[str]) -> Iterator[Fault]:
    for at, command in enumerate(commands, 1):
        # vgreduce is believed: it takes the PV out of the metadata or exits 5. A hook's word is all there is.
        for kind in FAILURES[:2] if command in ("vgreduce", "hook") else FAILURES:
            yield Fault(at, kind)
            yield Fault(at, kind, for_ever=True)
        for kind in (*KILLS, *CUTS, "interrupted"):
            yield Fault(at, kind)
        if command == SCRIPT:
            for number in range(cut.MOST_STEPS):
                for kind in ("dies", "killed after", "cut after"):
                    yield Fault(at, kind, str(number))
        if command == "lvcreate":
            for reached in (*STAGES, REVERTED):
                for kind in ("dies", "killed after", "cut after"):
                    yield Fault(at, kind, reached)
        if command == "cryptsetup":
            for reached in ("made", "loaded"):
                for kind in ("dies", "killed after", "cut after"):
                    yield Fault(at, kind, reached)


def later_faults(at: int) -> Iterator[Fault]:
    yield from (Fault(at, kind) for kind in ("fails", "killed after", "cut after"))
    yield Fault(at, "fails", for_ever=True)
