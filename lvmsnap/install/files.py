"""Files in system directories, and the command that starts this lvmsnap, for install-boot and install-units."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from lvmsnap.model.errors import StepError
from lvmsnap.system.atomic_files import write_whole
from lvmsnap.system.processes import Runner, environment, shell_line
from lvmsnap.system.programs import which

# A distribution's package has its program here, and this marker file beside its modules.
PACKAGED_PROGRAM = "/usr/sbin/lvmsnap"
PACKAGE_MARK = Path(__file__).with_name("packaged")


def is_packaged() -> bool:
    """Whether this lvmsnap comes from a distribution's package: then what all machines share is in its own places."""
    return PACKAGE_MARK.exists()


def own_command() -> tuple[str, ...]:
    """Return how a unit starts this lvmsnap: by its script if there is one, else as a module of its Python."""
    if is_packaged():
        return (PACKAGED_PROGRAM,)
    script = which("lvmsnap", f"{Path(sys.argv[0]).resolve().parent}:{environment()['PATH']}")
    return (script,) if script else (sys.executable, "-m", "lvmsnap")


def current(path: Path) -> str | None:
    """Return a file's current content, None if it does not exist or cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def write(path: Path, text: str, mode: int) -> None:
    """Write a file whole or not at all, and make its directory if needed. Raises LvmsnapError, OSError."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_whole(str(path), text, mode)


def run_reporting(runner: Runner, argv: tuple[str, ...], tell: Callable[[str], None]) -> None:
    """Announce a command, and run it. Raises StepError if it fails."""
    tell(f"running {shell_line(argv)}")
    finished = runner.run(argv)
    if not finished.ok:
        raise StepError(
            f"{shell_line(argv)}: {finished.complaint}",
            hint="fix the reported problem, then run the same command again",
        )
