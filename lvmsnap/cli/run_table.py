"""`lvmsnap status --history`: the last runs of profiles as a table or as JSON. Reads only the histories."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterator
from datetime import datetime, tzinfo

from lvmsnap.cli import arguments, layout
from lvmsnap.cli.error_view import complain
from lvmsnap.cli.layout import BAD, BOLD, GOOD, WARN, Line
from lvmsnap.cli.status_table import duration
from lvmsnap.cli.views import with_nulls
from lvmsnap.execution import run_history
from lvmsnap.model import codec
from lvmsnap.model.dataclass import asdict
from lvmsnap.model.past_run import PastRun, Result
from lvmsnap.model.units import as_written
from lvmsnap.planning.sizing import human
from lvmsnap.system import atomic_files

# The format of what --json prints.
FORMAT = 1
# The table shows only this many runs, the last ones; JSON has all.
LARGEST_ROWS = 20
HEAD = ("STARTED", "TOOK", "RESULT", "EXIT", "COMMAND", "PEAK FILL")
STYLES = {Result.OK: GOOD, Result.INTERRUPTED: WARN}
Histories = dict[str, tuple[PastRun, ...]]


def history_lines(histories: Histories, zone: tzinfo | None = None) -> Iterator[Line]:
    """Yield the last runs of each profile, oldest first, and what size would have been enough for all its runs.

    Times are in `zone`, by default the machine's own.
    """
    if not histories:
        yield (("", "no run of any profile is recorded"),)
    for number, (name, runs) in enumerate(histories.items()):
        if len(histories) > 1:
            if number:
                yield ()
            yield ((BOLD, name),)
        if not runs:
            yield (("", f"no run of {name} is recorded"),)
            continue
        yield from _table(runs[-LARGEST_ROWS:], zone)
        yield from _advice(runs)


def _table(runs: tuple[PastRun, ...], zone: tzinfo | None) -> Iterator[Line]:
    rows = [_row(run, zone) for run in runs]
    widths = [max(len(row[column]) for row in (HEAD, *rows)) for column in range(len(HEAD))]
    yield tuple((BOLD, f"{cell:<{width}}  ") for cell, width in zip(HEAD, widths, strict=True))
    for run, row in zip(runs, rows, strict=True):
        styles = ["", "", STYLES.get(run.result, BAD), "", "", ""]
        yield tuple((style, f"{cell:<{width}}  ") for style, cell, width in zip(styles, row, widths, strict=True))


def _row(run: PastRun, zone: tzinfo | None) -> tuple[str, ...]:
    started = datetime.fromisoformat(run.started).astimezone(zone)
    took = "-" if run.result is Result.KILLED else duration(run.duration_seconds)
    when = f"{started:%Y-%m-%d %H:%M}"
    return (when, took, run.result.value, str(run.exit_code), run.command or "-", _peak(run))


def _peak(run: PastRun) -> str:
    """Return how full the fullest snapshot became, and, of several, which one that was."""
    peak = max(run.snapshots, key=lambda one: one.peak_fill_ratio, default=None)
    if peak is None:
        return "-"
    what = f"{peak.part} of {peak.pool}" if peak.pool else human(peak.size_bytes)
    of = f" ({peak.origin})" if len(run.snapshots) > 1 and not peak.pool else ""
    return f"{100 * peak.peak_fill_ratio:.1f} % of {what}{of}"


def _advice(runs: tuple[PastRun, ...]) -> Iterator[Line]:
    """Say what size would have been enough for all of these runs, for each volume of the last run with snapshots."""
    last = next((run.snapshots for run in reversed(runs) if run.snapshots), ())
    for origin in (peak.origin for peak in last if not peak.pool):
        own = [peak for run in runs for peak in run.snapshots if peak.origin == origin]
        of = f"{origin}: " if len(last) > 1 else ""
        enough = max(peak.enough_bytes for peak in own)
        full = max((peak.size_bytes for peak in own if peak.has_overflowed), default=0)
        if full and full >= enough:
            yield (("", f"{of}{human(full)} were not enough for all of these runs, unless a disk failed"),)
        elif enough:
            but = "" if all(peak.enough_bytes for peak in own) else " except those that were lost"
            yield (("", f"{of}`size: {as_written(enough)}` would have been enough for all of these runs{but}"),)


def history_data(histories: Histories) -> dict[str, object]:
    """Return all runs as plain data."""
    profiles = [{"name": name, "runs": [asdict(run) for run in runs]} for name, runs in histories.items()]
    return with_nulls({"format": FORMAT, "profiles": profiles})


def show(options: argparse.Namespace, names: tuple[str, ...], known: Collection[str]) -> None:
    """Print the histories of the named profiles, else of all that have one, or write them into a file.

    Raises UsageError if a name has neither a history nor a profile, that is, is not one of the `known`.
    """
    histories = {name: run_history.read(name) for name in names or run_history.names()}
    if options.json:
        text = codec.to_json(history_data(histories), indent=2) + "\n"
    else:
        text = layout.plain(history_lines(histories))
    if options.output:
        atomic_files.write_whole(options.output, text)
    elif options.json:
        print(text, end="")
    else:
        layout.show(history_lines(histories), sys.stdout)
    for name in histories:
        if why := run_history.why_unread(name):
            complain([((WARN, "warning: "), ("", f"{run_history.path(name)} cannot be read: {why}"))])
    if lacking := [name for name in names if not histories[name] and name not in known]:
        raise arguments.unknown(lacking, options.profile_dir)
