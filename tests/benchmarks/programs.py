"""Where the programs are that are measured: each has a venv of its own, which `./tests/bench` makes."""

from __future__ import annotations

from tests import TOP

VENVS = TOP / ".venv"
PYTHON = f"{VENVS}/bench-lvmsnap/bin/python"
LVMSNAP = f"{VENVS}/bench-lvmsnap/bin/lvmsnap"
SNAPM = f"{VENVS}/snapm-0.7.0/bin/snapm"
BORGMATIC = f"{VENVS}/borgmatic-2.1.10/bin/borgmatic"
SCRIPTS = TOP / "tests/benchmarks/scripts"
