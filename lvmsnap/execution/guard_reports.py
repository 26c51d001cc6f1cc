"""Keeps what a snapshot's guard saw last, for `status`: /run/lvmsnap/NAME.guard. Helpful, never required."""

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
    """Return where the sighting of snapshot `number` of profile `name` is kept; the first is 1.

    Profile names have no dot, so it cannot be a mountpoint.
    """
    return Path(RUN_DIR, f"{name}.guard" if number == 1 else f"{name}.{number}.guard")


def write(name: str, seen: Sighting, number: int = 1) -> None:
    """Replace the last sighting. If that fails nothing is kept: a guard has more important work."""
    with suppress(OSError):
        atomic_files.replace(path(name, number), codec.to_json(asdict(seen)).encode(), is_durable=False)


def read(name: str, number: int = 1) -> Sighting | None:
    """Return the last sighting, None if there is none or it makes no sense."""
    try:
        return _parse(atomic_files.read_small(path(name, number), LARGEST_BYTES))
    except (OSError, ValueError):
        return None


def remove(name: str) -> None:
    """Remove all sightings. None there is no error; one that stays does no harm: it names its snapshot by UUID."""
    with suppress(OSError):
        for old in (*Path(RUN_DIR).glob(f"{name}.guard*"), *Path(RUN_DIR).glob(f"{name}.*.guard*")):
            with suppress(OSError):
                old.unlink()


def _parse(raw: bytes) -> Sighting:
    seen = codec.decoded(Sighting, codec.parsed(raw))
    if seen.last_growth is not None and datetime.fromisoformat(seen.last_growth.time).tzinfo is None:
        raise ValueError("a time without a zone")
    return seen
