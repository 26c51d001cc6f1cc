"""How much one has to jump about in the code to follow a profile from the command line to the executor."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from itertools import pairwise
from pathlib import Path
from types import FrameType

import pytest

import lvmsnap
from lvmsnap.cli import commands, parser
from lvmsnap.model import dataclass
from lvmsnap.system import reading
from tests.simulation.stage import Stage
from tests.simulation.system import FILE
from tests.simulation.world import NAME, make_world

TOP = str(Path(lvmsnap.__file__).parent)
PROFILE = f"""volumes:
  - origin: vg0/system
    snapshot: snap
    size: 16MiB
    mountpoint: /media/snapshot
backing_file:
  path: {FILE}
"""
CALLS = 400


def modules_called(arguments: list[str]) -> list[Path]:
    """Run lvmsnap; return the module of each call of a function of ours, in order."""
    called: list[Path] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        path = frame.f_code.co_filename
        # What makes and compares values does so everywhere, and leads nowhere.
        if event == "call" and path.startswith(TOP) and path != dataclass.__file__:
            called.append(Path(path))

    sys.setprofile(note)
    try:
        assert parser.main(arguments) == 0
    finally:
        sys.setprofile(None)
    return called


def changes(places: list[Path]) -> int:
    """Return how often one goes on to another place."""
    return sum(here != there for here, there in pairwise(places))


def test_from_the_command_line_on_few_of_the_first_calls_of_up_lead_to_another_module_or_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in pkgutil.walk_packages(lvmsnap.__path__, "lvmsnap."):
        importlib.import_module(module.name)  # what is loaded only when it is needed would count too
    stage = Stage(monkeypatch)
    monkeypatch.setattr(reading, "is_root", lambda: False)
    monkeypatch.setattr(commands, "_require_root", lambda *_: None)
    monkeypatch.setattr(commands, "_session", lambda _: stage.session())
    (tmp_path / f"{NAME}.yaml").write_text(PROFILE)

    for _ in ("reads the schema", "has it"):
        stage.world = make_world("/media/snapshot")
        called = modules_called(["--profile-dir", str(tmp_path), "up", NAME])[:CALLS]

    assert len(called) == CALLS
    assert changes(called) <= 35
    assert changes([module.parent for module in called]) <= 20
