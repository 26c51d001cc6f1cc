"""What tests of lvmsnap in the lab share: running it, writing profiles, looking at the system."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import weakref
from typing import Any

from lvmsnap.system.host import identity
from tests import TOP
from tests.lab.machine import Job, LabTimeout, Machine, Result

# Who every machine of the lab is: tests/lab/init gives it this machine-id.
LAB_HOST = identity(b"0123456789abcdef0123456789abcdef\n")
COMMAND = (sys.executable, "-m", "lvmsnap")
ENVIRONMENT = {"PYTHONPATH": str(TOP), "PYTHONDONTWRITEBYTECODE": "1"}


def lvmsnap(
    machine: Machine,
    arguments: str,
    *,
    code: int | None = 0,
    path: str = "",
    timeout: float = 120,
    situation: dict[str, str] | None = None,
) -> Result:
    """Run lvmsnap in the guest; `path` goes before PATH. Fails the test where its exit code is not `code`.

    In a `situation`, shell `before` and `after` around it with `profile` as that of profile check, nothing may change.
    """
    answer = ask(machine, {"arguments": shlex.split(arguments), "path": path, "situation": situation}, timeout)
    # One that was killed ends as a shell reports it.
    status = answer["code"] if answer["code"] >= 0 else 128 - answer["code"]
    result = Result(("lvmsnap", arguments), status, answer["stdout"], answer["stderr"])
    said = f"lvmsnap {arguments}: exit {result.returncode}\n{result.stdout}\n{result.stderr}"
    assert code is None or result.returncode == code, said
    assert "Traceback" not in result.stderr, said
    assert not answer["changed"], said
    return result


_drivers: weakref.WeakKeyDictionary[Machine, Job] = weakref.WeakKeyDictionary()


def ask(machine: Machine, request: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Have the guest's driver (tests/lab/driver.py) answer a request; it is started where it does not run."""
    if machine not in _drivers or not _drivers[machine].is_running():
        _drivers[machine] = machine.start([COMMAND[0], "-m", "tests.lab.driver"], env=ENVIRONMENT, stdin=True)
    job = _drivers[machine]
    answered = job.stdout.count("\n")
    job.write(json.dumps(request) + "\n")
    try:
        job.wait_for(lambda: job.stdout.count("\n") > answered or not job.is_running(), timeout)
    except LabTimeout:
        job.kill(signal.SIGKILL)
        raise
    assert job.is_running(), job.stderr
    answer: dict[str, Any] = json.loads(job.stdout.splitlines()[answered])
    return answer


def status(machine: Machine, name: str) -> dict[str, Any]:
    """Return what `lvmsnap status` tells of a profile."""
    (told,) = json.loads(lvmsnap(machine, f"status {name} --json").stdout)["profiles"]
    return dict(told)


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
