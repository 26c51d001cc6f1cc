"""The kernel of the guests: the one that tests/lab/fetch_kernel has put into the venv, otherwise the installed one."""

from __future__ import annotations

import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
VENV = Path(sys.prefix) if sys.prefix != sys.base_prefix else TOP / ".venv"
FETCHED = VENV / "uml"


def program() -> str:
    """Return the program that is the kernel."""
    return str(FETCHED / "linux.uml") if _is_fetched() else "linux.uml"


def modules() -> Path:
    """Return the folder of the kernel's modules; its name is the kernel's version."""
    folders = FETCHED / "modules" if _is_fetched() else Path("/usr/lib/uml/modules")
    (folder,) = folders.iterdir()
    return folder


def _is_fetched() -> bool:
    return (FETCHED / "stamp").exists()
