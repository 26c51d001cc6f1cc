"""Runs a profile's hooks: the output of each is shown under its name, and none runs longer than its time-out."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from lvmsnap.model.profile import Argv
from lvmsnap.model.target import Target
from lvmsnap.planning import hook_actions
from lvmsnap.system import processes
from lvmsnap.system.held_signals import Signals
from lvmsnap.system.processes import Process

GRACE_SECONDS = 5.0
# How often to check whether a hook whose output is no longer read has ended.
POLL_SECONDS = 0.05


class HookRunner:
    """Runs hooks one at a time, each in a session of its own, with no input.

    Hooks do not inherit the lock's descriptor: a process that a hook leaves running must not keep the lock, or nobody
    could run after_snapshot once lvmsnap was killed.
    """

    def __init__(self, signals: Signals, say: Callable[[str], None]) -> None:
        """`say` gets each line that a hook prints."""
        self._signals, self._say = signals, say
        self._began: float | None = None
        self._pipes: list[int] = []

    def run(self, hook: str, argv: Argv, target: Target) -> str:
        """Run the hook of that name to its end; return what is wrong, "" if it exited with 0.

        INT, TERM and HUP end only before_snapshot: the other hooks release or clean up, and run in any case.
        """
        if hook == hook_actions.BEFORE_SNAPSHOT:
            self._began = time.monotonic()
        complaint = self._run(hook, argv, target)
        if hook == hook_actions.AFTER_SNAPSHOT and not complaint and self._began is not None:
            seconds = time.monotonic() - self._began
            self._say(f"from the start of before_snapshot to the end of after_snapshot: {seconds:.1f} s")
            self._began = None
        return complaint

    def _run(self, name: str, argv: Argv, target: Target) -> str:
        # A process that a hook leaves running may print later: its pipe stays open as long as this process lives, since
        # SIGPIPE could end what keeps a database quiesced.
        reading, writing = os.pipe2(os.O_CLOEXEC)
        self._pipes.append(reading)
        try:
            process = processes.start_hook(argv, hook_actions.variables(target), writing)
        except (OSError, ValueError) as error:
            return f"{argv[0]}: {getattr(error, 'strerror', '') or error}"
        finally:
            os.close(writing)
        lines = _Lines(reading, lambda line: self._say(f"{name}: {line}"))
        try:
            stopped = self._wait(process, name, lines, target.hooks.timeout_seconds)
            lines.finish()
        except BaseException:
            _end(process)
            raise
        status = process.returncode or 0
        if not status and not stopped:
            return ""
        how = stopped or (f"exit {status}" if status > 0 else signal.Signals(-status).name)
        return f"{how}: {lines.last}" if lines.last else how

    def _wait(self, process: Process, name: str, lines: _Lines, timeout_seconds: int) -> str:
        """Wait for the hook itself to end, not for what it left running; return why it was stopped, or ""."""
        deadline, why = time.monotonic() + timeout_seconds, ""
        kills = iter((signal.SIGTERM, signal.SIGKILL))
        while process.poll() is None:
            lines.read(POLL_SECONDS)
            now = time.monotonic()
            is_signalled = name == hook_actions.BEFORE_SNAPSHOT and bool(self._signals.received) and not why
            if not is_signalled and now < deadline:
                continue
            number = next(kills, None)
            if number is None:
                return f"{why}, but it cannot be killed"
            why = why or (
                f"stopped by {self._signals.name}" if is_signalled else f"took longer than {timeout_seconds} s"
            )
            deadline = now + GRACE_SECONDS
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        return why


def _end(process: Process) -> None:
    """End a hook whose output is no longer read: it must not interfere with what is undone now."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                return
            time.sleep(POLL_SECONDS)


class _Lines:
    """Reads from a pipe and passes the output on line by line; `last` is the last line that was not blank."""

    def __init__(self, reading: int, give: Callable[[str], None]) -> None:
        os.set_blocking(reading, False)
        self._reading, self._give = reading, give
        self._is_open = True
        self._begun = b""
        self.last = ""

    def read(self, seconds: float) -> bool:
        """Wait that long for output and pass it on; return whether there was any."""
        if not self._is_open:
            time.sleep(seconds)
            return False
        if not select.select([self._reading], [], [], seconds)[0]:
            return False
        piece = os.read(self._reading, 65536)
        self._is_open = bool(piece)
        *whole, self._begun = (self._begun + piece).split(b"\n")
        for line in whole:
            self._tell(line)
        return self._is_open

    def finish(self) -> None:
        """Pass on what is already there, including a last line without a newline."""
        while self.read(0):
            pass
        self._tell(self._begun)
        self._begun = b""

    def _tell(self, line: bytes) -> None:
        text = line.decode(errors="replace").expandtabs().rstrip()
        if text:
            self.last = text
            self._give(text)
