"""How tests call lvmsnap: in their own process, as one of its own, from a shell."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lvmsnap.cli import parser
from tests import TOP

ROOT = TOP
PROFILE = ROOT / "profiles/system-full-vg.yaml"
COMMANDS = (
    *("plan", "up", "down", "run", "hold", "watch", "status", "recover", "validate", "init", "schema"),
    *("install-boot", "install-units"),
)
BAD = "volumes:\n  - origin: vg0/system\n    sise: 4GiB\n    size: 4GB\nmore: 1\n"


@dataclass(frozen=True)
class Done:
    """How a run of lvmsnap ended."""

    returncode: int
    stdout: str
    stderr: str


def lvmsnap(*arguments: str) -> Done:
    """Run lvmsnap in this process, since a process of its own costs a good part of a second."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = parser.main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


def process(*arguments: str, stdout: int | IO[str] = subprocess.PIPE, **environment: str) -> Done:
    """Run lvmsnap as a process of its own, with nothing but `environment`."""
    run = [sys.executable, "-m", "lvmsnap", *arguments]
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    done = subprocess.run(run, env=given, cwd="/", stdout=stdout, stderr=subprocess.PIPE, check=False)
    return Done(done.returncode, (done.stdout or b"").decode(errors="replace"), done.stderr.decode(errors="replace"))


def profile(directory: Path, name: str, text: str) -> str:
    path = directory / f"{name}.yaml"
    path.write_text(text)
    return str(path)


PLAN = f"plan --offline {PROFILE}"


def shell(line: str) -> Done:
    """Run a shell line in which $L is lvmsnap, as a script of root's would."""
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        ["bash", "-c", line.replace("$L", f"{sys.executable} -m lvmsnap")], env=given, capture_output=True, check=False
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())
