"""The simulated machine and a real one run the same commands, and must answer and look alike after each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from lvmsnap.system.reading import Interest
from tests import samples
from tests.lab.helpers import make_vg
from tests.lab.machine import Machine
from tests.lab.support import COMMAND, ENVIRONMENT
from tests.simulation.commands import Commands
from tests.simulation.lvcreate import REVERTED, STAGES
from tests.simulation.parts import Fault
from tests.simulation.stage import Stage
from tests.simulation.steps import normalised
from tests.simulation.system import FILE, System
from tests.simulation.world import World, make_world

pytestmark = pytest.mark.lab

Argv = tuple[str, ...]
MOUNTPOINT = "/media/snapshot"
PROFILE = samples.profile(
    f"volumes: [{{origin: vg0/system, snapshot: snap, size: 16MiB, mountpoint: {MOUNTPOINT}}}]\n"
    f"backing_file: {{path: {FILE}}}\n"
)

INTEREST = Interest(("vg0",), (("vg0", "system"),), (FILE,), (MOUNTPOINT,))


def snapshot_removal(origin: str) -> Argv:
    selection = f"lv_name=snap && lv_tags=lvmsnap.nightly && origin={origin}"
    return ("lvremove", "--yes", "--select", selection, "vg0")


WRONG_WHILE_UP: tuple[Argv, ...] = (
    ("rmdir", "--", MOUNTPOINT),
    snapshot_removal("system"),
    snapshot_removal('""'),
    ("vgreduce", "vg0", "/dev/loop7"),
    ("vgreduce", "--removemissing", "vg0"),
    ("pvremove", "--yes", "/dev/loop7"),
    ("losetup", "--nooverlap", "/dev/loop6", FILE),
    ("dmsetup", "remove", "vg0-system-real"),
    ("lvchange", "--refresh", "vg0/system"),
)
WRONG_WHILE_DOWN: tuple[Argv, ...] = (
    ("umount", "--", MOUNTPOINT),
    ("rmdir", "--", MOUNTPOINT),
    snapshot_removal("system"),
    ("vgreduce", "vg0", "/dev/loop7"),
)


class Both:
    """A simulated machine and a real one in the same state."""

    def __init__(self, stage: Stage, lab: Machine) -> None:
        self.stage, self.lab = stage, lab
        self.world = make_world(MOUNTPOINT)
        make_vg(
            lab,
            volumes={"system": "64M", "home": "16M", "other": "16M"},
            filesystems={"system": "ext4", "/dev/ubdb": "ext4"},
            mounts={"system": "/mnt/system", "/dev/ubdb": "/media/space"},
        )
        lab.run("lvcreate -q -y -s -l 2 --monitor n --addtag backup -n backup vg0/other")

    def commands(self, act: Callable[[], str], expected: str, *faults: Fault) -> list[Argv]:
        """Let the real code work on a copy of the simulated machine; return the commands that it ran."""
        self.stage.world = self.world.with_faults(*faults)
        self.stage.world.ran = []
        assert act() == expected, self.stage.world.log
        return [tuple(re.sub(r"lv_uuid=\S+", "lv_name=snap", word) for word in argv) for argv in self.stage.world.ran]

    def run(self, *commands: Argv, kill: int = 0) -> None:
        """Run commands on both and compare exit status and state after each."""
        answers = self.real(*commands, kill=kill)
        for argv, (returncode, state, stderr) in zip(commands, answers, strict=True):
            fake, simulated = self.simulate(argv) if not kill else self.find_stage(argv, state)
            assert (returncode, state) == (fake, simulated), f"{' '.join(argv)}: {stderr}"

    def real(self, *commands: Argv, kill: int = 0) -> list[Any]:
        steps = json.dumps([{"argv": argv, "kill": kill} for argv in commands])
        words = [COMMAND[0], "-m", "tests.simulation.steps", FILE, MOUNTPOINT]
        result = self.lab.run(words, env=ENVIRONMENT, stdin=steps, timeout=120)
        return [json.loads(line) for line in result.stdout.splitlines()]

    def simulate(self, argv: Argv) -> tuple[int, Any]:
        returncode, _ = Commands(self.world.system).run(argv)
        return returncode, self.state(self.world.system)

    def state(self, system: System) -> Any:
        return json.loads(json.dumps(normalised(system.focused(system.facts(), INTEREST))))

    def find_stage(self, argv: Argv, state: Any) -> tuple[int, Any]:
        """Take lvcreate to the stage in which it was really killed: which one, its state tells."""
        for stage in (*STAGES, REVERTED):
            world: World = self.world.copy()
            Commands(world.system).run(argv, stage)
            if (simulated := self.state(world.system)) == state:
                self.world = world
                return -9 if stage != REVERTED else 5, simulated
        raise AssertionError(f"lvcreate has no such stage: {state}")


@pytest.fixture
def both(lab: Machine, monkeypatch: pytest.MonkeyPatch) -> Both:
    return Both(Stage(monkeypatch), lab)


def test_up_wrong_orders_and_down_do_the_same_to_both(both: Both) -> None:
    up = both.commands(lambda: both.stage.up(PROFILE), "done")
    claim, fallocate, attach, pvcreate, vgextend, lvcreate, mount = up
    without_space: list[Argv] = [claim, claim, ("losetup", "--detach", "/dev/loop7"), pvcreate]
    without_group: list[Argv] = [fallocate, attach, ("pvremove", "--yes", "/dev/loop7"), pvcreate, lvcreate]
    both.run(*without_space, *without_group, vgextend, pvcreate, mount, lvcreate, lvcreate, mount, *WRONG_WHILE_UP)
    both.world.records = both.stage.world.records
    both.run(*both.commands(lambda: both.stage.down(PROFILE), "done"), *WRONG_WHILE_DOWN)


def test_a_loop_and_its_file_taken_from_under_the_snapshot_leave_the_same_in_both(both: Both) -> None:
    *up, _ = both.commands(lambda: both.stage.up(PROFILE), "done")
    both.run(*up, ("rm", "--", FILE), ("losetup", "--detach", "/dev/loop7"))
    both.run(snapshot_removal("system"), ("vgreduce", "vg0", "/dev/loop7"), ("vgreduce", "--removemissing", "vg0"))


# 63: LVM's metadata has a plain LV, devices are half made; 79: the snapshot is in it, the origin suspended.
@pytest.mark.parametrize("ioctl", [63, 79])
def test_a_killed_lvcreate_leaves_a_known_stage_and_recovery_does_the_same_to_both(both: Both, ioctl: int) -> None:
    *up, lvcreate, _ = both.commands(lambda: both.stage.up(PROFILE), "done")
    both.commands(lambda: both.stage.up(PROFILE), "killed", Fault(len(up) + 1, "killed before"))
    both.world.records = both.stage.world.records
    both.run(*up)
    both.run(lvcreate, kill=ioctl)
    both.run(*both.commands(lambda: both.stage.mend(PROFILE), "done"))


def test_after_a_power_cut_both_boot_alike_and_recovery_does_the_same_to_both(both: Both) -> None:
    both.run(*both.commands(lambda: both.stage.up(PROFILE), "done"))
    both.world.records = both.stage.world.records
    both.lab.run("sync")
    both.lab.cut_power()
    both.lab.boot()
    both.lab.run(f"mkdir -p /media/space {MOUNTPOINT}; mount /dev/ubdb /media/space")
    both.world.system.reboot(activation="event")
    both.run(("vgchange", "--activate", "ay", "vg0"), ("vgreduce", "--removemissing", "vg0"))
    both.run(*both.commands(lambda: both.stage.mend(PROFILE), "done"))
