"""Installs what gives a volume group its LVs back at boot after a power cut, and takes snapshots down at shutdown.

For the systems that are there: initramfs-tools, dracut, systemd. The programs themselves are in boot_files/.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from lvmsnap.errors import LvmsnapError
from lvmsnap.host_actions import UNITS, boot_commands
from lvmsnap.runner import Runner, environment
from lvmsnap.system_files import current, own_command, run_telling, write

SOURCE = Path(__file__).with_name("boot_files")
LIBRARY = "/usr/local/lib/lvmsnap"
IMAGE_FOLDER = "/boot"
UNIT_FOLDER = "/etc/systemd/system"
WANTED_BY = "multi-user.target.wants"


class System(Enum):
    """What takes part in a boot."""

    INITRAMFS_TOOLS = "initramfs-tools"
    DRACUT = "dracut"
    SYSTEMD = "systemd"


@dataclass(frozen=True, slots=True)
class BootFile:
    """A file to install: its source in boot_files/, its path, its mode, whose it is (None: everybody's)."""

    source: str
    path: str
    mode: int
    system: System | None


@dataclass(frozen=True, slots=True)
class BootStatus:
    """Whether a system's part is installed; `problem` says what is missing or old."""

    system: System
    problem: str


FILES = (
    BootFile("repair-groups", f"{LIBRARY}/repair-groups", 0o755, None),
    BootFile("initramfs-hook", "/etc/initramfs-tools/hooks/lvmsnap", 0o755, System.INITRAMFS_TOOLS),
    BootFile("initramfs-script", "/etc/initramfs-tools/scripts/local-top/lvmsnap", 0o755, System.INITRAMFS_TOOLS),
    BootFile("initramfs-script", "/etc/initramfs-tools/scripts/local-block/lvmsnap", 0o755, System.INITRAMFS_TOOLS),
    BootFile("module-setup.sh", "/usr/lib/dracut/modules.d/91lvmsnap/module-setup.sh", 0o755, System.DRACUT),
    BootFile("dracut-settled.sh", "/usr/lib/dracut/modules.d/91lvmsnap/lvmsnap-settled.sh", 0o755, System.DRACUT),
    BootFile("lvmsnap-boot@.service", "/etc/systemd/system/lvmsnap-boot@.service", 0o644, System.SYSTEMD),
    BootFile("lvmsnap-recover.service", "/etc/systemd/system/lvmsnap-recover.service", 0o644, System.SYSTEMD),
    BootFile("lvmsnap-shutdown.service", "/etc/systemd/system/lvmsnap-shutdown.service", 0o644, System.SYSTEMD),
    BootFile("70-lvmsnap.rules", "/etc/udev/rules.d/70-lvmsnap.rules", 0o644, System.SYSTEMD),
)
PROGRAMS = {System.INITRAMFS_TOOLS: "update-initramfs", System.DRACUT: "dracut", System.SYSTEMD: "systemctl"}


def systems() -> tuple[System, ...]:
    """Return those systems whose programs are on this machine."""
    path = environment()["PATH"]
    return tuple(system for system, program in PROGRAMS.items() if shutil.which(program, path=path))


def install(runner: Runner, tell: Callable[[str], None]) -> None:
    """Write the files of all systems that are there, and have each take them up. Twice in a row changes nothing.

    Raises StepError where a command fails; what was written stays, and running it again completes it.
    """
    present = _some_systems()
    old = [file for file in wanted_files(present) if current(Path(file.path)) != content(file)]
    for file in old:
        write(Path(file.path), content(file), file.mode)
        tell(f"wrote {file.path}")
    # An initramfs takes a minute to make: only where one is older than a file in it, also by an earlier failure.
    written = {file.system for file in old}
    to_do = [system.value for system in present if system in written or problem(system)]
    _run(runner, to_do, tell, installing=True)
    if not to_do:
        tell("everything is installed already")


def remove(runner: Runner, tell: Callable[[str], None]) -> None:
    """Remove the files, and have each system forget them. Nothing there is no error. Raises StepError."""
    present = systems()
    there = [file for file in FILES if Path(file.path).exists()]
    if System.SYSTEMD in present and all(Path(UNIT_FOLDER, unit).exists() for unit in UNITS):
        _run(runner, ("systemd, disable",), tell, installing=False)
    for file in there:
        Path(file.path).unlink()
        tell(f"removed {file.path}")
    for unit in UNITS:
        Path(UNIT_FOLDER, WANTED_BY, unit).unlink(missing_ok=True)
    for directory in {Path(file.path).parent for file in there if "lvmsnap" in Path(file.path).parent.name}:
        if not any(directory.iterdir()):
            directory.rmdir()
    if there:
        _run(runner, (system.value for system in present), tell, installing=False)


def status() -> tuple[BootStatus, ...]:
    """Return for each system that is there whether its part is installed, and up to date."""
    return tuple(BootStatus(system, problem(system)) for system in systems())


def is_installed() -> bool:
    """Whether the boot of this machine repairs its groups by itself: an initramfs has it, and systemd where it runs."""
    found = {entry.system: entry.problem for entry in status()}
    images = [found[system] for system in (System.INITRAMFS_TOOLS, System.DRACUT) if system in found]
    return any(not problem for problem in images) and not found.get(System.SYSTEMD)


def problem(system: System) -> str:
    """Return what is missing or old in a system's part of the boot, "" where all is well."""
    files = [file for file in wanted_files((system,)) if not is_current(file)]
    if files:
        state = "is missing" if current(Path(files[0].path)) is None else "is not this version's"
        return f"{files[0].path} {state}"
    if system is System.SYSTEMD:
        disabled = [unit for unit in UNITS if not Path(UNIT_FOLDER, WANTED_BY, unit).is_symlink()]
        return f"{disabled[0]} is not enabled" if disabled else ""
    if not images():
        return f"no initramfs image is in {IMAGE_FOLDER}"
    written = max(os.stat(file.path).st_mtime for file in wanted_files((system,)))
    old = [image for image in images() if os.stat(image).st_mtime < written]
    return f"{old[0]} is older than the files in it" if old else ""


def images() -> tuple[str, ...]:
    """Return the initramfs images of the kernels in /boot."""
    found = [*Path(IMAGE_FOLDER).glob("initrd.img-*"), *Path(IMAGE_FOLDER).glob("initramfs-*.img")]
    return tuple(sorted(str(path) for path in found if "kdump" not in path.name and "rescue" not in path.name))


def wanted_files(present: tuple[System, ...]) -> tuple[BootFile, ...]:
    """Return the files that the present systems need."""
    return tuple(file for file in FILES if file.system is None or file.system in present)


def content(file: BootFile) -> str:
    """Return what a file is to hold on this machine."""
    text = (SOURCE / file.source).read_text(encoding="utf-8")
    return text.replace("@LIBRARY@", LIBRARY).replace("@LVMSNAP@", " ".join(own_command()))


def is_current(file: BootFile) -> bool:
    """Whether a file holds what it is to hold, whichever lvmsnap of this machine it starts."""
    before, _, after = (
        (SOURCE / file.source).read_text(encoding="utf-8").replace("@LIBRARY@", LIBRARY).partition("@LVMSNAP@")
    )
    text = current(Path(file.path)) or ""
    return text.startswith(before) and text.endswith(after) and len(text) >= len(before) + len(after)


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
            run_telling(runner, argv, tell)
