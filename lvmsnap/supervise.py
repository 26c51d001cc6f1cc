"""Runs the user's command: its own process group, the terminal's foreground, signals passed on, waited for."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from lvmsnap import runner
from lvmsnap.runner import Signals

GRACE_SECONDS = 60.0
SHORT_GRACE_SECONDS = 5.0


@dataclass(slots=True)
class _Ending:
    """When a command that was sent a signal is killed; None while none was sent."""

    deadline: float | None = None


def supervise(argv: tuple[str, ...], variables: dict[str, str], signals: Signals, look: Callable[[], float]) -> int:
    """Run the command to its end and return its exit status, 128 + N where signal N ended it.

    `look` is called at once, then again after as many seconds as it returns. INT, TERM and HUP go on to the
    command's process group, which then has GRACE_SECONDS to end; a second signal leaves it SHORT_GRACE_SECONDS.
    Raises OSError where the command cannot be started.
    """
    ending = _Ending()
    with _child_signals() as wakeup, _terminal() as terminal:
        pid = runner.start(argv, variables)
        terminal.give(pid)

        def pass_on(number: int) -> None:
            grace = GRACE_SECONDS if ending.deadline is None else SHORT_GRACE_SECONDS
            ending.deadline = min(ending.deadline or float("inf"), time.monotonic() + grace)
            _kill_group(pid, number)

        signals.pass_on = pass_on
        try:
            if signals.received:
                pass_on(signals.received)
            return _wait(pid, wakeup, terminal, ending, look)
        finally:
            signals.pass_on = None
            terminal.take_back()


def _wait(pid: int, wakeup: int, terminal: Terminal, ending: _Ending, look: Callable[[], float]) -> int:
    next_look = 0.0
    while True:
        status = _reap(pid)
        if status is not None and os.WIFSTOPPED(status):
            terminal.stop_with(pid)
        elif status is not None:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        now = time.monotonic()
        if now >= next_look:
            next_look = now + look()
        if ending.deadline is not None and now >= ending.deadline:
            _kill_group(pid, signal.SIGKILL)
            ending.deadline = now + SHORT_GRACE_SECONDS
        until = min(next_look, ending.deadline or next_look)
        select.select([wakeup], [], [], max(0.0, until - now))
        _drain(wakeup)


def _reap(pid: int) -> int | None:
    waited, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
    return status if waited else None


def _kill_group(pid: int, number: int) -> None:
    # It may have ended by itself; waitpid tells how.
    with suppress(ProcessLookupError):
        os.killpg(pid, number)
        # A stopped command could not act on the signal.
        os.killpg(pid, signal.SIGCONT)


@contextmanager
def _child_signals() -> Iterator[int]:
    """Yield a descriptor that is readable after each signal, SIGCHLD among them (signal.set_wakeup_fd)."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    old_wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(old_wakeup)
        signal.signal(signal.SIGCHLD, before)
        os.close(reading)
        os.close(writing)


def _drain(descriptor: int) -> None:
    with suppress(BlockingIOError):
        os.read(descriptor, 4096)


class Terminal:
    """The terminal, where we have it in the foreground: handed to the command, and taken back (tcsetpgrp(3))."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def give(self, pid: int) -> None:
        """Make the command's group the foreground; a command that read before it was stopped, so continue it."""
        if self._descriptor is not None:
            self._set(pid)
            _kill_group(pid, signal.SIGCONT)

    def take_back(self) -> None:
        """Make our own group the foreground again."""
        if self._descriptor is not None:
            self._set(os.getpgrp())

    def stop_with(self, pid: int) -> None:
        """Stop as the command did (Ctrl-Z), so that the shell has the terminal; go on when the shell says so."""
        if self._descriptor is None:
            return
        self.take_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self.give(pid)

    def _set(self, group: int) -> None:
        if self._descriptor is None:
            return
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        # The terminal may be gone, or the command's group.
        with suppress(OSError):
            os.tcsetpgrp(self._descriptor, group)
        signal.signal(signal.SIGTTOU, before)


@contextmanager
def _terminal() -> Iterator[Terminal]:
    try:
        in_foreground = os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        in_foreground = False
    yield Terminal(0 if in_foreground else None)
