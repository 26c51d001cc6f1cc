"""Starts processes: the only module that does. Environment, session, signals, timing and stalls are decided here."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.errors import ToolError
from lvmsnap.model.printable import on_lines, shell_word
from lvmsnap.model.profile import FILLERS
from lvmsnap.system import limits, udev_cookies
from lvmsnap.system.held_signals import Signals

STALL_SECONDS = 15.0
# A slow command is checked every LOOK_SECONDS; if LOOKS checks in a row find it waiting for a lost event, release it.
LOOK_SECONDS = 1.0
LOOKS = 3
LOST_EVENT = "waited for udev, which has lost an event: see df -h /run, df -i /run and journalctl -u systemd-udevd"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Filling the backing file can take minutes and nothing depends on it yet, so a signal may end it. Every other
# command is left to finish: an interrupted LVM command leaves devices suspended.
INTERRUPTIBLE = frozenset(FILLERS.values())
NOT_FOUND, NOT_STARTED = 127, 126
TIME_OVER = "the time set by --stop-after is over"

Process = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended. `returncode` is negative for a signal, 127 if there is no such program, 126 if it was
    not started."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether it exited with 0."""
        return self.returncode == 0

    @property
    def complaint(self) -> str:
        """Say how it failed, in one or more lines: its exit status and what it wrote to stderr."""
        status = f"exit {self.returncode}" if self.returncode >= 0 else signal.Signals(-self.returncode).name
        text = on_lines(self.stderr) or on_lines(self.stdout)
        return f"{status}: {text}" if text else status


def shell_line(argv: tuple[str, ...]) -> str:
    """Return the command as a person would paste it into a shell."""
    return " ".join(shell_word(word, shlex.quote(word)) for word in argv)


@dataclass(slots=True)
class _Waiting:
    """The cookie that a command waits for, and in how many checks in a row: udev may only just be getting the event."""

    cookie: int = 0
    times: int = 0

    def in_vain(self, leader: int) -> int:
        """Check once more; return the cookie if LOOKS checks in a row have found it, else 0."""
        with suppress(Exception):
            cookie = udev_cookies.waited_for(leader)
            self.times = self.times + 1 if cookie and cookie == self.cookie else int(bool(cookie))
            self.cookie = cookie
            return cookie if self.times >= LOOKS else 0
        return 0


