"""A folder in place of the root of a system that boots, and programs that do as the real ones."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lvmsnap.install import boot_images, boot_parts, boot_recovery
from lvmsnap.install.boot_parts import System
from lvmsnap.system.processes import Finished
from tests import samples

ALL = tuple(System)


@dataclass
class FakeRunner:
    """Makes images and links units as the real programs do; `failing` fails, `untouched` is nobody's image."""

    root: Path
    failing: str = ""
    untouched: Path | None = None
    commands: list[str] = field(default_factory=list)

    def run(self, argv: tuple[str, ...]) -> Finished:
        self.commands.append(" ".join(argv))
        if argv[0] == self.failing:
            return Finished(argv, 1, "", "no space left on device", 0.1)
        if argv[0] in {"update-initramfs", "dracut"}:
            for image in boot_images.images():
                if image != str(self.untouched):
                    os.utime(image)
        units = [word for word in argv[2:] if word.endswith(".service")]
        for link in (link for unit in units for link in self._links(unit)):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            if argv[1] == "enable":
                link.symlink_to(f"../{link.name}")
        return Finished(argv, 0, "", "", 0.1)

    def _links(self, unit: str) -> list[Path]:
        """What a unit's own [Install] section asks for (systemd.unit(5))."""
        folder = self.root / "etc/systemd/system"
        path = next(path for path in (folder / unit, self.root / "usr/lib/systemd/system" / unit) if path.exists())
        wanted = re.findall(r"^(Wanted|Required)By=(.*)$", path.read_text(), re.MULTILINE)
        kinds = {"Wanted": "wants", "Required": "requires"}
        return [folder / f"{by}.{kinds[kind]}" / unit for kind, names in wanted for by in names.split()]


@dataclass
class Place:
    """The folder in place of the root, and what the last calls said."""

    root: Path
    runner: FakeRunner
    said: list[str] = field(default_factory=list)

    def install(self) -> list[str]:
        return self._call(boot_recovery.install)

    def remove(self) -> list[str]:
        return self._call(boot_recovery.remove)

    def problems(self) -> dict[str, str]:
        return {entry.system.value: entry.problem for entry in boot_recovery.status()}

    def files(self) -> set[str]:
        """All but folders that a distribution has anyway, and the images."""
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*") if not path.is_dir()} - {IMAGE}

    def _call(self, work: Callable[..., None]) -> list[str]:
        self.runner.commands.clear()
        self.said.clear()
        work(self.runner, self.said.append)
        return self.runner.commands


IMAGE = "boot/initrd.img-6.1.0"


def set_host(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    for module in (boot_parts, boot_recovery):
        monkeypatch.setattr(module, "host_id", lambda: host)


def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A system with all three, its image a year old."""
    monkeypatch.setattr(boot_parts, "FILES", tuple(replace(f, path=f"{tmp_path}{f.path}") for f in boot_parts.FILES))
    set_host(monkeypatch, samples.HOST)
    monkeypatch.setattr(boot_recovery, "FORMER_FILES", (f"{tmp_path}/usr/local/lib/lvmsnap/repair-groups",))
    monkeypatch.setattr(boot_parts, "STATE_DIR", f"{tmp_path}/var/lib/lvmsnap")
    found_images = boot_images.images
    monkeypatch.setattr(boot_images, "images", lambda: found_images(str(tmp_path)))
    monkeypatch.setattr(boot_recovery, "UNIT_FOLDER", f"{tmp_path}/etc/systemd/system")
    monkeypatch.setattr(boot_recovery, "systems", lambda: ALL)
    image = tmp_path / IMAGE
    image.parent.mkdir()
    image.touch()
    os.utime(image, (1_600_000_000, 1_600_000_000))
    return Place(tmp_path, FakeRunner(tmp_path))
