"""What tests of a run share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lvmsnap.execution import executor, records
from lvmsnap.model.errors import (
    InterruptedBySignalError,
)
from lvmsnap.operations import loss_watch, run, sessions, up_down
from lvmsnap.operations.sessions import Session
from tests import samples
from tests.unit.operations.running import World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    def up(*_: Any, **__: Any) -> Any:
        made.done.append("up")
        if made.up:
            raise made.up
        return samples.TARGET

    def supervise(*_: Any) -> int:
        made.done.append("command")
        if isinstance(made.command, BaseException):
            raise made.command
        return made.command

    def down(*arguments: Any) -> tuple[str, ...]:
        made.done.append("down")
        made.before_down(arguments[2])
        if made.down:
            raise made.down
        if arguments[2].signals.received:
            raise InterruptedBySignalError(2, "it is all down")
        return made.failed_hooks

    @contextmanager
    def walking(_: Session, _name: str) -> Iterator[None]:
        yield

    monkeypatch.setattr(up_down, "up", up)
    monkeypatch.setattr(sessions, "walking", walking)
    monkeypatch.setattr(executor, "bring_down", down)
    monkeypatch.setattr(records, "read", lambda _: None)
    monkeypatch.setattr(run, "supervise", supervise)
    monkeypatch.setattr(loss_watch, "why_lost", lambda *_: made.lost)
    return made
