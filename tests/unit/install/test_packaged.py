"""What install-boot and install-units do where a distribution's package brought lvmsnap."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lvmsnap.install import boot_parts, boot_recovery, files, timer_units
from lvmsnap.install.timer_units import Wish
from lvmsnap.model.errors import LvmsnapError
from tests import samples
from tests.unit.install import boot_machine, fake_systemd
from tests.unit.install.boot_machine import IMAGE, set_host


@pytest.fixture
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> boot_machine.Place:
    """A system with the package and all that takes part in a boot; install-boot was not run yet."""
    made = boot_machine.make(tmp_path, monkeypatch)
    settings = f"{tmp_path}{boot_parts.SETTINGS}"
    monkeypatch.setattr(boot_parts, "SETTINGS", settings)
    monkeypatch.setattr(boot_parts, "_SETTINGS_FILE", boot_parts.BootFile("boot.conf", settings, 0o644, None))
    monkeypatch.setattr(boot_parts, "is_packaged", lambda: True)
    for file in boot_parts.packaged_files():
        Path(file.path).parent.mkdir(parents=True, exist_ok=True)
        Path(file.path).write_text(boot_parts.content(file))
        os.utime(file.path, (1_500_000_000, 1_500_000_000))
    return made


def test_a_package_has_nothing_in_the_administrators_folders() -> None:
    assert [file.path for file in boot_parts.packaged_files() if not file.path.startswith("/usr/")] == []
    assert [file.path for file in boot_parts.packaged_files() if "/local" in file.path.replace("/local-", "/")] == []


def test_a_packages_files_are_the_same_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def texts() -> list[str]:
        return [boot_parts.content(file) for file in boot_parts.packaged_files()]

    set_host(monkeypatch, samples.HOST)
    here = texts()
    set_host(monkeypatch, samples.OTHER_HOST)
    monkeypatch.setattr(boot_parts, "_old_pvs", lambda: (samples.OLD_PV_UUID,))
    monkeypatch.setattr(boot_parts, "own_command", lambda: ("/opt/lvmsnap",))
    monkeypatch.setenv("LVM_SYSTEM_DIR", "/etc/other")

    assert texts() == here
    assert any("ExecStart=/usr/sbin/lvmsnap recover" in text for text in here)


def test_a_package_does_nothing_at_boot_until_install_boot_was_run_which_writes_one_file(
    boot: boot_machine.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LVM_SYSTEM_DIR", "/etc/my lvm")
    settings = boot.root / "etc/lvmsnap/boot.conf"
    assert set(boot.problems().values()) == {f"{settings} is missing"}
    packaged = boot.files()

    commands = boot.install()

    links = {path for path in boot.files() - packaged if Path(boot.root, path).is_symlink()}
    assert boot.files() - packaged - links == {"etc/lvmsnap/boot.conf"}
    text = settings.read_text().splitlines()
    assert [line for line in text if not line.startswith("#")] == [
        f"HOST={samples.HOST}",
        'OLD_PVS=""',
        "LVM_SYSTEM_DIR='/etc/my lvm'",
    ]
    assert "update-initramfs -u -k all" in commands
    assert set(boot.problems().values()) == {""}
    assert boot.install() == []


def test_removing_leaves_the_packages_files_alone(boot: boot_machine.Place) -> None:
    packaged = boot.files()
    boot.install()

    commands = boot.remove()

    assert boot.files() == packaged
    assert any("disable" in line for line in commands)
    assert "update-initramfs -u -k all" in commands
    assert boot.remove() == []


def test_an_image_made_before_the_package_was_installed_is_reported_though_the_package_was_made_before_that(
    boot: boot_machine.Place,
) -> None:
    boot.install()
    os.utime(boot.root / IMAGE, (1_600_000_000, 1_600_000_000))

    assert boot.problems()["initramfs-tools"] == f"{boot.root / IMAGE} is older than the files in it"


def test_files_of_an_installation_without_the_package_are_reported_and_removed(boot: boot_machine.Place) -> None:
    boot.install()
    unit, rules = "etc/systemd/system/lvmsnap-recover.service", "etc/udev/rules.d/68-lvmsnap.rules"
    for name in (unit, rules):
        Path(boot.root, name).parent.mkdir(parents=True, exist_ok=True)
        Path(boot.root, name).write_text("# an older lvmsnap's\n")
    assert boot.problems()["dracut"] == f"{boot.root}/{rules} hides the package's own"

    commands = boot.install()

    assert {unit, rules} & boot.files() == set()
    assert any(line.startswith("systemctl enable") for line in commands)
    assert set(boot.problems().values()) == {""}


def test_a_file_of_the_package_that_was_changed_is_reported_and_left_to_the_package(boot: boot_machine.Place) -> None:
    script = boot.root / "usr/lib/udev/lvmsnap-repair-groups"
    script.write_text("#!/bin/sh\n")

    with pytest.raises(LvmsnapError, match="belongs to another version") as caught:
        boot.install()

    assert "--reinstall lvmsnap" in caught.value.hint
    assert script.read_text() == "#!/bin/sh\n"


def test_install_units_writes_no_template_that_the_package_brings_and_removes_its_own(
    place: fake_systemd.Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wish = Wish("nightly", ("/bin/true",))
    timer_units.install(place.systemd, wish, lambda _: None)  # type: ignore[arg-type]
    template = place.folder / "lvmsnap@.service"
    assert template.exists()
    packaged = tmp_path / "packaged"
    packaged.mkdir()
    monkeypatch.setattr(timer_units, "is_packaged", lambda: True)
    monkeypatch.setattr(timer_units, "PACKAGED_FOLDER", str(packaged))
    assert "is missing" in timer_units.seen(place.systemd, "nightly").problem  # type: ignore[arg-type]
    for name in timer_units.TEMPLATES:
        (packaged / name).touch()
    assert "another version" in timer_units.seen(place.systemd, "nightly").problem  # type: ignore[arg-type]

    timer_units.install(place.systemd, wish, lambda _: None)  # type: ignore[arg-type]

    assert not template.exists()
    assert timer_units.seen(place.systemd, "nightly").problem == ""  # type: ignore[arg-type]


def test_a_packages_units_start_the_packages_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mark = tmp_path / "packaged"
    mark.touch()
    monkeypatch.setattr(files, "PACKAGE_MARK", mark)

    assert files.own_command() == ("/usr/sbin/lvmsnap",)
    assert timer_units.wanted(Wish("nightly", ("/bin/true",)))


def test_a_packages_boot_files_are_read_where_the_package_has_them() -> None:
    assert boot_recovery.UNIT_FOLDER == "/etc/systemd/system", "where links are, with a package too"
