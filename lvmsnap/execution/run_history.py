"""The history of a profile's runs: /var/lib/lvmsnap/history/NAME.jsonl, one line per run. Helpful, never required."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import MAXYEAR, datetime
from pathlib import Path

from lvmsnap.model import codec
from lvmsnap.model.dataclass import asdict
from lvmsnap.model.lvm_names import is_profile_name
from lvmsnap.model.past_run import PastRun
from lvmsnap.model.paths import STATE_DIR
from lvmsnap.system import atomic_files

FORMAT = 1
# Beyond this, the oldest runs are dropped.
LARGEST_LINES, LARGEST_BYTES = 100, 64 << 10
# How long to wait for another run that is adding its own line at this moment.
WAIT_SECONDS = 5.0


def path(name: str) -> Path:
    """Return where the history of profile `name` is kept. The directory's name lacks .json, so it is not a record."""
    return Path(STATE_DIR, "history", f"{name}.jsonl")


def add(name: str, run: PastRun) -> None:
    """Append a run; the oldest ones are dropped if there are too many. Raises OSError, ValueError."""
    line = codec.to_json({"format": FORMAT, **asdict(run)}).encode("ascii")
    file = path(name)
    with _locked(file.parent):
        lines = [*_lines(_content(file)), line][-LARGEST_LINES:]
        while sum(map(len, lines)) + len(lines) > LARGEST_BYTES:
            lines.pop(0)
        if not lines:
            raise ValueError(f"a run of {len(line)} bytes is more than a history holds")
        atomic_files.replace(file, b"".join(one + b"\n" for one in lines))


def read(name: str) -> tuple[PastRun, ...]:
    """Return the known runs of profile `name`, oldest first. What cannot be read is left out."""
    with suppress(OSError):
        return tuple(run for line in _content(path(name)).split(b"\n") if (run := _parsed(line)))
    return ()


def last(name: str) -> PastRun | None:
    """Return the last run of profile `name`, None if none is known."""
    with suppress(OSError):
        lines = reversed(_content(path(name)).split(b"\n"))
        return next(filter(None, map(_parsed, lines)), None)
    return None


def why_unread(name: str) -> str:
    """Return why an existing history yields no run, "" if it yields one, does not exist, or is empty."""
    try:
        content = _content(path(name))
    except OSError as error:
        return error.strerror or str(error)
    return "" if not content.strip() or read(name) else "it has no line that is a run"


def names() -> tuple[str, ...]:
    """Return the names of all profiles that have a history, sorted."""
    with suppress(OSError):
        return tuple(sorted(one.stem for one in path("x").parent.glob("*.jsonl") if is_profile_name(one.stem)))
    return ()


def _content(file: Path) -> bytes:
    """Return the last LARGEST_BYTES of the file, b"" if it does not exist.

    Raises OSError, also for anything but a regular file of root's: that is somebody else's, and left alone.
    """
    try:
        descriptor = atomic_files.open_own(file)
    except FileNotFoundError:
        return b""
    with os.fdopen(descriptor, "rb") as opened:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise OSError(0, "it is not a regular file of root's", str(file))
        opened.seek(max(0, status.st_size - LARGEST_BYTES))
        return opened.read(LARGEST_BYTES)


def _lines(content: bytes) -> list[bytes]:
    """Return the lines of a history, also those of another version; torn or foreign lines are left out."""
    return [line for line in content.split(b"\n") if _data(line)]


def _data(line: bytes) -> dict[str, object]:
    with suppress(ValueError):
        data = codec.parsed(line)
        return data if isinstance(data.get("format"), int) else {}
    return {}


def _parsed(line: bytes) -> PastRun | None:
    data = _data(line)
    if data.pop("format", None) != FORMAT:
        return None
    with suppress(ValueError):
        run = codec.decoded(PastRun, data)
        started = datetime.fromisoformat(run.started)
        # The first and last year may overflow when converted to another zone.
        return run if started.tzinfo and 1 < started.year < MAXYEAR else None
    return None


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Make the directory for root alone, and lock it while a run is added. Raises OSError."""
    for folder in (directory.parent, directory):
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for status, where in ((directory.parent.stat(), directory.parent), (os.fstat(descriptor), directory)):
            if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise OSError(0, "users other than root can write there", str(where))
        until = time.monotonic() + WAIT_SECONDS
        while not _lock(descriptor):
            if time.monotonic() > until:
                raise OSError(0, "another run of lvmsnap is at work there", str(directory))
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
