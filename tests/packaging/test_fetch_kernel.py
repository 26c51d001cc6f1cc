"""What tests/lab/fetch_kernel leaves, with stand-ins for the programs that it calls."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "lab" / "fetch_kernel"
PROGRAMS = {
    "linux.uml": "echo 6.1.38",
    "patchelf": "exit 0",
    "apt-get": """case $* in
        *indextargets*) echo http://mirror/debian ;;
        *download*) [ ! -e ../../no-network ] && touch user-mode-linux_1.deb libc6_1.deb ;;
    esac""",
    "dpkg": """case $*,$2 in
        --compare*,6.1.38) exit 1 ;;
        --compare*) exit 0 ;;
        *kernel,*) mkdir -p kernel/usr/bin kernel/usr/lib/uml
            [ -e ../../no-modules ] || mkdir -p kernel/usr/lib/uml/modules/7.2
            printf '#!/bin/sh\\necho 7.2.0\\n' > kernel/usr/bin/linux.uml
            chmod +x kernel/usr/bin/linux.uml ;;
        *) mkdir -p libc/usr/lib/any && touch libc/usr/lib/any/libc.so.6 libc/usr/lib/any/ld-linux.so.2 ;;
    esac""",
}


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Return a folder with the script in its place."""
    for folder in ("tests/lab", ".venv", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(SCRIPT, tmp_path / "tests" / "lab")
    for name, text in PROGRAMS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def fetch(top: Path) -> str:
    """Run the script; return what it says."""
    environment = {"PATH": f"{top}/bin:{os.environ['PATH']}"}
    command = ["sh", str(top / "tests" / "lab" / "fetch_kernel")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=30).stderr


def test_a_newer_kernel_is_fetched_once(top: Path) -> None:
    assert "fetching" in fetch(top)
    assert {path.name for path in (top / ".venv/uml").iterdir()} >= {"stamp", "linux.uml", "modules"}
    assert fetch(top) == ""


@pytest.mark.parametrize("lack", ["no-network", "no-modules"])
def test_of_one_that_is_not_whole_nothing_stays_and_the_next_try_may_get_it(top: Path, lack: str) -> None:
    (top / lack).touch()
    assert "the lab takes the installed one" in fetch(top)
    assert not (top / ".venv/uml").exists()

    (top / lack).unlink()
    fetch(top)
    assert (top / ".venv/uml/stamp").exists()
