"""What install-boot writes, runs and removes, on a folder that stands for the root of the system."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lvmsnap import boot, boot_images, record
from lvmsnap.boot import System
from lvmsnap.errors import LvmsnapError, StepError
from lvmsnap.runner import Finished
from lvmsnap.system_files import own_command
from tests import samples

ALL = tuple(System)


@dataclass
class FakeRunner:
    """Makes images and links units as the real programs do; `failing` is a program that fails."""

    root: Path
    failing: str = ""
    commands: list[str] = field(default_factory=list)

    def run(self, argv: tuple[str, ...]) -> Finished:
        self.commands.append(" ".join(argv))
        if argv[0] == self.failing:
            return Finished(argv, 1, "", "no space left on device", 0.1)
        if argv[0] in {"update-initramfs", "dracut"}:
            for image in boot_images.images():
                os.utime(image)
        links = self.root / "etc/systemd/system" / boot.WANTED_BY
        links.mkdir(parents=True, exist_ok=True)
        if argv[:2] == ("systemctl", "enable") and not (links / argv[-1]).is_symlink():
            (links / argv[-1]).symlink_to(f"../{argv[-1]}")
        if argv[:2] == ("systemctl", "disable"):
            for unit in argv[2:]:
                (links / unit).unlink()
        return Finished(argv, 0, "", "", 0.1)


@dataclass
class Place:
    """The folder that stands for the root, and what the last calls said."""

    root: Path
    runner: FakeRunner
    said: list[str] = field(default_factory=list)

    def install(self) -> list[str]:
        return self._call(boot.install)

    def remove(self) -> list[str]:
        return self._call(boot.remove)

    def problems(self) -> dict[str, str]:
        return {entry.system.value: entry.problem for entry in boot.status()}

    def files(self) -> set[str]:
        """All but folders that a distribution has anyway, and the images."""
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*") if not path.is_dir()} - {IMAGE}

    def _call(self, work: Callable[..., None]) -> list[str]:
        self.runner.commands.clear()
        self.said.clear()
        work(self.runner, self.said.append)
        return self.runner.commands


IMAGE = "boot/initrd.img-6.1.0"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A system with all three, its image a year old."""
    monkeypatch.setattr(boot, "FILES", tuple(replace(f, path=f"{tmp_path}{f.path}") for f in boot.FILES))
    monkeypatch.setattr(boot, "host_id", lambda: samples.HOST)
    monkeypatch.setattr(boot, "FORMER_FILES", (f"{tmp_path}/usr/local/lib/lvmsnap/repair-groups",))
    monkeypatch.setattr(record, "STATE_DIR", f"{tmp_path}/var/lib/lvmsnap")
    found_images = boot_images.images
    monkeypatch.setattr(boot_images, "images", lambda: found_images(str(tmp_path)))
    monkeypatch.setattr(boot, "UNIT_FOLDER", f"{tmp_path}/etc/systemd/system")
    monkeypatch.setattr(boot, "systems", lambda: ALL)
    image = tmp_path / IMAGE
    image.parent.mkdir()
    image.touch()
    os.utime(image, (1_600_000_000, 1_600_000_000))
    return Place(tmp_path, FakeRunner(tmp_path))


def test_every_file_is_in_the_package_and_every_file_of_the_package_is_installed() -> None:
    sources = {path.name for path in boot.SOURCE.iterdir() if path.is_file()}

    assert {file.source for file in boot.FILES} == sources - {"__init__.py"}


def test_an_installed_file_has_no_placeholder_left_and_starts_this_lvmsnap() -> None:
    texts = {file.source: boot.content(file) for file in boot.FILES}

    assert [name for name, text in texts.items() if re.search("@[A-Z_]+@", text)] == []
    assert f"{' '.join(own_command())} recover" in texts["lvmsnap-recover.service"]
    assert f"ExecStart={boot.LIBRARY}/lvmsnap-repair-groups\n" in texts["lvmsnap-boot@.service"]


def test_the_first_installation_writes_all_and_has_every_system_take_it_up(place: Place) -> None:
    commands = place.install()

    assert {Path(file.path).stat().st_mode & 0o777 for file in boot.FILES} == {0o755, 0o644}
    assert commands[:2] == ["update-initramfs -u -k all", "dracut --force --regenerate-all"]
    assert {line.split()[-1] for line in commands if line.startswith("systemctl enable")} == {
        *("lvmsnap-recover.service", "lvmsnap-shutdown.service")
    }
    assert place.problems() == {"initramfs-tools": "", "dracut": "", "systemd": ""}
    assert boot.is_installed()


