"""The profiles' states as metrics for Prometheus, in the text format that node_exporter's collector reads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from lvmsnap.planning.state import State, Status

# Labels and value.
Sample = tuple[str, float]
PREFIX = "lvmsnap_"


def to_prometheus(statuses: tuple[Status, ...], now: datetime) -> str:
    """Return the metrics of all profiles; what is not known of one has no sample."""
    return "".join(f"{line}\n" for line in _lines(statuses, now))


def _lines(statuses: tuple[Status, ...], now: datetime) -> Iterator[str]:
    yield from _family("status_timestamp_seconds", "When this was read.", [("", now.timestamp())])
    states = ", ".join(state.value for state in State)
    samples = [
        (_labels(profile=status.name, state=state.value), float(status.state is state))
        for status in statuses
        for state in State
    ]
    yield from _family("profile_state", f"Whether the profile is in this state: {states}.", samples)
    values = [(status, _values(status)) for status in statuses]
    for name, meaning in METRICS.items():
        found = [(_labels(profile=status.name), value[name]) for status, value in values if value[name] is not None]
        yield from _family(name, meaning, [(labels, float(value)) for labels, value in found if value is not None])


METRICS = {
    "profile_problem": "Whether a person should look at the profile: lvmsnap status says why.",
    "up_timestamp_seconds": "When the profile was brought up.",
    "snapshot_size_bytes": "The snapshot's space for changes; of a thin one, its pool's.",
    "snapshot_fill_ratio": "How much of the snapshot's space is used, 0 to 1.",
    "snapshot_fill_bytes_per_second": "How fast it fills, by the guard's last seconds, else the mean since up.",
    "snapshot_full_in_seconds": "When it is full at this rate, +Inf where it does not fill.",
    "snapshot_guarded": "Whether lvmsnap run or watch guards it at the moment.",
    "snapshot_last_growth_timestamp_seconds": "When it was last given more room while it was up.",
    "snapshot_last_growth_bytes": "How much room it was given then.",
}


def _values(status: Status) -> dict[str, float | None]:
    rate, fill, grown = status.rate_bytes_per_second, status.fill_percent, status.last_growth
    exists = status.size_bytes > 0
    return {
        "profile_problem": not status.is_well,
        "up_timestamp_seconds": _timestamp(status.time),
        "snapshot_size_bytes": status.size_bytes if exists else None,
        "snapshot_fill_ratio": None if fill is None else fill / 100,
        "snapshot_fill_bytes_per_second": rate,
        "snapshot_full_in_seconds": float("inf") if rate == 0 else status.seconds_to_full,
        "snapshot_guarded": status.rate_over == "guard" if exists else None,
        "snapshot_last_growth_timestamp_seconds": _timestamp(grown.time if grown else ""),
        "snapshot_last_growth_bytes": grown.bytes if grown else None,
    }


def _timestamp(time: str) -> float | None:
    return datetime.fromisoformat(time).timestamp() if time else None


def _family(name: str, meaning: str, samples: list[Sample]) -> Iterator[str]:
    if not samples:
        return
    yield f"# HELP {PREFIX}{name} {meaning}"
    yield f"# TYPE {PREFIX}{name} gauge"
    for labels, value in samples:
        yield f"{PREFIX}{name}{labels} {_number(value)}"


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(value)


def _labels(**labels: str) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    """Return a label's value as it exists between quotes; bytes that are no UTF-8 become \\xNN."""
    printable = value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return printable.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
