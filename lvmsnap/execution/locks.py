"""The locks: one per profile for a whole walk, one per volume group around LVM's changes; and LVM's own.

All are taken with flock(2), and the wait for each is bounded. A command that outlives a killed lvmsnap keeps those that
it inherited.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from lvmsnap.execution.records import RecordError
from lvmsnap.model.dataclass import dataclass, field
from lvmsnap.model.errors import Refusal, RefusedError, why_not_written
from lvmsnap.model.paths import RUN_DIR
from lvmsnap.system import lvm_lock_holder, process_table
from lvmsnap.system.processes import Runner

PAUSE_SECONDS = 0.1


@dataclass(slots=True)
class Waiting:
    """How long to wait for each lock, and where to report that; a lock that timed out once is not waited for again."""

    seconds: float
    announce: Callable[[str], None]
    in_vain: set[str] = field(default_factory=set)

    def until(self, what: str, blocked: Callable[[], str]) -> str:
        """Wait until `blocked` returns "", at most `seconds`; return who still holds `what`, or ""."""
        deadline = time.monotonic() + (0 if what in self.in_vain else self.seconds)
        is_announced = False
        while (holder := blocked()) and time.monotonic() < deadline:
            if not is_announced:
                self.announce(f"waiting up to {self.seconds:g} s for {holder}, which holds {what}")
                is_announced = True
            time.sleep(PAUSE_SECONDS)
        if holder:
            self.in_vain.add(what)
        return holder


@contextmanager
def profile(name: str, waiting: Waiting, directory: str = RUN_DIR) -> Iterator[tuple[int, ...]]:
    """Hold the lock of a profile, so that nobody takes a walk in progress for a leftover; yield the descriptors.

    An older lvmsnap has one lock for everything: it is kept out too. Raises RefusedError if either is still held when
    the wait is over, and at once if a process that called us holds it: then we run in a hook of this very profile.
    """
    with ExitStack() as stack:
        older = stack.enter_context(_locked(Path(directory, "lock"), "lvmsnap's lock", waiting, fcntl.LOCK_SH))
        own = stack.enter_context(_locked(Path(directory, f"{name}.lock"), f"the lock of {name}", waiting))
        yield older, own


@contextmanager
def loop_device(numbers: tuple[int, ...], directory: str = RUN_DIR) -> Iterator[int]:
    """Reserve the first of these loop devices that no other lvmsnap is about to bind; yield its number."""
    for number in itertools.chain(numbers, range(max(numbers, default=-1) + 1, 1 << 20)):
        with ExitStack() as stack:
            try:
                stack.enter_context(_locked(Path(directory, f".loop{number}"), "it", Waiting(0, lambda _: None)))
            except RefusedError:
                continue
            yield number
            return


class GroupLocks:
    """The locks of the volume groups that LVM is changing for one walk; every command of the runner inherits them."""

    def __init__(self, runner: Runner, waiting: Waiting, directory: str = RUN_DIR) -> None:
        """Start without any lock held."""
        self._runner, self._waiting, self._directory = runner, waiting, directory
        self._held: tuple[str, ...] | None = None
        self._stack = ExitStack()

    def hold(self, groups: tuple[str, ...], *, with_pvs: bool, lending: bool = False) -> None:
        """Hold the locks of these groups, taken in sorted order, and no others; then wait until LVM's own are free.

        LVM waits for its locks without limit, so they are checked first; with `with_pvs`, the one of all PVs too. With
        `lending` no other profile lends space to any group meanwhile: two at once, each on the other's origin, would
        both see no ring yet. Raises RefusedError, with nothing held, if one of the locks is still held when the wait is
        over.
        """
        try:
            if groups != self._held:
                self.release()
                for group in sorted(groups):
                    self._take(f".{group}.group", f"lvmsnap's lock of {group}")
                if lending:
                    self._take(".lending", "lvmsnap's lock for lending space")
                self._held = groups
            for group in groups:
                _wait_for_lvm(f"V_{group}", f"LVM's lock of {group}", self._waiting)
            if with_pvs:
                _wait_for_lvm(lvm_lock_holder.GLOBAL, "LVM's lock of all PVs", self._waiting)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Release all."""
        self._held = None
        self._stack.close()

    def _take(self, file: str, what: str) -> None:
        descriptor = self._stack.enter_context(_locked(Path(self._directory, file), what, self._waiting))
        self._runner.lock_fds = (*self._runner.lock_fds, descriptor)
        self._stack.callback(self._forget, descriptor)

    def _forget(self, descriptor: int) -> None:
        self._runner.lock_fds = tuple(fd for fd in self._runner.lock_fds if fd != descriptor)