def test_the_second_installation_costs_nothing(place: Place) -> None:
    place.install()

    assert place.install() == []
    assert place.said == ["everything is installed already"]


def test_a_file_of_another_version_is_told_and_written_again(place: Place) -> None:
    place.install()
    hook = place.root / "etc/initramfs-tools/hooks/lvmsnap"
    hook.write_text("#!/bin/sh\n# of an older lvmsnap\n")
    assert place.problems()["initramfs-tools"] == f"{hook} is not this version's"

    commands = place.install()

    assert commands == ["update-initramfs -u -k all"]
    assert place.said[0] == f"wrote {hook}"


def test_a_changed_unit_is_made_known_to_systemd(place: Place) -> None:
    place.install()
    unit = place.root / "etc/systemd/system/lvmsnap-boot@.service"
    unit.write_text("[Unit]\n")

    assert [line.split()[:2] for line in place.install() if "enable" in line] == [["systemctl", "enable"]] * 2


@pytest.mark.parametrize("system", ["initramfs-tools", "dracut"])
def test_an_image_older_than_the_files_in_it_is_told(place: Place, system: str) -> None:
    place.install()
    os.utime(place.root / IMAGE, (1_600_000_000, 1_600_000_000))

    assert place.problems()[system] == f"{place.root / IMAGE} is older than the files in it"
    assert not boot.is_installed()


def test_a_boot_without_any_image_is_not_called_installed(place: Place) -> None:
    place.install()
    (place.root / IMAGE).unlink()

    assert place.problems()["initramfs-tools"] == "no initramfs image is in /boot, nor on an EFI system partition"
    assert not boot.is_installed()


@pytest.mark.parametrize("file", [file.path for file in boot.FILES if file.system is not System.SYSTEMD])
def test_a_missing_file_is_told(place: Place, file: str) -> None:
    place.install()
    (place.root / file.lstrip("/")).unlink()

    assert f"{place.root}{file} is missing" in place.problems().values()


def test_a_unit_that_is_not_enabled_is_told(place: Place) -> None:
    place.install()
    (place.root / "etc/systemd/system" / boot.WANTED_BY / "lvmsnap-recover.service").unlink()

    assert place.problems()["systemd"] == "lvmsnap-recover.service is not enabled"


@pytest.mark.parametrize("program", ["update-initramfs", "dracut", "systemctl"])
def test_a_failing_program_is_reported_and_the_next_run_completes(place: Place, program: str) -> None:
    place.runner.failing = program
    with pytest.raises(StepError, match="no space left on device") as caught:
        place.install()
    assert caught.value.exit_code == 1
    assert not boot.is_installed()

    place.runner.failing = ""
    place.install()

    assert boot.is_installed()


def test_removing_leaves_nothing_and_has_every_system_forget_it(place: Place) -> None:
    place.install()

    commands = place.remove()

    assert place.files() == set()
    assert not (place.root / "usr/lib/dracut/modules.d/91lvmsnap").exists()
    assert "update-initramfs -u -k all" in commands
    assert place.remove() == []


def test_removing_half_an_installation_leaves_nothing(place: Place) -> None:
    place.install()
    (place.root / "etc/systemd/system/lvmsnap-recover.service").unlink()

    commands = place.remove()

    assert place.files() == set()
    assert not any("disable" in line for line in commands)


def test_a_machine_with_none_of_them_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(boot, "systems", tuple)

    with pytest.raises(LvmsnapError, match="none of initramfs-tools, dracut, systemd"):
        boot.install(FakeRunner(tmp_path), print)  # type: ignore[arg-type]
    assert not boot.is_installed()


@pytest.mark.parametrize("shell", ["dash", "busybox sh", "bash"])
@pytest.mark.parametrize("source", ["lvmsnap-repair-groups", "initramfs-hook", "initramfs-script", "dracut-settled.sh"])
def test_the_scripts_are_legal_in_every_shell_of_an_early_boot(shell: str, source: str) -> None:
    done = subprocess.run([*shell.split(), "-n", boot.SOURCE / source], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
