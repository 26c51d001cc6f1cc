"""The profiles' states as Prometheus metrics, in the text format that node_exporter's textfile collector reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from lvmsnap.planning.state import State, Status
from lvmsnap.planning.volume_state import VolumeStatus

# Labels and value.
Sample = tuple[str, float]
PREFIX = "lvmsnap_"


def to_prometheus(statuses: tuple[Status, ...], now: datetime) -> str:
    """Return the metrics of all profiles; an unknown value has no sample."""
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
    for name, meaning in PROFILE_METRICS.items():
        of_profile = ((_labels(profile=status.name), _profile_values(status)[name]) for status in statuses)
        yield from _family(name, meaning, _known(of_profile))
    for name, meaning in SNAPSHOT_METRICS.items():
        of_volume = (
            (_labels(profile=status.name, origin=volume.origin), _snapshot_values(volume)[name])
            for status in statuses
            for volume in status.volumes
        )
        yield from _family(name, meaning, _known(of_volume))
    peaks = ((status.name, peak) for status in statuses if status.last_run for peak in status.last_run.snapshots)
    ratios = [(_labels(profile=name, origin=peak.origin), peak.peak_fill_ratio) for name, peak in peaks]
    for name, meaning in PEAK_METRICS.items():
        yield from _family(name, meaning, ratios)


def _known(values: Iterable[tuple[str, float | None]]) -> list[Sample]:
    return [(labels, float(value)) for labels, value in values if value is not None]


PROFILE_METRICS = {
    "profile_problem": "Whether a person should look at the profile: lvmsnap status says why.",
    "up_timestamp_seconds": "When the profile was brought up.",
    "last_run_timestamp_seconds": "When the last run of the profile started.",
    "last_run_exit_code": "With which exit code the last run ended; 0 where all went well.",
    "last_run_duration_seconds": "How long the last run took, from up to down.",
}
SNAPSHOT_METRICS = {
    "snapshot_size_bytes": "The snapshot's space for changes; of a thin one, its pool's.",
    "snapshot_fill_ratio": "How much of the snapshot's space is used, 0 to 1.",
    "snapshot_fill_bytes_per_second": "How fast it fills, by the guard's last seconds, else the mean since up.",
    "snapshot_full_in_seconds": "When it is full at this rate, +Inf where it does not fill.",
    "snapshot_guarded": "Whether lvmsnap run or watch guards it at the moment.",
    "snapshot_last_growth_timestamp_seconds": "When it was last given more room while it was up.",
    "snapshot_last_growth_bytes": "How much room it was given then.",
}
PEAK_METRICS = {"last_run_peak_fill_ratio": "How full the snapshot became at most in the last run, 0 to 1."}


def _profile_values(status: Status) -> dict[str, float | None]:
    run = status.last_run
    return {
        "profile_problem": not status.is_well,
        "up_timestamp_seconds": _timestamp(status.time),
        "last_run_timestamp_seconds": _timestamp(run.started if run else ""),
        "last_run_exit_code": run.exit_code if run else None,
        "last_run_duration_seconds": run.duration_seconds if run else None,
    }


def _snapshot_values(volume: VolumeStatus) -> dict[str, float | None]:
    rate, fill, grown = volume.rate_bytes_per_second, volume.fill_percent, volume.last_growth
    exists = volume.size_bytes > 0
    return {
        "snapshot_size_bytes": volume.size_bytes if exists else None,
        "snapshot_fill_ratio": None if fill is None else fill / 100,
        "snapshot_fill_bytes_per_second": rate,
        "snapshot_full_in_seconds": float("inf") if rate == 0 else volume.seconds_to_full,
        "snapshot_guarded": volume.rate_over == "guard" if exists else None,
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
    """Return a label's value escaped for quotes; bytes that are not UTF-8 become \\xNN."""
    printable = value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return printable.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
