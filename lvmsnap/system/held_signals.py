"""Signals during work: deferred until a step is done."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# What ends a process that does not handle it: somebody's request, an alarm set before this program was started
# (`alarm`, then exec), a limit on processor time.
ENDING = (
    *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
    *(signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU),
)


class Signals:
    """Defers what would end this process while something is being changed; `received` is the first of it, or 0.

    It is reentrant. `pass_on`, if set, gets each signal at once.
    """

    def __init__(self) -> None:
        self.received = 0
        self.pass_on: Callable[[int], None] | None = None
        self._depth = 0
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Signals:
        self._depth += 1
        if self._depth > 1:
            return self
        for number in ENDING:
            # A command started by nohup ignores HUP, and that must stay so.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth:
            return
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def name(self) -> str:
        """The received signal's name, "" if there was none."""
        return signal.Signals(self.received).name if self.received else ""

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.received = self.received or number
        if self.pass_on is not None:
            self.pass_on(number)


@contextmanager
def arrivals() -> Iterator[int]:
    """Yield a descriptor that is readable after each signal that has a handler of ours (signal.set_wakeup_fd)."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)
