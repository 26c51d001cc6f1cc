"""Installs, shows and removes the systemd unit that holds one profile up for other units: lvmsnap-hold@NAME.service."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from lvmsnap.install import systemd_timer, timer_units, unit_text
from lvmsnap.install.files import current, own_command, run_reporting
from lvmsnap.install.host_commands import timer_command, unit_query
from lvmsnap.install.timer_units import DROP_IN, Tell
from lvmsnap.model.errors import LvmsnapError, Refusal, RefusedError, StepError, UsageError
from lvmsnap.model.paths import STATE_DIR
from lvmsnap.system.processes import Runner, shell_line

TEMPLATES = ("lvmsnap-hold@.service",)
_INSTANCE = r"lvmsnap-hold@(.+)\.service\.d"
RELOAD = timer_command("reload", "")


def unit(name: str) -> str:
    """Return the name of the unit that holds a profile."""
    return f"lvmsnap-hold@{name}.service"


def drop_in(name: str) -> Path:
    """Return the path of the drop-in of one profile's unit."""
    return Path(systemd_timer.UNIT_FOLDER, f"{unit(name)}.d", DROP_IN)


def install(runner: Runner, name: str, profile_dir: str, tell: Tell) -> None:
    """Write the unit of a profile, which other units pull in as a dependency. It is idempotent.

    `profile_dir` is "" for the usual one. Raises UsageError or RefusedError before anything is changed, StepError after
    everything was put back as it was.
    """
    if not systemd_timer.is_there():
        raise RefusedError(
            (Refusal("systemd is not on this machine", "have this machine's service manager start lvmsnap hold"),)
        )
    if any("\ud800" <= char <= "\udfff" for char in profile_dir):
        raise UsageError("the profile directory is not UTF-8, and systemd accepts nothing else")
    shared = timer_units.templates(TEMPLATES)
    changes = timer_units.changes(_wanted(name, profile_dir), tell, shared)
    if not changes and not _rejected(runner, name):
        tell("everything is installed already")
    else:
        before = {path: current(path) for path in changes}
        try:
            timer_units.write_all(changes, tell)
            _have_read(runner, name, tell)
        except (LvmsnapError, OSError) as error:
            with suppress(LvmsnapError, OSError):
                timer_units.write_all(before, lambda _: None)
                _reload(runner, lambda _: None)
            what, hint = timer_units.failure(error)
            raise StepError(f"{what}; everything is as before", hint=hint) from error
    for line in usage(name):
        tell(line)


def usage(name: str) -> tuple[str, ...]:
    """Return the lines that another unit needs to have the profile up while it runs."""
    check = unit_text.command_line((*own_command(), "hold", name, "--check"))
    return (
        "a unit that is to run while it is up (Type=oneshot) needs these lines:",
        "[Unit]",
        f"BindsTo={unit(name)}",
        f"After={unit(name)}",
        "[Service]",
        f"ExecStartPost={check}",
    )


def remove(runner: Runner, name: str, tell: Tell) -> None:
    """Remove a profile's unit, and with the last one the template. If there is none it is no error.

    Raises RefusedError while it is up.
    """
    if _shown(runner, name).get("ActiveState") in systemd_timer.BUSY:
        hint = f"stop the unit that needs it, or systemctl stop {unit(name)}"
        raise RefusedError((Refusal(f"{unit(name)} is running", hint),))
    if not drop_in(name).exists():
        tell(f"{name} has no hold unit")
    timer_units.remove_ours((drop_in(name),), tell)
    others = (path.parent.name for path in Path(systemd_timer.UNIT_FOLDER).glob(f"lvmsnap-hold@*.d/{DROP_IN}"))
    if not any(re.fullmatch(_INSTANCE, other) for other in others):
        timer_units.remove_ours(timer_units.templates(TEMPLATES), tell)
    timer_units.name_left_alone((drop_in(name),), tell)
    _reload(runner, tell)


def left_beside(name: str) -> str:
    """Say that a profile whose timer was removed still has a unit that holds it, "" if it has none. Reads only."""
    is_there = drop_in(name).exists()
    return f"left alone: {unit(name)}, which lvmsnap install-units {name} --hold --remove removes" if is_there else ""


def problem(runner: Runner, name: str) -> str:
    """Say what keeps a profile's unit from working, "" if nothing does. Reads only."""
    return timer_units.lacking(drop_in(name), TEMPLATES) or _rejected(runner, name)


def state(runner: Runner, name: str) -> str:
    """Say whether it is up now, and how it last ended. Reads only."""
    shown = _shown(runner, name)
    now = "up" if shown.get("ActiveState") == "active" else shown.get("ActiveState") or "unknown"
    ended = f", ended last {shown['ExecMainExitTimestamp']}" if shown.get("ExecMainExitTimestamp") else ""
    how = f" (exit {shown.get('ExecMainStatus')})" if ended else ""
    return f"now: {now}{ended}{how}"


def _wanted(name: str, profile_dir: str) -> dict[Path, str | None]:
    record = f"{STATE_DIR}/{name}.json"
    text = unit_text.hold_drop_in(own_command(), name, profile_dir=profile_dir, record=record)
    return {**timer_units.packaged(TEMPLATES), drop_in(name): text}


def _have_read(runner: Runner, name: str, tell: Tell) -> None:
    _reload(runner, tell)
    if reason := _rejected(runner, name):
        raise StepError(reason, hint=f"systemd-analyze verify {unit(name)}")


def _reload(runner: Runner, tell: Tell) -> None:
    """Have systemd reload its files, if it is running: it is not while an image is built."""
    if os.path.isdir(systemd_timer.RUNNING):
        run_reporting(runner, RELOAD, tell)


def _rejected(runner: Runner, name: str) -> str:
    if not os.path.isdir(systemd_timer.RUNNING):
        return ""
    shown = _shown(runner, name)
    if shown.get("LoadState") == "loaded":
        return ""
    return f"systemd rejects {unit(name)}: {shown.get('LoadError') or 'it has not read it: ' + shell_line(RELOAD)}"


def _shown(runner: Runner, name: str) -> dict[str, str]:
    if not os.path.isdir(systemd_timer.RUNNING):
        return {}
    answer = runner.run(unit_query(unit(name))).stdout
    return dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
