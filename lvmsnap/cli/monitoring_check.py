"""`lvmsnap status --check`: a monitoring plug-in's one line and exit code (Nagios, Icinga, check_mk)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime

from lvmsnap.model.errors import LvmsnapError, as_ours
from lvmsnap.model.past_run import PastRun, Result
from lvmsnap.model.printable import escaped
from lvmsnap.planning.state import MEANING, State, Status
from lvmsnap.system import streams

OK, PROBLEM, LOST, UNKNOWN = range(4)
# The exit code, the message, and numbers to plot over time ("performance data").
Verdict = tuple[int, str, str]
WORDS = {OK: "OK", PROBLEM: "WARNING", LOST: "CRITICAL", UNKNOWN: "UNKNOWN"}


def is_asked(arguments: Sequence[str]) -> bool:
    """Whether an invalid command line asked for the plug-in."""
    ours = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "status" in ours and "--check" in ours


def answer(look: Callable[[], Verdict]) -> int:
    """Print the line, and return the exit code; any error becomes UNKNOWN, not a traceback."""
    try:
        found = look()
    except Exception as error:
        return give_up(as_ours(error))
    return _report(*found)


def give_up(error: LvmsnapError) -> int:
    """Print the line that says why the state is unknown."""
    return _report(UNKNOWN, error.message)


def _report(code: int, text: str, numbers: str = "") -> int:
    # Monitoring systems take what follows a | for numbers, and further lines for long output.
    line = " ".join(escaped(text).replace("|", "/").split())
    try:
        print(f"LVMSNAP {WORDS[code]} - {line}{' | ' * bool(numbers)}{numbers}", flush=True)
    except OSError:
        # Any other exit code would be a verdict without a readable reason.
        streams.give_up(sys.stdout)
        return UNKNOWN
    return code


def verdict(statuses: tuple[Status, ...], *, are_named: bool) -> Verdict:
    """Return the exit code; what is wrong, the worst first, else each profile's state; and how full each snapshot is.

    What another host has on a shared disk is not a problem of this one, unless it is asked for by name.
    """
    own = tuple(one for one in statuses if are_named or one.volumes or one.state is not State.FOREIGN)
    worst = sorted((wrong for one in own for wrong in problems(one)), key=lambda wrong: -wrong[0])
    code = worst[0][0] if worst else OK
    summary = "; ".join(text for _, text in worst) or _well(own)
    numbers = " ".join(f"{one.name}={one.fill_percent:.1f}%" for one in own if one.fill_percent is not None)
    return code, summary, numbers


def problems(status: Status) -> list[tuple[int, str]]:
    """Return what is wrong with a profile, each with its exit code."""
    found, problem = [], f" ({status.problem})" if status.problem else ""
    if status.state not in (State.UP, State.DOWN):
        code = LOST if status.state is State.LOST else PROBLEM
        found.append((code, f"{status.name} is {status.state.value}: {MEANING[status.state]}{problem}"))
    elif problem:
        found.append((PROBLEM, f"{status.name}: {status.problem}"))
    if status.last_run and status.last_run.has_failed:
        found.append(_last_run(status.name, status.last_run))
    return found


def _last_run(name: str, run: PastRun) -> tuple[int, str]:
    started = datetime.fromisoformat(run.started).isoformat(timespec="seconds")
    last = f"{name}: the last {run.kind}, of {started},"
    if run.result is Result.LOST:
        read = "what it read" if run.kind == "run" else "what was read"
        return LOST, f"{last} lost its snapshot: do not trust {read}"
    ended = {
        Result.NEVER_STARTED: "never started its command" if run.kind == "run" else "never came up",
        Result.KILLED: "was killed, or the power failed",
        Result.INTERRUPTED: f"was interrupted (exit {run.exit_code})",
    }.get(run.result, f"failed: {run.command} (exit {run.exit_code})")
    return PROBLEM, f"{last} {ended}"


def _well(statuses: tuple[Status, ...]) -> str:
    if not statuses:
        return "no profiles and no lvmsnap snapshots on this machine"
    return ", ".join(f"{one.name} is {one.state.value}" for one in statuses)
