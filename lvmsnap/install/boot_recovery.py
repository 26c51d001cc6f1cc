"""Installs what repairs a volume group at boot after a power cut, and takes snapshots down at shutdown.

For the systems that are present: initramfs-tools, dracut, systemd. The files are in boot_parts; a package ships most.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from lvmsnap.install import boot_images, boot_parts
from lvmsnap.install.boot_parts import BootFile, System, content, hiding_files, is_current, wanted_files
from lvmsnap.install.files import current, run_reporting, write
from lvmsnap.install.host_commands import UNITS, boot_commands
from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.errors import LvmsnapError, StepError
from lvmsnap.system.host import host_id
from lvmsnap.system.processes import Runner, environment
from lvmsnap.system.programs import which

UNIT_FOLDER = "/etc/systemd/system"
# Where older versions had their script: that may be on a filesystem that is not yet mounted when udev needs it.
FORMER_FILES = ("/usr/local/lib/lvmsnap/repair-groups",)
PROGRAMS = {System.INITRAMFS_TOOLS: "update-initramfs", System.DRACUT: "dracut", System.SYSTEMD: "systemctl"}


@dataclass(frozen=True, slots=True)
class BootStatus:
    """Whether a system's part is installed; `problem` says what is missing or outdated."""

    system: System
    problem: str


def systems() -> tuple[System, ...]:
    """Return the systems whose programs are on this machine."""
    path = environment()["PATH"]
    return tuple(system for system, program in PROGRAMS.items() if which(program, path))


def install(runner: Runner, tell: Callable[[str], None]) -> None:
    """Write the files of all present systems, and run the commands that activate them. It is idempotent.

    Raises StepError if a command fails, or if the commands do not rebuild some image; what was written stays, and
    running it again completes it.
    """
    present = _some_systems()
    if not host_id():
        hint = "systemd-machine-id-setup makes one; then run the same command again"
        what = "this machine has no machine-id, which the boot needs to recognise its own snapshots"
        raise LvmsnapError(what, hint=hint)
    _refuse_spoilt(present)
    written = {file.system for file in _remove_hiding(present, tell)}
    old = [file for file in _ours(present) if current(Path(file.path)) != content(file)]
    for file in old:
        write(Path(file.path), content(file), file.mode)
        tell(f"wrote {file.path}")
    # An initramfs takes a minute to build: only if one is older than a file in it, also after an earlier failure.
    written |= {file.system for file in old}
    to_do = [system.value for system in present if {system, None} & written or problem(system)]
    _run(runner, to_do, tell, installing=True)
    _remove_former(tell)
    if not to_do:
        tell("everything is installed already")
    for old_image in sorted({image for system in present for image in _old_images(system)}):
        hint = "rebuild it with what built it (kernel-install, ukify, mkosi), then lvmsnap install-boot --status"
        raise StepError(f"{old_image} is still older than the files that belong in it", hint=hint)


def remove(runner: Runner, tell: Callable[[str], None]) -> None:
    """Remove the files, and have each system drop them. If there are none it is no error. Raises StepError."""
    present = systems()
    files = boot_parts.files()
    there = [file for file in files if Path(file.path).exists() and not file.is_packaged] + list(hiding_files(present))
    units = [file for file in files if Path(file.path).name in UNITS]
    links = [link for unit in UNITS for link in _links(unit) if link.is_symlink()]
    if System.SYSTEMD in present and links and all(Path(file.path).exists() for file in units):
        _run(runner, ("systemd, disable",), tell, installing=False)
    for file in there:
        Path(file.path).unlink()
        tell(f"removed {file.path}")
    _remove_former(tell)
    for link in links:
        link.unlink(missing_ok=True)
    for directory in {Path(file.path).parent for file in there if file.path != boot_parts.SETTINGS}:
        if "lvmsnap" in directory.name and not any(directory.iterdir()):
            directory.rmdir()
    if there:
        _run(runner, (system.value for system in present), tell, installing=False)


def status() -> tuple[BootStatus, ...]:
    """Return for each present system whether its part is installed and up to date."""
    return tuple(BootStatus(system, problem(system)) for system in systems())


def is_installed() -> bool:
    """Whether the boot of this machine repairs its groups by itself: installed in an initramfs, and in systemd."""
    found = {entry.system: entry.problem for entry in status()}
    images = [found[system] for system in (System.INITRAMFS_TOOLS, System.DRACUT) if system in found]
    return any(not problem for problem in images) and not found.get(System.SYSTEMD)


def problem(system: System) -> str:
    """Return what is missing or outdated in a system's part of the boot, "" if all is well."""
    files = [file for file in wanted_files((system,)) if not is_current(file)]
    if files:
        return f"{files[0].path} {boot_parts.state(files[0])}"
    if hiding := hiding_files((system,)):
        return f"{hiding[0].path} hides the package's own"
    if system is System.SYSTEMD:
        disabled = [unit for unit in UNITS if not all(link.is_symlink() for link in _links(unit))]
        return f"{disabled[0]} is not enabled" if disabled else ""
    if not boot_images.images():
        return f"there is no initramfs image in {boot_images.BOOT_FOLDER} or on an EFI system partition"
    old = _old_images(system)
    return f"{old[0]} is older than the files in it" if old else ""


def _links(unit: str) -> tuple[Path, ...]:
    return tuple(Path(UNIT_FOLDER, folder, unit) for folder in UNITS[unit])


def _old_images(system: System) -> tuple[str, ...]:
    if system is System.SYSTEMD:
        return ()
    written = max((_changed(file) for file in wanted_files((system,))), default=0.0)
    # FAT stores times with a resolution of two seconds.
    return tuple(image for image in boot_images.images() if os.stat(image).st_mtime < written - 2)


def _changed(file: BootFile) -> float:
    """Return when a file last changed; a packaged file's mtime is the time at which the package was built."""
    found = os.stat(file.path)
    return max(found.st_mtime, found.st_ctime) if file.is_packaged else found.st_mtime


def _ours(present: tuple[System, ...]) -> list[BootFile]:
    """Return the files that install-boot writes: with a package, only the one that names this machine."""
    return [file for file in wanted_files(present) if not file.is_packaged]


def _refuse_spoilt(present: tuple[System, ...]) -> None:
    for file in wanted_files(present):
        if file.is_packaged and not is_current(file):
            hint = "install the package again (apt-get install --reinstall lvmsnap), then run the same command again"
            raise LvmsnapError(f"{file.path} {boot_parts.state(file)}", hint=hint)


def _remove_hiding(present: tuple[System, ...], tell: Callable[[str], None]) -> tuple[BootFile, ...]:
    """Remove what an unpackaged lvmsnap wrote; return it."""
    hiding = hiding_files(present)
    for file in hiding:
        Path(file.path).unlink()
        tell(f"removed {file.path}, which hid the package's own")
    return hiding


def _remove_former(tell: Callable[[str], None]) -> None:
    for path in map(Path, FORMER_FILES):
        if path.exists():
            path.unlink()
            tell(f"removed {path}")
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()


def _some_systems() -> tuple[System, ...]:
    present = systems()
    if not present:
        known = ", ".join(system.value for system in System)
        raise LvmsnapError(f"none of {known} is on this machine", hint="see `lvmsnap recover`: run it after each boot")
    return present


def _run(runner: Runner, parts: Iterable[str], tell: Callable[[str], None], *, installing: bool) -> None:
    running = Path("/run/systemd/system").is_dir()
    for part in parts:
        for argv in boot_commands(part, installing=installing, running=running):
            run_reporting(runner, argv, tell)
