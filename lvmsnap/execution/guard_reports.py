"""Keeps what the guard of a snapshot saw last, for `status`: /run/lvmsnap/NAME.guard. A help, never a need."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from lvmsnap.model import codec
from lvmsnap.model.dataclass import asdict
from lvmsnap.model.facts import Sighting
from lvmsnap.model.paths import RUN_DIR
from lvmsnap.system import atomic_files

LARGEST_BYTES = 4096


def path(name: str, number: int = 1) -> Path:
    """Return where the sighting of a snapshot of profile `name` is kept, the first, the second or a later one.

    No profile's name has a dot, so it is no mountpoint.
    """
    return Path(RUN_DIR, f"{name}.guard" if number == 1 else f"{name}.{number}.guard")


def write(name: str, seen: Sighting, number: int = 1) -> None:
    """Keep a sighting in place of the one before. Where that fails nothing is kept: a guard has better to do."""
    with suppress(OSError):
        atomic_files.replace(path(name, number), codec.to_json(asdict(seen)).encode(), is_durable=False)


def read(name: str, number: int = 1) -> Sighting | None:
    """Return the last sighting, None where there is none or it makes no sense."""
    try:
        return _parse(atomic_files.read_small(path(name, number), LARGEST_BYTES))
    except (OSError, ValueError):
        return None


def remove(name: str) -> None:
    """Remove all sightings; none there is no error, and one that stays is nobody's: it knows its snapshot's UUID."""
    with suppress(OSError):
        for old in (*Path(RUN_DIR).glob(f"{name}.guard*"), *Path(RUN_DIR).glob(f"{name}.*.guard*")):
            with suppress(OSError):
                old.unlink()


def _parse(raw: bytes) -> Sighting:
    seen = codec.decoded(Sighting, codec.parsed(raw))
    if seen.last_growth is not None and datetime.fromisoformat(seen.last_growth.time).tzinfo is None:
        raise ValueError("a time without a zone")
    return seen
