"""Runs the user's command: in its own process group, in the terminal's foreground, with signals passed on to it."""

from __future__ import annotations

import os
import select
import signal
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.errors import NotStartedError
from lvmsnap.system import held_signals, mount_watch, processes
from lvmsnap.system.held_signals import Signals

GRACE_SECONDS = 60.0
SHORT_GRACE_SECONDS = 5.0


class KilledBy(int):
    """The exit status of a command ended by a signal, 128 + its number; a plain int if it exited with that itself."""

    @property
    def signal_name(self) -> str:
        """The signal's name."""
        with suppress(ValueError):
            return signal.Signals(self - 128).name
        return f"signal {self - 128}"


@dataclass(slots=True)
class _Ending:
    """When to kill a command that was sent a signal; None while none was sent."""

    deadline: float | None = None


def supervise(
    argv: tuple[str, ...],
    variables: dict[str, str],
    signals: Signals,
    look: Callable[[], float],
    began: Callable[[int], None] = lambda _: None,
) -> int:
    """Run the command to its end and return its exit status, KilledBy(128 + N) if signal N ended it.

    `look` is called at once, then again after as many seconds as it returns, and whenever the mount table changes. INT,
    TERM and HUP are passed on to the command's process group, which then has GRACE_SECONDS to end; a second signal
    leaves it SHORT_GRACE_SECONDS.
    `began` is called with its pid. Raises NotStartedError. If `look` raises, the command is killed first.
    """
    ending = _Ending()
    with _child_signals() as wakeup, mount_watch.changes() as remounted, _terminal() as terminal:
        try:
            pid = processes.start(argv, variables)
        except OSError as error:
            hint = "the snapshot was taken down again"
            raise NotStartedError(f"{argv[0]}: {error.strerror}", hint=hint) from error
        terminal.begin(pid)

        def pass_on(number: int) -> None:
            grace = GRACE_SECONDS if ending.deadline is None else SHORT_GRACE_SECONDS
            ending.deadline = min(ending.deadline or float("inf"), time.monotonic() + grace)
            _kill_group(pid, number)

        signals.pass_on = pass_on
        try:
            if signals.received:
                pass_on(signals.received)
            began(pid)
            return _wait(pid, (wakeup, remounted), terminal, ending, look)
        except BaseException:
            _kill_group(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        finally:
            signals.pass_on = None
            terminal.take_back()


def _wait(pid: int, wakers: tuple[int, int], terminal: Terminal, ending: _Ending, look: Callable[[], float]) -> int:
    next_look, (wakeup, remounted) = 0.0, wakers
    while True:
        status = _reap(pid)
        if status is not None and os.WIFSTOPPED(status):
            terminal.stop_with(pid, os.WSTOPSIG(status))
        elif status is not None:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else KilledBy(128 + os.WTERMSIG(status))
        now = time.monotonic()
        if now >= next_look:
            next_look = now + look()
        if ending.deadline is not None and now >= ending.deadline:
            _kill_group(pid, signal.SIGKILL)
            ending.deadline = now + SHORT_GRACE_SECONDS
        until = min(next_look, ending.deadline or next_look)
        _, _, changed = select.select([wakeup], [], [remounted], max(0.0, until - now))
        if changed:
            next_look = now
        _drain(wakeup)


def _reap(pid: int) -> int | None:
    waited, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
    return status if waited else None


def _kill_group(pid: int, number: int, *, resume: bool = True) -> None:
    # It may have ended by itself; waitpid reports how.
    with suppress(ProcessLookupError):
        os.killpg(pid, number)
        if resume:
            # A stopped command could not act on the signal.
            os.killpg(pid, signal.SIGCONT)


@contextmanager
def _child_signals() -> Iterator[int]:
    """Yield a descriptor that is readable after each signal, SIGCHLD among them."""
    before = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    try:
        with held_signals.arrivals() as reading:
            yield reading
    finally:
        signal.signal(signal.SIGCHLD, before)


def _drain(descriptor: int) -> None:
    with suppress(BlockingIOError):
        os.read(descriptor, 4096)


class Terminal:
    """The controlling terminal, if any: the command has it while our job is in the foreground (tcsetpgrp(3))."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._is_given = False

    def begin(self, pid: int) -> None:
        """Give it to a command that was just started; in a pipeline only on demand, since `| less` needs it too."""
        if self._descriptor is None:
            return
        signal.signal(signal.SIGTSTP, lambda number, _frame: _kill_group(pid, number, resume=False))
        if os.isatty(0) and not stat.S_ISFIFO(os.fstat(1).st_mode):
            self._give(pid)

    def take_back(self) -> None:
        """Make our own group the foreground again, unless the shell put the job into the background meanwhile."""
        if self._is_given:
            self._set(os.getpgrp())
        self._is_given = False

    def stop_with(self, pid: int, number: int) -> None:
        """Stop as the command did (Ctrl-Z), so that the shell gets the terminal; continue when the shell says so."""
        if self._descriptor is None:
            return
        had_it = self._is_given
        self.take_back()
        wants_it = number in (signal.SIGTTIN, signal.SIGTTOU)
        if wants_it and self._is_foreground():
            self._give(pid)
            return
        before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        # To the whole job, which may be a pipeline. If no shell could continue it, the kernel does not stop it.
        os.killpg(os.getpgrp(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, before)
        if had_it or wants_it:
            self._give(pid)
        _kill_group(pid, signal.SIGCONT)

    def _give(self, pid: int) -> None:
        if self._is_foreground():
            self._set(pid)
            self._is_given = True
        # A command that read from the terminal before it had it was stopped (SIGTTIN).
        _kill_group(pid, signal.SIGCONT)

    def _is_foreground(self) -> bool:
        try:
            return self._descriptor is not None and os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:
            return False

    def _set(self, group: int) -> None:
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        # The terminal may be gone, or the command's group.
        with suppress(OSError):
            os.tcsetpgrp(self._descriptor or 0, group)
        signal.signal(signal.SIGTTOU, before)


@contextmanager
def _terminal() -> Iterator[Terminal]:
    try:
        descriptor = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield Terminal(None)
        return
    before = signal.getsignal(signal.SIGTSTP)
    try:
        yield Terminal(descriptor)
    finally:
        signal.signal(signal.SIGTSTP, before)
        os.close(descriptor)
