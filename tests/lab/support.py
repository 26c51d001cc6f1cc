"""What tests of lvmsnap in the lab share: running it, writing profiles, looking at the system."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from typing import Any

from lvmsnap.system.host import identity
from tests import TOP
from tests.lab.machine import Job, Machine, Result

# Who every machine of the lab is: tests/lab/init gives it this machine-id.
LAB_HOST = identity(b"0123456789abcdef0123456789abcdef\n")
COMMAND = (sys.executable, "-m", "lvmsnap")
ENVIRONMENT = {"PYTHONPATH": str(TOP), "PYTHONDONTWRITEBYTECODE": "1"}


def lvmsnap(machine: Machine, arguments: str, *, code: int | None = 0, path: str = "", timeout: float = 120) -> Result:
    """Run lvmsnap in the guest; `path` goes before PATH. Fails the test where its exit code is not `code`."""
    search = f"PATH={shlex.quote(path)}:$PATH " if path else ""
    line = f"{search}exec {shlex.join(COMMAND)} {arguments}"
    result = machine.run(line, env=ENVIRONMENT, check=False, timeout=timeout)
    if result.returncode < 0:  # it was killed, which a shell reports so
        result = replace(result, returncode=128 - result.returncode)
    said = f"lvmsnap {arguments}: exit {result.returncode}\n{result.stdout}\n{result.stderr}"
    assert code is None or result.returncode == code, said
    assert "Traceback" not in result.stderr, said
    return result


def start_lvmsnap(machine: Machine, arguments: str, *, path: str = "") -> Job:
    """Start lvmsnap in the guest and go on; the job's shell is replaced by it, so signals reach it."""
    return machine.start(f"exec {shell_line(arguments, path)}")


def shell_line(arguments: str, path: str = "") -> str:
    """Return the shell command that runs lvmsnap."""
    search = f"PATH={shlex.quote(path)}:$PATH " if path else ""
    variables = " ".join(f"{key}={shlex.quote(value)}" for key, value in ENVIRONMENT.items())
    return f"env {search}{variables} {shlex.join(COMMAND)} {arguments}"


def write_profile(machine: Machine, name: str, text: str) -> None:
    """Put a profile into the guest's /etc/lvmsnap."""
    machine.run(f"mkdir -p /etc/lvmsnap && cat > /etc/lvmsnap/{name}.yaml <<'END'\n{text}\nEND")


def profile_text(origin: str = "vg0/system", **settings: Any) -> str:
    """Return a profile; keyword arguments are keys of the volume, `backing_file` and `remove_mountpoint` of the top.

    Values are written as YAML flow: strings as they stand, dicts as {a: b}.
    """
    top = {key: settings.pop(key) for key in ("backing_file", "remove_mountpoint") if key in settings}
    volume = "".join(f"    {key}: {_yaml(value)}\n" for key, value in settings.items())
    rest = "".join(f"{key}: {_yaml(value)}\n" for key, value in top.items())
    return f"volumes:\n  - origin: {origin}\n{volume}{rest}"


def _yaml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
