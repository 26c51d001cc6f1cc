"""A run with what touches the system replaced: how each part ends, and what was done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lvmsnap.model.errors import (
    ResidueError,
)
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.target import Loss
from lvmsnap.operations import run
from lvmsnap.operations.sessions import Session
from lvmsnap.system.held_signals import Signals
from lvmsnap.system.processes import Runner
from tests import samples

RESIDUE = ResidueError("p could not be taken down; what is left is named below", residue=("mount: /m",), commands=())


@dataclass
class World:
    """What `run` meets: how each part ends, and what was done."""

    up: BaseException | None = None
    command: int | BaseException = 0
    lost: Loss | None = None
    down: BaseException | None = None
    before_down: Callable[[Session], None] = lambda _: None
    failed_hooks: tuple[str, ...] = ()
    done: list[str] = field(default_factory=list)


@dataclass
class Notes:
    """A Progress that keeps the notes."""

    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.notes.append(f"warning: {text}")

    def live(self, _text: str) -> None: ...
    def begin(self, *_: Any) -> None: ...
    def step(self, *_: Any) -> None: ...
    def done(self, *_: Any) -> None: ...
    def failed(self, *_: Any) -> None: ...


OWN = dm_uuid(samples.VG_UUID, samples.SNAPSHOT_UUID)
LATER = dm_uuid(samples.VG_UUID, samples.OTHER_UUID)


def going(*argv: str, notes: Notes | None = None) -> int:
    signals = Signals()
    working = Session(Runner(signals=signals), signals, notes or Notes(), "/etc/lvmsnap", 1)
    return run.run(working, samples.with_file(""), "", argv or ("true",), replace_old=False)
