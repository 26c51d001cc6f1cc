"""What each command says at each place where it is listened to, as a person last read it; see tests/heard.

`LVMSNAP_WRITE_GOLDEN=1` writes the files anew.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lvmsnap.cli import commands, hold_command
from lvmsnap.cli.progress import Reporter
from lvmsnap.execution import guard_reports, hold_marks, run_history
from lvmsnap.execution.context import Sheltered
from lvmsnap.model.facts import SnapshotStatus
from lvmsnap.model.target import Loss
from lvmsnap.model.units import MIB
from lvmsnap.operations import hold, loss_watch, run, watch
from lvmsnap.operations.sessions import Session
from lvmsnap.operations.user_command import KilledBy
from lvmsnap.planning.state import OVERFLOWED
from lvmsnap.system import device_mapper, mapping_users, programs
from tests.heard import FOLDER, PLACES, same_each_time
from tests.simulation.listening import heard, lvmsnap
from tests.simulation.parts import Fault
from tests.simulation.stage import FakeRunner, NoSignals, Stage
from tests.simulation.system import FILE
from tests.simulation.world import make_world

MOUNTPOINT = "/media/snap"
TEXT = f"""\
volumes: [{{origin: vg0/system, size: 16MiB, mountpoint: {MOUNTPOINT}}}]
backing_file: {{path: {FILE}}}
"""


class Told:
    """A machine on which commands are called, and what happens there meanwhile."""

    def __init__(self, stage: Stage, patch: pytest.MonkeyPatch) -> None:
        self.stage, self.patch, self.signals = stage, patch, NoSignals()
        stage.world = make_world(MOUNTPOINT)
        self.used_bytes, self.is_lost = MIB // 2, False
        fakes = [
            (commands, "_session", self.session),
            (hold_command, "_session", self.session),
            (device_mapper, "snapshot_status", self.status),
            (loss_watch, "why_lost", lambda *_: Loss(OVERFLOWED) if self.is_lost else None),
            (programs, "problem", lambda *_: ("", "")),
            (run, "supervise", self.supervise),
            (mapping_users, "holders", self.holders),
            (watch, "time", SimpleNamespace(sleep=self.stop, monotonic=time.monotonic)),
            (hold, "select", SimpleNamespace(select=self.stop)),
        ]
        for module, name, fake in fakes:
            patch.setattr(module, name, fake)

    def session(self, options: Any, **_: object) -> Session:
        self.signals = NoSignals()
        runner: Any = FakeRunner(self.stage.world, self.signals)
        return Session(runner, self.signals, Sheltered(Reporter(options.verbosity)), "/etc/lvmsnap", 0)

    def status(self, *_: object) -> SnapshotStatus | None:
        return SnapshotStatus(self.is_lost, self.used_bytes, 16 * MIB)

    def supervise(
        self, argv: tuple[str, ...], _: object, _signals: object, look: Callable[[], float], *__: object
    ) -> int:
        look()
        self.is_lost = argv[0] == "fill"
        look()
        if argv[0] == "sleep":
            self.signals.received = signal.SIGINT
            return KilledBy(128 + signal.SIGINT)
        return int(argv[0] == "false")

    def holders(self, *_: object) -> tuple[str, ...]:
        return (f"pid 812 (tail): {MOUNTPOINT}/log",) if self.stage.world.system.busy else ()

    def stop(self, *_: object) -> None:
        self.signals.received = signal.SIGINT

    def fill(self) -> None:
        self.used_bytes = 12 * MIB

    def free_some(self) -> None:
        self.used_bytes, self.is_lost = MIB // 2, False

    def keep_busy(self) -> None:
        self.stage.world.system.busy.add(MOUNTPOINT)

    def let_go(self) -> None:
        self.free_some()
        self.stage.world.system.busy.clear()

    def cut_power(self) -> None:
        self.stage.world = self.stage.world.with_faults(Fault(7, "cut before"))

    def boot(self) -> None:
        self.stage.world = self.stage.world.with_faults()
        self.stage.world.system.reboot(activation="repaired")
        self.stage.world.notes = {}

    def break_mount(self) -> None:
        self.stage.world = self.stage.world.with_faults(Fault(7, "fails"))


# What is called, what a reader of the files is told of it, and what happens before.
STORY: tuple[tuple[str, str, Callable[[Told], None] | None], ...] = (
    ("up nightly", "", None),
    ("run nightly -- true", "while it is up", None),
    ("watch nightly", "75 % is used; then Ctrl-C", Told.fill),
    ("down nightly", "while a process uses it", Told.keep_busy),
    ("down nightly", "", Told.let_go),
    ("down nightly", "again", None),
    ("watch nightly", "while it is down", None),
    ("run nightly -- true", "", None),
    ("run nightly -- false", "", None),
    ("run nightly -- sleep 99", "and Ctrl-C", None),
    ("run nightly -- fill", "which overwrites the origin until the snapshot is lost", None),
    ("hold nightly", "and Ctrl-C", Told.free_some),
    ("up nightly", "where mount fails", Told.break_mount),
    ("up nightly", "and the power fails", Told.cut_power),
    ("status", "after the next boot", Told.boot),
    ("recover --dry-run", "", None),
    ("recover", "", None),
    ("recover", "again", None),
    ("up nightly -q", "", None),
    ("up nightly --if-down", "while it is up", None),
    ("down --all", "", None),
    ("down --all", "again", None),
)


@pytest.mark.parametrize("place", PLACES)
def test_what_is_heard_at_each_place_is_as_it_was_last_read_by_a_person(
    place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = Told(Stage(monkeypatch), monkeypatch)
    (tmp_path / "nightly.yaml").write_text(TEXT)
    monkeypatch.setenv("LVMSNAP_PROFILE_DIR", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for module in (guard_reports, hold_marks):
        monkeypatch.setattr(module, "RUN_DIR", str(tmp_path))
    monkeypatch.setattr(run_history, "STATE_DIR", str(tmp_path))
    said = []
    for arguments, title, arrange in STORY:
        if arrange:
            arrange(told)
        called = f"$ lvmsnap {arguments}" + (f"  # {title}" if title else "")
        said.append(f"{called}\n{heard(place, lvmsnap(arguments), monkeypatch)}")
    text = same_each_time("\n".join(said))
    path = FOLDER / f"{place}.txt"
    if os.environ.get("LVMSNAP_WRITE_GOLDEN"):
        path.write_text(text)
    assert text.splitlines() == path.read_text().splitlines()