def is_changed_by_another(groups: tuple[str, ...], directory: str = RUN_DIR) -> bool:
    """Whether another lvmsnap is changing one of these groups: during a cut it holds origins without LVM's own lock."""
    for group in groups:
        path = Path(directory, f".{group}.group")
        try:
            with _locked(path, "it", Waiting(0.0, lambda _: None), fcntl.LOCK_SH):
                continue
        except RefusedError:
            if path.read_text(errors="replace").strip() != str(os.getpid()):
                return True
    return False


@contextmanager
def reading(groups: tuple[str, ...], waiting: Waiting) -> Iterator[None]:
    """Hold LVM's own locks of these groups for reading: no command on them is half done meanwhile.

    LVM's report is then read with --nolocking, which does not wait for other groups. Raises RefusedError if one of the
    locks is still held when the wait is over.
    """
    with ExitStack() as stack:
        if Path(lvm_lock_holder.directory()).is_dir():
            for group in sorted(groups):
                stack.enter_context(_read_locked(group, waiting))
        yield


@contextmanager
def _read_locked(group: str, waiting: Waiting) -> Iterator[None]:
    path = Path(lvm_lock_holder.directory(), f"V_{group}")
    descriptors: list[int] = []

    def blocked() -> str:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o777)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            # LVM removes the file as it unlocks; a lock on a removed file keeps nobody out.
            with suppress(FileNotFoundError):
                if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                    descriptors.append(descriptor)
                    return ""
        except BlockingIOError:
            os.close(descriptor)
            return lvm_lock_holder.holder(f"V_{group}") or "another command"
        os.close(descriptor)
        return "another command"

    try:
        _refuse(waiting.until(f"LVM's lock of {group}", blocked), f"LVM's lock of {group}", waiting)
        yield
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _wait_for_lvm(lock: str, what: str, waiting: Waiting) -> None:
    _refuse(waiting.until(what, lambda: lvm_lock_holder.holder(lock)), what, waiting)


@contextmanager
def _locked(path: Path, what: str, waiting: Waiting, how: int = fcntl.LOCK_EX) -> Iterator[int]:
    descriptor = _open(path)
    try:

        def blocked() -> str:
            try:
                fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
                if pid.isdigit() and int(pid) in process_table.ancestors(os.getpid()):
                    refused = f"{what} is held by pid {pid}, the lvmsnap that called this one"
                    raise RefusedError((Refusal(refused, "a hook cannot call lvmsnap for its own profile"),)) from None
                return f"another lvmsnap (pid {pid or 'unknown'})"
            return ""

        _refuse(waiting.until(what, blocked), what, waiting)
        if how == fcntl.LOCK_EX:
            _sign(descriptor, path)
        yield descriptor
    finally:
        os.close(descriptor)


def _sign(descriptor: int, path: Path) -> None:
    """Write our pid into a lock's file, which says who holds it."""
    try:
        # Overwrite before truncating: on a full filesystem, a file truncated first might get no block again.
        os.ftruncate(descriptor, os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0))
    except OSError as error:
        hint = why_not_written(error, str(path))
        raise RecordError(f"the lock cannot be written: {path}: {error.strerror}", hint=hint) from error


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stat.S_IMODE(path.parent.stat().st_mode) != 0o700:
            path.parent.chmod(0o700)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        hint = f"lvmsnap changes nothing without it; {why_not_written(error, str(path))}"
        raise RecordError(f"the lock cannot be opened: {path}: {error.strerror}", hint=hint) from error


def _refuse(holder: str, what: str, waiting: Waiting) -> None:
    if holder:
        seconds = waiting.seconds
        found = f"{holder} has held {what} for {seconds:g} s" if seconds else f"{holder} holds {what}"
        raise RefusedError((Refusal(found, "try again when it has ended, or with a longer --wait"),))
