"""What a package holds, and that its program knows it, without building one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lvmsnap import __version__
from lvmsnap.install import timer_units
from tests import TOP
from tests.packaging import changelog

SCRIPTS = ("lvmsnap.prerm", "lvmsnap.postinst", "lvmsnap.postrm")
DEBIAN = TOP / "tests/packaging/debian"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Python's build system makes of the checkout, and then the rest of the package."""
    made = tmp_path_factory.mktemp("package")
    modules = made / "usr/lib/python3/dist-packages/lvmsnap"
    shutil.copytree(TOP / "lvmsnap", modules, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(TOP / "schema", modules / "schema")
    shutil.copytree(TOP / "profiles", modules / "samples")
    (made / "usr/bin").mkdir()
    (made / "usr/bin/lvmsnap").touch()
    subprocess.run([sys.executable, "-m", "tests.packaging.contents", made], cwd=TOP, check=True)
    return made


def test_everything_is_where_an_administrator_of_debian_looks_for_it(folder: Path) -> None:
    paths = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    assert paths >= {
        "usr/sbin/lvmsnap",
        "usr/share/man/man8/lvmsnap.8",
        "usr/share/man/man5/lvmsnap-profile.5",
        "usr/share/bash-completion/completions/lvmsnap",
        "usr/share/zsh/vendor-completions/_lvmsnap",
        "usr/share/fish/vendor_completions.d/lvmsnap.fish",
        "usr/share/lvmsnap/profile.schema.json",
        *(f"usr/lib/systemd/system/{path.name}" for path in timer_units.SOURCE.iterdir()),
        "usr/lib/systemd/system/lvmsnap-recover.service",
        "usr/lib/udev/rules.d/68-lvmsnap.rules",
        "usr/lib/udev/lvmsnap-repair-groups",
        "usr/share/initramfs-tools/hooks/lvmsnap",
        "usr/share/initramfs-tools/scripts/local-top/lvmsnap",
        "usr/lib/dracut/modules.d/91lvmsnap/module-setup.sh",
    }
    assert {path.name for path in (TOP / "profiles").iterdir()} == {
        path.name for path in (folder / "usr/share/doc/lvmsnap/examples").iterdir()
    }
    assert [path for path in paths if not path.startswith("usr/") or "/local/" in path] == []


def test_each_file_names_the_packages_own_places(folder: Path) -> None:
    outside = (path for path in folder.rglob("*") if path.is_file() and "dist-packages" not in str(path))
    texts = {str(path.relative_to(folder)): path.read_text() for path in outside if "/man" not in str(path)}

    assert [name for name, text in texts.items() if re.search(r"@[A-Z_]+@|\.venv", text)] == []
    assert "ExecStart=/usr/sbin/lvmsnap recover" in texts["usr/lib/systemd/system/lvmsnap-recover.service"]
    hook = texts["usr/share/initramfs-tools/hooks/lvmsnap"]
    assert "cp -p /usr/lib/udev/rules.d/68-lvmsnap.rules" in hook
    assert hook.index("[ -e /etc/lvmsnap/boot.conf ] || exit 0") < hook.index("copy_exec")


@pytest.mark.parametrize("shell", ["dash", "busybox sh", "bash"])
def test_the_boots_scripts_are_legal_and_do_nothing_on_a_machine_that_was_not_asked(folder: Path, shell: str) -> None:
    program, *rest = shell.split()
    found = shutil.which(program)
    if Path("/etc/lvmsnap/boot.conf").exists() or not found:
        pytest.skip(f"there is no {shell}, or install-boot was run here")
    for name in ("usr/lib/udev/lvmsnap-repair-groups", "usr/share/initramfs-tools/hooks/lvmsnap"):
        run = [found, *rest, str(folder / name)]
        done = subprocess.run(run, env={"PATH": "/nowhere"}, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_packages_program_finds_its_schema_and_its_pages_and_knows_that_it_is_packaged(folder: Path) -> None:
    modules = folder / "usr/lib/python3/dist-packages"
    link = modules / "lvmsnap/schema/profile.schema.json"
    assert os.readlink(link) == "/usr/share/lvmsnap/profile.schema.json"
    ask = "from lvmsnap.install import files, boot_parts; print(files.own_command()[0], boot_parts.files()[0].path)"

    done = subprocess.run(
        [sys.executable, "-c", ask],
        env={"PYTHONPATH": str(modules)},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["/usr/sbin/lvmsnap", "/etc/lvmsnap/boot.conf"]


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_the_packages_scripts_are_legal_in_every_shell(name: str, shell: str) -> None:
    done = subprocess.run([shell, "-n", DEBIAN / name], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_page_of_changes_begins_with_this_version_and_is_the_packages_changelog() -> None:
    (newest, items), *_ = changelog.entries(changelog.PAGE.read_text())
    lines = "\n".join(changelog.lines("1.2+git3", "Some One <one@two.invalid>", "Mon, 01 Jan 2024 00:00:00 +0000"))

    assert newest == __version__
    assert items
    assert lines.startswith("lvmsnap (1.2+git3) unstable; urgency=medium\n\n  * ")
    assert "\n\n -- Some One <one@two.invalid>  Mon, 01 Jan 2024 00:00:00 +0000\n" in lines
    assert max(map(len, lines.splitlines())) <= 80


def test_the_version_is_the_same_wherever_it_is_written() -> None:
    assert f'version = "{__version__}"' in (TOP / "pyproject.toml").read_text()


def test_pip_installs_every_folder_of_the_program_and_with_it_the_samples_and_the_schema() -> None:
    settings = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {path.parent for path in (TOP / "lvmsnap").rglob("*.*") if "__pycache__" not in path.parts}
    own = {".".join(folder.relative_to(TOP).parts) for folder in folders}

    assert set(settings["packages"]) == own | {"lvmsnap.samples", "lvmsnap.schema"}
    assert settings["package-dir"] == {"lvmsnap.samples": "profiles", "lvmsnap.schema": "schema"}
    data = {name for name in own if not (TOP / name.replace(".", "/") / "__init__.py").exists()}
    assert settings["package-data"].keys() == data | {"lvmsnap.samples", "lvmsnap.schema"}
