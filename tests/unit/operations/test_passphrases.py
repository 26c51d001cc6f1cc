"""Passphrases: asked for before the first change, tried at the origin, given to cryptsetup alone."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from lvmsnap.execution import executor
from lvmsnap.execution.context import Work
from lvmsnap.model.errors import InterruptedBySignalError, RefusedError
from lvmsnap.model.plan import Key, Thing
from lvmsnap.operations import history, leftovers, passphrases, preparation, sessions, up_down
from lvmsnap.operations.history import Known
from lvmsnap.planning import planner
from lvmsnap.planning.state import State
from lvmsnap.system import terminal
from lvmsnap.system.processes import Finished
from tests import samples

PROFILE = samples.profile("volumes: [{origin: vg0/system, luks: {prompt: true}}]")
KEYED = samples.profile("volumes: [{origin: vg0/system, luks: {key_file: /root/key}}]")
KEY = Key(Thing.LUKS, "lvmsnap-nightly")
RIGHT = b"correct horse"


class Desk:
    """A terminal at which answers are typed, and a cryptsetup that knows the right one."""

    def __init__(self, patch: pytest.MonkeyPatch, *typed: bytes | None, returncode: int = 2) -> None:
        self.typed, self.returncode, self.asked, self.done = [*typed], returncode, list[str](), list[str]()
        self.ran: list[tuple[str, ...]] = []
        progress = SimpleNamespace(warn=self.done.append, note=lambda _: None)
        signals = SimpleNamespace(received=0, name="SIGINT")
        self.session: Any = SimpleNamespace(runner=self, progress=progress, signals=signals)
        patch.setattr(terminal, "ask", self._ask)

    def _ask(self, question: str, _is_stopped: object) -> bytes | None:
        self.asked.append(question)
        return self.typed.pop(0)

    def run(self, argv: tuple[str, ...], secret: bytes | None = None) -> Finished:
        """As Runner.run."""
        self.ran.append(argv)
        return Finished(argv, 0 if secret == RIGHT else self.returncode, "", "no luck", 0.0)


def test_a_passphrase_that_opens_the_origin_is_given_to_the_mapping_and_is_no_word_of_a_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(monkeypatch, b"wrong", b"", RIGHT)

    assert passphrases.ask(desk.session, PROFILE) == {KEY: RIGHT}
    assert desk.asked == ["Passphrase of vg0/system: "] * 3
    assert desk.done == ["that passphrase does not open vg0/system"] * 2
    assert {argv[-2:] for argv in desk.ran} == {("--test-passphrase", "/dev/vg0/system")}
    assert passphrases.ask(Desk(monkeypatch).session, KEYED) == {}
    made = planner.plan_up(PROFILE, samples.luks_facts(has_terminal=True), ())
    assert {key for key in (action.key for action in made.actions) if key == KEY} == {KEY}


@pytest.mark.parametrize(
    ("typed", "returncode", "words"),
    [
        ((b"a", b"b", b"c"), 2, "no passphrase of vg0/system was given in 3 tries"),
        ((None,), 2, "no passphrase of vg0/system was given"),
        ((b"a",), 4, "could not be tried: exit 4: no luck"),
    ],
)
def test_without_a_passphrase_it_is_refused_and_nothing_was_changed(
    monkeypatch: pytest.MonkeyPatch, typed: tuple[bytes | None, ...], returncode: int, words: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        passphrases.ask(Desk(monkeypatch, *typed, returncode=returncode).session, PROFILE)

    assert words in refused.value.message
    assert refused.value.exit_code == 3


def test_a_signal_while_it_is_asked_for_ends_it_with_nothing_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, None)
    desk.session.signals.received = 2

    with pytest.raises(InterruptedBySignalError) as interrupted:
        passphrases.ask(desk.session, PROFILE)

    assert interrupted.value.exit_code == 130


@pytest.mark.parametrize("replace_old", [False, True])
def test_it_is_asked_for_before_anything_is_taken_down_or_made_and_the_system_is_read_anew_after_it(
    monkeypatch: pytest.MonkeyPatch, replace_old: bool
) -> None:
    order: list[str] = []
    old = samples.record() if replace_old else None
    works: list[Any] = []

    def step(name: str, result: Any = None) -> Any:
        def take(*_: object, **__: object) -> Any:
            order.append(name)
            return result

        return take

    def work(*_: object, secrets: Any = None, **__: object) -> None:
        works.append(secrets)

    made = replace(planner.plan_up(PROFILE, samples.luks_facts(has_terminal=True), ()), checks=())
    seen = SimpleNamespace(status=SimpleNamespace(state=State.UP), lost="", run_pid=0)
    for module, name, fake in (
        (sessions, "walking", lambda *_: nullcontext()),
        (sessions, "recorded_target", lambda _: None),
        (sessions, "read_changing", step("read", samples.luks_facts())),
        (sessions, "work", work),
        (history, "look_back", lambda *_, **__: Known(old.target if old else None, old)),
        (leftovers, "look", lambda *_: seen),
        (up_down, "_refuse_to_take", lambda *_: None),
        (up_down, "take_old", step("take down", "taken")),
        (preparation, "refuse_hopeless", step("refuse")),
        (preparation, "plan_up", step("plan", made)),
        (passphrases, "ask", step("ask", {KEY: RIGHT})),
        (executor, "bring_up", step("make")),
    ):
        monkeypatch.setattr(module, name, fake)
    session: Any = SimpleNamespace(progress=SimpleNamespace(warn=lambda _: None))

    up_down.up(session, PROFILE, "", replace_old=replace_old, if_down=False)

    old_way = ["read", "refuse", "ask", "take down", "read", "plan", "make"]
    assert order == (old_way if replace_old else ["read", "plan", "ask", "read", "plan", "make"])
    assert works == [{KEY: RIGHT}]


def test_no_secret_is_in_what_a_walk_works_with_when_that_is_shown() -> None:
    anything: Any = None
    work = Work(anything, anything, anything, anything, anything, anything, anything, secrets={KEY: RIGHT})

    assert "horse" not in repr(work)
