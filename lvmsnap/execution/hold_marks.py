"""The mark by which a hold vouches for its snapshot: /run/lvmsnap/NAME.hold, from READY until it is lost or stopped."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from lvmsnap.model import codec
from lvmsnap.model.dataclass import asdict
from lvmsnap.model.paths import RUN_DIR
from lvmsnap.model.target import Process
from lvmsnap.system import atomic_files

LARGEST_BYTES = 4096


def path(name: str) -> Path:
    """Return where the mark of profile `name` is. Profile names have no dot, so it cannot be a mountpoint."""
    return Path(RUN_DIR, f"{name}.hold")


def write(name: str, process: Process) -> None:
    """Mark the snapshot that `process` holds as good. Raises OSError."""
    path(name).parent.mkdir(mode=0o700, exist_ok=True)
    atomic_files.replace(path(name), codec.to_json(asdict(process)).encode(), is_durable=False)


def read(name: str) -> Process | None:
    """Return the process that made the mark, None if there is none or it makes no sense."""
    try:
        return codec.decoded(Process, codec.parsed(atomic_files.read_small(path(name), LARGEST_BYTES)))
    except (OSError, ValueError):
        return None


def remove(name: str) -> None:
    """Remove the mark. One that is absent, or stays, is no error: it only counts while its process runs."""
    with suppress(OSError):
        path(name).unlink()
