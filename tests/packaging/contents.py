"""Puts what belongs to a package into the folder that it is made of: `python -m tests.packaging.contents FOLDER`.

Python's build system has put the modules and the program there already.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lvmsnap.install import boot_parts, files, hold_unit, timer_units
from tests.packaging import completion, manual

SCHEMA = "usr/share/lvmsnap/profile.schema.json"
EXAMPLES = "usr/share/doc/lvmsnap/examples"
# Where each shell looks for what a package brings.
COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions",
    "zsh": "usr/share/zsh/vendor-completions",
    "fish": "usr/share/fish/vendor_completions.d",
}


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
    for name in (*timer_units.TEMPLATES, *hold_unit.TEMPLATES):
        path = folder / timer_units.PACKAGED_FOLDER.lstrip("/") / name
        _write(path, (timer_units.SOURCE / name).read_text())


def _put_generated(folder: Path) -> None:
    """Put what is made of the program itself: man pages, and completion for the shells."""
    for name, text in manual.pages().items():
        _write(folder / f"usr/share/man/man{name[-1]}" / name, text)
    for name, text in completion.files().items():
        shell, _, file = name.partition("/")
        _write(folder / COMPLETIONS[shell] / file, text)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


if __name__ == "__main__":
    main()
