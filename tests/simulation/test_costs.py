"""What commands cost, counted: modules imported, programs started, reports of LVM. A slip shows without a bench."""

from __future__ import annotations

from typing import Any

import pytest

from lvmsnap.system import reading
from tests.simulation.stage import FakeRunner, Stage
from tests.simulation.test_late_imports import loaded
from tests.simulation.walk import SCENES

# Of lvmsnap's own modules, and of all, of which Python's own differ from version to version.
MODULES = {"up": (155, 310), "down": (142, 275), "run": (172, 330)}
# What is started in turn: by `up`, and by `down`.
STARTED = {
    "plain": (("lvcreate", "mount"), ("umount", "rmdir", "lvremove")),
    "lent": (
        ("sh", "sh", "losetup", "pvcreate", "vgextend", "lvcreate", "mount"),
        ("umount", "rmdir", "lvremove", "vgreduce", "pvremove", "losetup", "rm"),
    ),
}


@pytest.mark.parametrize("command", MODULES)
def test_a_command_imports_no_more_than_it_did(command: str) -> None:
    there = loaded(command)
    own = {name for name in there if name.startswith("lvmsnap")}
    assert len(own) <= MODULES[command][0]
    assert len(there) <= MODULES[command][1]


@pytest.mark.parametrize("scene", STARTED)
def test_up_and_down_start_no_other_program_and_ask_lvm_once(scene: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, profile = Stage(monkeypatch), SCENES[scene].profile
    stage.world = SCENES[scene].clean()
    heard: list[str] = []

    def run(self: FakeRunner, argv: tuple[str, ...], run: Any = FakeRunner.run) -> Any:
        heard.append(argv[0])
        return run(self, argv)

    def read(*args: Any, read: Any = reading.read_system, **named: Any) -> Any:
        heard.append("lvm fullreport")
        return read(*args, **named)

    monkeypatch.setattr(FakeRunner, "run", run)
    monkeypatch.setattr(reading, "read_system", read)

    up, down = STARTED[scene]
    stage.up(profile)
    assert heard == ["lvm fullreport", *up]
    heard.clear()
    stage.down(profile)
    assert heard == ["lvm fullreport", *down]
