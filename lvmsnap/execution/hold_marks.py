"""The word of a hold that its snapshot is good: /run/lvmsnap/NAME.hold, from READY until it is lost or stopped."""

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
    """Return where the mark of profile `name` is. No profile's name has a dot, so it is no mountpoint."""
    return Path(RUN_DIR, f"{name}.hold")


def write(name: str, process: Process) -> None:
    """Say that what `process` holds is good. Raises OSError."""
    path(name).parent.mkdir(mode=0o700, exist_ok=True)
    atomic_files.replace(path(name), codec.to_json(asdict(process)).encode(), is_durable=False)


def read(name: str) -> Process | None:
    """Return whose word there is, None where there is none or it makes no sense."""
    try:
        return codec.decoded(Process, codec.parsed(atomic_files.read_small(path(name), LARGEST_BYTES)))
    except (OSError, ValueError):
        return None


def remove(name: str) -> None:
    """Take the word back; one that is not there, or stays, is no error: it counts as long as its process runs."""
    with suppress(OSError):
        path(name).unlink()
