"""What commands cost, counted: modules imported, programs started, reports of LVM. A slip shows without a bench."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import pytest

from lvmsnap.system import reading
from tests.simulation.stage import FakeRunner, Stage
from tests.simulation.test_late_imports import loaded
from tests.simulation.walk import SCENES
from tests.unit.test_architecture import modules, tree

# Of lvmsnap's own modules, and of all, of which Python's own differ from version to version.
MODULES = {"up": (159, 310), "down": (146, 275), "run": (176, 330)}
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


def test_no_regular_expression_is_compiled_before_it_is_needed() -> None:
    compiled = [(name, node.lineno) for name in modules() for node in _compiled_at_the_import_of(name)]
    # Those that `lvmsnap help` prints pages by, which nothing else imports.
    assert {name for name, _ in compiled} <= {"cli.help_pages"}, compiled


def _compiled_at_the_import_of(name: str) -> Iterator[ast.Call]:
    inside = [node for one in tree(name).body if not isinstance(one, ast.FunctionDef) for node in ast.walk(one)]
    in_methods = {id(node) for one in inside if isinstance(one, ast.FunctionDef) for node in ast.walk(one)}
    for node in inside:
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "re.compile" and id(node) not in in_methods:
            yield node


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
