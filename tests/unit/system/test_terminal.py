"""Passphrases that are typed on a terminal: a pair of pseudo-terminals stands for it."""

from __future__ import annotations

import os
import pty
import select
import termios
import threading
import time
from collections.abc import Iterator

import pytest

from lvmsnap.system import terminal

ASKED = b"Passphrase for vg0/system: "


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Give the end that a person types on."""
    ours, theirs = pty.openpty()
    monkeypatch.setattr(terminal, "TERMINAL", os.ttyname(theirs))
    yield ours
    os.close(ours)
    os.close(theirs)


def echoes(keyboard: int) -> bool:
    return bool(termios.tcgetattr(keyboard)[3] & termios.ECHO)


def seen(keyboard: int) -> bytes:
    """Return what the terminal shows by now."""
    shown = b""
    while select.select([keyboard], [], [], 0.1)[0]:
        shown += os.read(keyboard, 1000)
    return shown


def type_once_asked(keyboard: int, typed: bytes) -> threading.Thread:
    def type_it() -> None:
        while echoes(keyboard):
            time.sleep(0.01)
        time.sleep(0.05)
        os.write(keyboard, typed)

    typist = threading.Thread(target=type_it)
    typist.start()
    return typist


def test_what_is_typed_is_returned_and_not_shown(keyboard: int) -> None:
    os.write(keyboard, b"too early\n")
    typist = type_once_asked(keyboard, " gr\u00fc\u00df dich ".encode() + b"\n")

    answer = terminal.ask(ASKED.decode(), lambda: False)

    typist.join()
    assert answer == " gr\u00fc\u00df dich ".encode()
    assert seen(keyboard).replace(b"\r", b"").removeprefix(b"too early\n") == ASKED + b"\n"
    assert echoes(keyboard)


@pytest.mark.parametrize("typed", [b"\x04", b"half\x04\x04"])
def test_the_end_of_input_is_no_answer(keyboard: int, typed: bytes) -> None:
    typist = type_once_asked(keyboard, typed)

    assert terminal.ask(ASKED.decode(), lambda: False) is None

    typist.join()
    assert echoes(keyboard)


def test_a_signal_ends_the_asking_and_the_terminal_is_as_before(keyboard: int) -> None:
    stopped = threading.Event()
    threading.Timer(0.3, stopped.set).start()

    assert terminal.ask(ASKED.decode(), stopped.is_set) is None
    assert echoes(keyboard)


@pytest.mark.usefixtures("keyboard")
def test_without_a_terminal_there_is_nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    assert terminal.is_there()
    monkeypatch.setattr(terminal, "TERMINAL", "/nowhere/tty")
    assert not terminal.is_there()
    with pytest.raises(FileNotFoundError):
        terminal.ask(ASKED.decode(), lambda: False)
