"""The summary of a finished run: how long it took, how full its snapshots became, what size is enough. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lvmsnap.model.past_run import PastRun, Peak, Result
from lvmsnap.model.units import as_written
from lvmsnap.planning.sizing import human


def summary(run: PastRun) -> Iterator[str]:
    """Yield the closing lines of a run; none if its command never started. Its error says how it failed."""
    if run.result is Result.NEVER_STARTED:
        return
    took = f"the {run.kind} took {took_words(run.duration_seconds)}"
    is_said = run.command_status == 0 and run.result not in (Result.LOST, Result.INTERRUPTED)
    yield f"{run.command} ended with exit status 0; {took}" if is_said else took
    yield from peak_lines(run.snapshots, is_lost=run.result is Result.LOST)


def peak_lines(peaks: tuple[Peak, ...], *, is_lost: bool = False) -> Iterator[str]:
    """Yield a line for each snapshot, which names its origin if there are several."""
    for peak in peaks:
        of = f"{peak.origin}: " if len(peaks) > 1 else ""
        yield f"{of}{peak_words(peak, is_lost=is_lost)}"


def peak_words(peak: Peak, *, is_lost: bool = False) -> str:
    """Say how full a snapshot became at most; if it has its own space, also what size would have been enough."""
    if peak.has_overflowed:
        what = f"{human(peak.size_bytes)} were not enough" if not peak.pool else f"{peak.pool} had no room left"
        return f"peak fill 100 %: {what}, unless a disk failed"
    fill = f"peak fill {100 * peak.peak_fill_ratio:.1f} %{' when last seen' if is_lost else ''}"
    if peak.pool:
        return f"{fill}, of the {peak.part} of {peak.pool}, its thin pool"
    grown = f", {human(peak.first_size_bytes)} at first" if peak.first_size_bytes < peak.size_bytes else ""
    used = f"{fill} ({human(peak.peak_bytes)} of {human(peak.size_bytes)}{grown})"
    return f"{used}; {_advice(peak)}" if peak.enough_bytes and not is_lost else used


def _advice(peak: Peak) -> str:
    size = f"`size: {as_written(peak.enough_bytes)}`"
    is_less = peak.enough_bytes <= peak.first_size_bytes
    return f"{size} would have been enough" if is_less else f"with {size} there is room to spare"


def failure(run: PastRun) -> str:
    """Say in a clause how the last run failed, "" if it did not."""
    code, last = f"(exit code {run.exit_code})", f"the last {run.kind}"
    if run.kind == "hold" and run.result in (Result.NEVER_STARTED, Result.FAILED):
        return f"{last} {'never came up' if run.result is Result.NEVER_STARTED else 'failed'} {code}"
    return {
        Result.OK: "",
        Result.LOST: f"{last} lost its snapshot: do not trust what {'it' if run.kind == 'run' else 'was'} read",
        Result.NEVER_STARTED: f"{last} never started {run.command} {code}",
        Result.KILLED: f"{last} was killed, or the power failed",
        Result.INTERRUPTED: f"{last} was interrupted {code}",
        Result.FAILED: f"{last} failed{_how_failed(run) or f' {code}, not its command'}",
    }[run.result]


def _how_failed(run: PastRun) -> str:
    if run.command_signal:
        return f": {run.command} was ended by {run.command_signal}"
    return f": {run.command} ended with exit status {run.command_status}" if run.command_status else ""


def took_words(seconds: float) -> str:
    """Return a duration in at most two units, as a person would say it."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for unit, length, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= length:
            return f"{whole // length} {unit} {whole % length // part} {smaller}"
    return f"{whole} s"
