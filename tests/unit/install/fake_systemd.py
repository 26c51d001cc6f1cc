"""A folder in place of /etc/systemd/system, and a systemd that answers for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lvmsnap.install import timer_units
from lvmsnap.install.timer_units import Wish
from lvmsnap.system.processes import Finished
from tests import TOP

ROOT = TOP
TRUE, FALSE = shutil.which("true"), shutil.which("false")
BACKUP = Wish("nightly", ("true", "--to", "/backup"))
LINK = "timers.target.wants/lvmsnap@nightly.timer"
SERVICE, TIMER = "lvmsnap@.service", "lvmsnap@.timer"
DROP_IN, TIMER_DROP_IN = "lvmsnap@nightly.service.d/lvmsnap.conf", "lvmsnap@nightly.timer.d/lvmsnap.conf"


@dataclass
class FakeSystemd:
    """Answers as systemctl and systemd-analyze do; `failing` are commands that fail, by their beginning."""

    folder: Path
    failing: tuple[str, ...] = ()
    load_state: str = "loaded"
    is_running: bool = False
    commands: list[str] = field(default_factory=list)
    started: set[str] = field(default_factory=set)

    def run(self, argv: tuple[str, ...]) -> Finished:
        line = " ".join(argv)
        if argv[:2] == ("systemctl", "show"):
            return Finished(argv, 0, self._shown(argv[-1]), "", 0.1)
        self.commands.append(line)
        if line.startswith(self.failing) and self.failing:
            return Finished(argv, 1, "", "Connection timed out", 0.1)
        if argv[0] == "systemd-analyze":
            return Finished(argv, int("nonsense" in argv[-1]), "", "", 0.1)
        link = self.folder / "timers.target.wants" / argv[-1]
        if argv[1] == "enable":
            assert self._has_file(), "systemctl enables no unit without a file"
            link.parent.mkdir(exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(self.folder / TIMER)
            self.started.add(argv[-1])
        if argv[1] == "disable":
            assert self._has_file(), "systemctl disables no unit without a file"
            link.unlink(missing_ok=True)
            if link.parent.is_dir() and not any(link.parent.iterdir()):
                link.parent.rmdir()
        if argv[1] in {"disable", "stop"}:
            self.started.discard(argv[-1])
        return Finished(argv, 0, "", "", 0.1)

    def _has_file(self) -> bool:
        return any(Path(folder, TIMER).exists() for folder in (self.folder, timer_units.PACKAGED_FOLDER))

    def _shown(self, unit: str) -> str:
        busy = "activating" if self.is_running else "inactive"
        state = ("active" if unit in self.started else "inactive") if unit.endswith(".timer") else busy
        return f"LoadState={self.load_state}\nLoadError=\nActiveState={state}\nNextElapseUSecRealtime=Tue 00:12\n"


@dataclass
class Place:
    """A folder in place of /etc/systemd/system, and what was said."""

    folder: Path
    stamp: Path
    systemd: FakeSystemd
    said: list[str] = field(default_factory=list)

    def install(self, wish: Wish = BACKUP) -> list[str]:
        return self._call(lambda: timer_units.install(self.systemd, wish, self.said.append))  # type: ignore[arg-type]

    def remove(self, name: str = "nightly") -> list[str]:
        return self._call(lambda: timer_units.remove(self.systemd, name, self.said.append))  # type: ignore[arg-type]

    def files(self) -> dict[str, str]:
        """Every file and link, and what it holds; folders count too."""
        found = sorted(self.folder.rglob("*"))
        return {str(path.relative_to(self.folder)): self._content(path) for path in found}

    def _content(self, path: Path) -> str:
        return os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else ""

    def _call(self, work: Callable[[], None]) -> list[str]:
        self.systemd.commands.clear()
        self.said.clear()
        work()
        return self.systemd.commands
