"""Puts what belongs to a package into the folder that it is made of: `python -m tests.packaging.contents FOLDER`.

Python's build system has put the modules and the program there already.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lvmsnap.install import boot_parts, files, timer_units
from tests import TOP

SCHEMA = "usr/share/lvmsnap/profile.schema.json"
EXAMPLES = "usr/share/doc/lvmsnap/examples"
MAN = "usr/share/man"


def main() -> None:
    folder = Path(sys.argv[1])
    (modules,) = folder.glob("usr/lib/python3*/dist-packages/lvmsnap")
    program = folder / files.PACKAGED_PROGRAM.lstrip("/")
    program.parent.mkdir(parents=True, exist_ok=True)
    (folder / "usr/bin/lvmsnap").rename(program)
    (folder / "usr/bin").rmdir()
    (modules / "install" / files.PACKAGE_MARK.name).touch()
    _put_data(folder, modules)
    _put_system_files(folder)
    _put_generated(folder)


def _put_data(folder: Path, modules: Path) -> None:
    """Put the schema and the samples where people look for them."""
    schema = folder / SCHEMA
    schema.parent.mkdir(parents=True)
    (modules / "schema" / schema.name).rename(schema)
    (modules / "schema" / schema.name).symlink_to(f"/{SCHEMA}")
    for sample in (modules / "samples").iterdir():
        _write(folder / EXAMPLES / sample.name, sample.read_text())
        sample.unlink()
    (modules / "samples").rmdir()


def _put_system_files(folder: Path) -> None:
    """Put what takes part in a boot, and the templates of units, at their packaged places."""
    for file in boot_parts.packaged_files():
        _write(folder / file.path.lstrip("/"), boot_parts.content(file), file.mode)
    for name in timer_units.TEMPLATES:
        path = folder / timer_units.PACKAGED_FOLDER.lstrip("/") / name
        _write(path, (timer_units.SOURCE / name).read_text())


def _put_generated(folder: Path) -> None:
    """Put what is made of the program itself: man pages."""
    made = folder / "made"
    subprocess.run([sys.executable, "-m", "tests.packaging.manual", made.absolute()], cwd=TOP, check=True)
    for page in made.iterdir():
        _write(folder / MAN / f"man{page.suffix[1:]}" / page.name, page.read_text())
        page.unlink()
    made.rmdir()


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


if __name__ == "__main__":
    main()
