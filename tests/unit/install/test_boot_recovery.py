"""What install-boot writes, runs and removes, on a folder in place of the root of the system."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lvmsnap.install import boot_parts, boot_recovery
from lvmsnap.install.boot_parts import System
from lvmsnap.install.files import own_command
from lvmsnap.model.errors import LvmsnapError, StepError
from tests import samples
from tests.unit.install import boot_machine
from tests.unit.install.boot_machine import IMAGE, FakeRunner, Place, set_host


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return boot_machine.make(tmp_path, monkeypatch)


def test_every_file_is_in_the_package_and_every_file_of_the_package_is_installed() -> None:
    sources = {path.name for path in boot_parts.SOURCE.iterdir() if path.is_file()}

    assert {file.source for file in boot_parts.FILES} | {"boot.conf"} == sources


def test_an_installed_file_is_all_filled_in_and_starts_this_lvmsnap() -> None:
    texts = {file.source: boot_parts.content(file) for file in boot_parts.FILES}

    assert [name for name, text in texts.items() if re.search("@[A-Z_]+@", text)] == []
    assert f"{' '.join(own_command())} recover" in texts["lvmsnap-recover.service"]
    assert f"ExecStart={boot_parts.LIBRARY}/lvmsnap-repair-groups\n" in texts["lvmsnap-boot@.service"]


def test_the_first_installation_writes_all_and_has_every_system_take_it_up(place: Place) -> None:
    commands = place.install()

    assert {Path(file.path).stat().st_mode & 0o777 for file in boot_parts.FILES} == {0o755, 0o644}
    assert commands[:2] == ["update-initramfs -u -k all", "dracut --force --regenerate-all"]
    assert {word for line in commands if line.startswith("systemctl enable") for word in line.split()[2:]} == {
        *("lvmsnap-recover.service", "lvmsnap-shutdown.service", "lvmsnap-hibernate.service")
    }
    assert place.problems() == {"initramfs-tools": "", "dracut": "", "systemd": ""}
    assert boot_recovery.is_installed()


def test_the_second_installation_costs_nothing(place: Place) -> None:
    place.install()

    assert place.install() == []
    assert place.said == ["everything is installed already"]


def test_a_file_of_another_version_is_reported_and_written_again(place: Place) -> None:
    place.install()
    hook = place.root / "etc/initramfs-tools/hooks/lvmsnap"
    hook.write_text("#!/bin/sh\n# of an older lvmsnap\n")
    assert place.problems()["initramfs-tools"] == f"{hook} belongs to another version"

    commands = place.install()

    assert commands == ["update-initramfs -u -k all"]
    assert place.said[0] == f"wrote {hook}"


def test_a_changed_unit_is_made_known_to_systemd(place: Place) -> None:
    place.install()
    unit = place.root / "etc/systemd/system/lvmsnap-boot@.service"
    unit.write_text("[Unit]\n")

    assert [line.split()[:2] for line in place.install() if "enable" in line] == [["systemctl", "enable"]] * 2


@pytest.mark.parametrize("system", ["initramfs-tools", "dracut"])
def test_an_image_older_than_the_files_in_it_is_reported(place: Place, system: str) -> None:
    place.install()
    os.utime(place.root / IMAGE, (1_600_000_000, 1_600_000_000))

    assert place.problems()[system] == f"{place.root / IMAGE} is older than the files in it"
    assert not boot_recovery.is_installed()


def test_a_boot_without_any_image_is_not_called_installed(place: Place) -> None:
    place.install()
    (place.root / IMAGE).unlink()

    assert place.problems()["initramfs-tools"] == "there is no initramfs image in /boot or on an EFI system partition"
    assert not boot_recovery.is_installed()


@pytest.mark.parametrize("file", [file.path for file in boot_parts.FILES if file.system is not System.SYSTEMD])
def test_a_missing_file_is_reported(place: Place, file: str) -> None:
    place.install()
    (place.root / file.lstrip("/")).unlink()

    assert f"{place.root}{file} is missing" in place.problems().values()


def test_a_unit_that_is_not_enabled_is_reported(place: Place) -> None:
    place.install()
    folder = place.root / "etc/systemd/system"

    (folder / "systemd-hybrid-sleep.service.requires/lvmsnap-hibernate.service").unlink()
    assert place.problems()["systemd"] == "lvmsnap-hibernate.service is not enabled"
    (folder / "multi-user.target.wants/lvmsnap-recover.service").unlink()
    assert place.problems()["systemd"] == "lvmsnap-recover.service is not enabled"


@pytest.mark.parametrize("program", ["update-initramfs", "dracut", "systemctl"])
def test_a_failing_program_is_reported_and_the_next_run_completes(place: Place, program: str) -> None:
    place.runner.failing = program
    with pytest.raises(StepError, match="no space left on device") as caught:
        place.install()
    assert caught.value.exit_code == 1
    assert not boot_recovery.is_installed()

    place.runner.failing = ""
    place.install()

    assert boot_recovery.is_installed()


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
    monkeypatch.setattr(boot_recovery, "systems", tuple)

    with pytest.raises(LvmsnapError, match="none of initramfs-tools, dracut, systemd"):
        boot_recovery.install(FakeRunner(tmp_path), print)  # type: ignore[arg-type]
    assert not boot_recovery.is_installed()


@pytest.mark.parametrize("shell", ["dash", "busybox sh", "bash"])
@pytest.mark.parametrize("source", ["lvmsnap-repair-groups", "initramfs-hook", "initramfs-script", "dracut-settled.sh"])
def test_the_scripts_are_legal_in_every_shell_of_an_early_boot(shell: str, source: str) -> None:
    command = shell.split()
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run([*command, "-n", boot_parts.SOURCE / source], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_scripts_host_is_this_machines_and_a_new_machine_id_is_reported_until_it_is_installed_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.install()
    script = place.root / "usr/lib/udev/lvmsnap-repair-groups"
    assert f"HOST={samples.HOST} " in script.read_text()

    set_host(monkeypatch, samples.OTHER_HOST)

    problem = f"{script} is not this machine's: it was installed under another machine-id"
    assert set(place.problems().values()) == {problem}
    assert not boot_recovery.is_installed()
    assert "update-initramfs -u -k all" in place.install()
    assert f"HOST={samples.OTHER_HOST} " in script.read_text()
    assert boot_recovery.is_installed()


def test_a_machine_without_a_machine_id_gets_nothing_installed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    set_host(monkeypatch, "")

    with pytest.raises(LvmsnapError, match="no machine-id"):
        place.install()
    assert place.files() == set()


def test_lent_pvs_of_an_older_lvmsnap_are_noted_from_this_hosts_records_alone(place: Place) -> None:
    old = "lvmsnp-1a2b-3c4d-5e6f-7a8b-9c0d-1e2f3a"
    records = place.root / "var/lib/lvmsnap"
    records.mkdir(parents=True)
    (records / "nightly.json").write_text(f'{{"format": 1, "target": {{"lent_pv": {{"uuid": "{old}"}}}}}}')
    (records / "broken.json").write_bytes(b"\xff{")

    place.install()

    script = place.root / "usr/lib/udev/lvmsnap-repair-groups"
    assert f'OLD_PVS="{old}" ' in script.read_text()
    (records / "nightly.json").unlink()
    assert boot_recovery.is_installed(), "the note does no harm when the snapshot is down"


def test_units_start_an_lvmsnap_whose_path_systemd_would_read_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot_parts, "own_command", lambda: ("/opt/my tools/100%/lvmsnap",))
    monkeypatch.setenv("LVM_SYSTEM_DIR", "/etc/my lvm")

    for source in ("lvmsnap-recover.service", "lvmsnap-shutdown.service", "lvmsnap-hibernate.service"):
        text = boot_parts.content(next(file for file in boot_parts.FILES if file.source == source))
        assert '="/opt/my tools/100%%/lvmsnap" ' in text
        assert '\nEnvironment="LVM_SYSTEM_DIR=/etc/my lvm"\n' in text


def test_the_former_script_goes_when_the_new_one_is_there(place: Place) -> None:
    former = Path(boot_recovery.FORMER_FILES[0])
    former.parent.mkdir(parents=True)
    former.write_text("#!/bin/sh\n")

    place.install()

    assert not former.parent.exists()


def test_the_script_is_on_the_root_filesystem_since_udev_starts_it_before_others_are_mounted() -> None:
    paths = [file.path for file in boot_parts.FILES if file.system in (None, System.SYSTEMD)]

    assert [path for path in paths if not path.startswith(("/usr/lib/", "/etc/"))] == []


def test_an_image_that_no_command_makes_anew_is_named(place: Place) -> None:
    unified = place.root / "boot/efi/EFI/Linux/debian-6.1.efi"
    unified.parent.mkdir(parents=True)
    unified.touch()
    os.utime(unified, (1_600_000_000, 1_600_000_000))
    place.runner.untouched = unified

    with pytest.raises(StepError, match=f"{unified} is still older than the files that belong in it"):
        place.install()

    assert place.problems()["dracut"] == f"{unified} is older than the files in it"
    assert not boot_recovery.is_installed()
