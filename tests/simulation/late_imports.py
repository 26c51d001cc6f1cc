"""Runs one command of lvmsnap on the simulated machine, and names on stdout what it imports after its first change.

    python -m tests.simulation.late_imports COMMAND [FAULT]

A process of its own, since the one that runs the tests has imported nearly everything. What is asked for then is not
to be had: so the command ends as it would where an upgrade has replaced the program's files.
"""

from __future__ import annotations

import sys
import tempfile
from typing import Any

import pytest

from lvmsnap.cli import arguments, commands, parser
from lvmsnap.execution import run_history
from lvmsnap.model.target import Loss, Record
from lvmsnap.operations import loss_watch
from lvmsnap.profile import loading
from lvmsnap.system import held_signals, processes
from tests.simulation.parts import Fault
from tests.simulation.stage import FakeRunner, NoSignals, Stage
from tests.simulation.walk import SCENES
from tests.simulation.world import NAME

LOST = Loss("it overflowed")
COMMANDS = {
    "up": ("up", NAME),
    "down": ("down", NAME),
    "run": ("run", NAME, "--", "true"),
    "recover": ("recover",),
}
FAULTS = {
    "": (),
    "fails": (Fault(4, "fails"),),
    "fails for ever": (Fault(4, "fails"), Fault(5, "fails", for_ever=True)),
    "breaks": (),
    "lost": (),
}


class Watch:
    """Names what is imported once it is armed, and keeps it from being found."""

    def __init__(self) -> None:
        self.late: list[str] = []
        self._is_armed = False

    def arm(self) -> None:
        if not self._is_armed:
            self._is_armed = True
            sys.meta_path.insert(0, self)

    def find_spec(self, name: str, *_: object) -> None:
        self.late.append(name)
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def main(command: str, fault: str = "") -> None:
    watch, scene = Watch(), SCENES["hooks, and a file"]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_history, "STATE_DIR", folder)
        stage, profile = Stage(patch), scene.profile
        stage.world = scene.clean()
        if command in ("down", "recover"):
            stage.up(profile)
        if command == "recover":
            stage.world.system.reboot(activation="event", fate="kept")
        stage.world = world = stage.world.with_faults(*FAULTS[fault])

        def write(written: Record, write_record: Any = world.write_record) -> None:
            watch.arm()
            write_record(written)

        def begin(argv: tuple[str, ...], signals: Any, run_it: Any = world.run) -> tuple[int, str]:
            watch.arm()
            if fault == "breaks":
                raise ValueError("a mistake of lvmsnap's own")
            result: tuple[int, str] = run_it(argv, signals)
            return result

        patch.setattr(world, "write_record", write)
        patch.setattr(world, "run", begin)
        patch.setattr(processes, "Runner", lambda _observe, _stalled, signals, *_: FakeRunner(world, signals))
        patch.setattr(held_signals, "Signals", NoSignals)
        patch.setattr(arguments, "load_for_change", lambda _: (profile, ""))
        patch.setattr(arguments, "load_to_run", lambda _: (profile, ""))
        patch.setattr(loading, "load", lambda *_, **__: profile)
        patch.setattr(commands, "_require_root", lambda *_: None)
        if fault == "lost":
            patch.setattr(loss_watch, "why_lost", lambda *_: LOST)
        code = parser.main(COMMANDS[command])
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not watch]
    print("exit", code, *watch.late)


if __name__ == "__main__":
    main(*sys.argv[1:])