class Runner:
    """Runs commands one at a time, each in a session of its own, stdin closed, in a clean C-locale environment.

    `observe` is called with each finished command, `stalled` with (argv, seconds) while one takes long. Every child
    inherits `lock_fds`: one that outlives a killed lvmsnap keeps the locks until it is done. `stop_after` seconds from
    now no more commands are started; a running one is left to finish.
    """

    def __init__(
        self,
        observe: Callable[[Finished], None] = lambda _: None,
        stalled: Callable[[tuple[str, ...], float], None] = lambda _argv, _seconds: None,
        signals: Signals | None = None,
        stop_after: float | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._observe = observe
        self._stalled = stalled
        self._warn = warn
        self._udev_seconds = STALL_SECONDS
        self._signals = signals or Signals()
        self.lock_fds: tuple[int, ...] = ()
        self._deadline = None if stop_after is None else time.monotonic() + stop_after
        self._unheard: list[Finished] | None = None

    def read(self, argv: tuple[str, ...], *, accept: tuple[int, ...] = (0,)) -> Finished:
        """Run a command that only reads. Raises ToolError if its exit status is not in `accept`."""
        finished = self.run(argv)
        if finished.returncode == NOT_FOUND:
            package = "lvm2" if argv[0] == "lvm" else f"the package that has {argv[0]}"
            raise ToolError(f"{argv[0]} is not installed", hint=f"install {package}")
        if finished.returncode == NOT_STARTED and not os.path.exists(os.devnull):
            raise ToolError(f"{os.devnull} is missing", hint=f"make it again: mknod -m 666 {os.devnull} c 1 3")
        if finished.returncode == NOT_STARTED and self._is_time_over():
            raise ToolError(f"the system was not read: {TIME_OVER}", hint="nothing was changed; give it more time")
        if finished.returncode not in accept:
            raise ToolError(
                f"cannot read the system: {shell_line(argv)}: {finished.complaint}",
                hint="run the command by hand and fix the problem it reports; nothing was changed",
            )
        return finished

    def run(self, argv: tuple[str, ...], secret: bytes | None = None) -> Finished:
        """Run a command to its end and return how it went; it never raises for what the command did.

        The command reads `secret` from its stdin, and nobody else sees it.
        """
        start = time.monotonic()
        if self._is_time_over():
            return Finished(argv, NOT_STARTED, "", f"not started: {TIME_OVER}", 0.0)
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL if secret is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment(),
                start_new_session=True,
                umask=0o022,
                pass_fds=self.lock_fds,
            )
        except (OSError, ValueError) as error:
            # ValueError: a word that contains NUL, or cannot be encoded.
            what = getattr(error, "filename", "") or argv[0]
            status = NOT_FOUND if isinstance(error, FileNotFoundError) and what != os.devnull else NOT_STARTED
            complaint = f"{what}: {getattr(error, 'strerror', '') or error}"
            finished = Finished(argv, status, "", complaint, time.monotonic() - start)
        else:
            try:
                stdout, stderr = self._communicate(process, argv, start, secret)
            except BaseException:
                # The undo must not run beside this command; with full pipes it would not end.
                with suppress(BaseException):
                    process.communicate()
                process.wait()
                raise
            text = (stdout.decode(errors="surrogateescape"), stderr.decode(errors="replace"))
            finished = Finished(argv, process.returncode, *text, time.monotonic() - start)
        self._report(finished)
        return finished

    def _is_time_over(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Report the commands that run only afterwards: an observer may write something, and block on that."""
        unheard: list[Finished] = []
        self._unheard = unheard
        try:
            yield
        finally:
            self._unheard = None
            for finished in unheard:
                self._report(finished)

    def _report(self, finished: Finished) -> None:
        if self._unheard is not None:
            self._unheard.append(finished)
            return
        with suppress(Exception):  # an observer must not stop anything
            self._observe(finished)

    def _communicate(
        self, process: subprocess.Popen[bytes], argv: tuple[str, ...], start: float, secret: bytes | None
    ) -> tuple[bytes, bytes]:
        next_stall, waiting = STALL_SECONDS, _Waiting()
        # The shell that opens the file becomes the program that fills it (exec).
        interruptible = argv[0] in INTERRUPTIBLE or (argv[0] == "sh" and not INTERRUPTIBLE.isdisjoint(argv))
        while True:
            try:
                timeout = 0.2 if interruptible else self._look_seconds(time.monotonic() - start, next_stall)
                return process.communicate(secret, timeout=timeout)
            except subprocess.TimeoutExpired:
                secret = None  # it was passed on already
                seconds = time.monotonic() - start
                if interruptible and self._signals.received:
                    process.terminate()
                if seconds >= next_stall and self._unheard is None:
                    with suppress(Exception):
                        self._stalled(argv, seconds)
                    next_stall += next_stall
                if seconds >= self._udev_seconds and (cookie := waiting.in_vain(process.pid)):
                    self._complete(cookie, argv)

    def _look_seconds(self, seconds: float, next_stall: float) -> float:
        """Return in how many seconds to check again on a command that has taken `seconds` so far."""
        if seconds >= self._udev_seconds:
            return min(LOOK_SECONDS, max(0.01, next_stall - seconds))
        return max(0.01, min(self._udev_seconds, next_stall) - seconds)

    def _complete(self, cookie: int, argv: tuple[str, ...]) -> None:
        """Release a command that waits for an event which udev has lost; from now on, check from the start.

        Whatever made udev lose this event will probably make it lose the next one too.
        """
        completion = udev_cookies.completion(cookie)
        with suppress(OSError):
            subprocess.run(completion, env=environment(), capture_output=True, start_new_session=True, check=False)
        if self._udev_seconds and self._unheard is None:
            self._udev_seconds = 0.0
            with suppress(Exception):
                self._warn(f"{argv[0]} {LOST_EVENT}; it was released by {shell_line(completion)}")


def start(argv: tuple[str, ...], variables: dict[str, str]) -> int:
    """Start the user's own command in a process group of its own, with our environment and `variables`.

    It shares our stdin, stdout, stderr and terminal. Returns its pid; raises OSError if it cannot be started.
    """
    process = subprocess.Popen(
        argv,
        env={**os.environ, **variables},
        process_group=0,
        preexec_fn=_before_the_users_own(),  # noqa: PLW1509  # it takes no lock
    )
    # The caller uses waitpid, which can tell a stop from an exit; Popen must not reap it or complain.
    process.returncode = 0
    return process.pid


def _before_the_users_own() -> Callable[[], None] | None:
    # Without a function to call, a child need not be a copy of this process first (vfork).
    return limits.give_back if limits.are_lifted() else None


def begin_anew_in_utf_8() -> None:
    """Re-execute this program with file names in UTF-8, as in profiles, whatever the locale is (PEP 540).

    Otherwise something made under one locale, a mountpoint for instance, would not be found under another.
    """
    with suppress(OSError):
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def start_hook(argv: tuple[str, ...], variables: dict[str, str], output: int) -> Process:
    """Start a profile's hook in a session of its own; its output goes to the descriptor `output`.

    Its environment is ours, with `variables` and the PATH of all children. Raises OSError if it cannot be started.
    """
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env={**os.environ, "PATH": environment()["PATH"], **variables},
        start_new_session=True,
        preexec_fn=_before_the_users_own(),  # noqa: PLW1509  # it takes no lock
    )


def start_reading(argv: tuple[str, ...]) -> Process:
    """Start a program that only reads, with stderr discarded; its stdout is a pipe.

    Raises OSError if it cannot be started.
    """
    nowhere, pipe = subprocess.DEVNULL, subprocess.PIPE
    return subprocess.Popen(
        argv, stdin=nowhere, stdout=pipe, stderr=nowhere, env=environment(), start_new_session=True, cwd="/"
    )


def fork(work: Callable[[], None]) -> int:
    """Do `work` in a copy of this process, which then exits; return the copy's pid here."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    finally:
        os._exit(0)


def environment() -> dict[str, str]:
    """Return the environment of every child: the caller's PATH followed by the system's, C locale, no LVM warnings."""
    path = os.pathsep.join(filter(None, (os.environ.get("PATH", ""), SYSTEM_PATH)))
    kept = {key: os.environ[key] for key in ("LVM_SYSTEM_DIR", "HOME") if key in os.environ}
    return {"PATH": path, "LC_ALL": "C", "LVM_SUPPRESS_FD_WARNINGS": "1", **kept}
