"""Installs what gives a volume group its LVs back at boot after a power cut, and takes snapshots down at shutdown.

For the systems that are there: initramfs-tools, dracut, systemd. The programs themselves are in boot_files/.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from lvmsnap.install import boot_images
from lvmsnap.install.files import current, own_command, run_telling, write
from lvmsnap.install.host_commands import UNITS, boot_commands
from lvmsnap.install.unit_text import assignment, command_line
from lvmsnap.model.errors import LvmsnapError, StepError
from lvmsnap.model.paths import STATE_DIR
from lvmsnap.system.host import host_id
from lvmsnap.system.lvm_report import PINNED
from lvmsnap.system.processes import Runner, environment

SOURCE = Path(__file__).with_name("boot_files")
# Udev starts the script before any filesystem but the root's is mounted; udev's own programs are here.
LIBRARY = "/usr/lib/udev"
RULES = "/etc/udev/rules.d"
UNIT_FOLDER = "/etc/systemd/system"


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
    BootFile("lvmsnap-repair-groups", f"{LIBRARY}/lvmsnap-repair-groups", 0o755, None),
    BootFile("68-lvmsnap.rules", f"{RULES}/68-lvmsnap.rules", 0o644, None),
    BootFile("initramfs-hook", "/etc/initramfs-tools/hooks/lvmsnap", 0o755, System.INITRAMFS_TOOLS),
    BootFile("initramfs-script", "/etc/initramfs-tools/scripts/local-top/lvmsnap", 0o755, System.INITRAMFS_TOOLS),
    BootFile("initramfs-script", "/etc/initramfs-tools/scripts/local-block/lvmsnap", 0o755, System.INITRAMFS_TOOLS),
    BootFile("module-setup.sh", "/usr/lib/dracut/modules.d/91lvmsnap/module-setup.sh", 0o755, System.DRACUT),
    BootFile("dracut-settled.sh", "/usr/lib/dracut/modules.d/91lvmsnap/lvmsnap-settled.sh", 0o755, System.DRACUT),
    BootFile("lvmsnap-boot@.service", "/etc/systemd/system/lvmsnap-boot@.service", 0o644, System.SYSTEMD),
    BootFile("lvmsnap-recover.service", "/etc/systemd/system/lvmsnap-recover.service", 0o644, System.SYSTEMD),
    BootFile("lvmsnap-shutdown.service", "/etc/systemd/system/lvmsnap-shutdown.service", 0o644, System.SYSTEMD),
    BootFile("lvmsnap-hibernate.service", "/etc/systemd/system/lvmsnap-hibernate.service", 0o644, System.SYSTEMD),
    BootFile("70-lvmsnap.rules", f"{RULES}/70-lvmsnap.rules", 0o644, System.SYSTEMD),
)
# Where older versions had their script: it may be on a filesystem that is not mounted yet when udev wants it.
FORMER_FILES = ("/usr/local/lib/lvmsnap/repair-groups",)
_PLACEHOLDER = re.compile(r"(@[A-Z_]+@)")
_OLD_UUID = re.compile(r"\blvmsnp(?:-[0-9A-Za-z]{4}){5}-[0-9A-Za-z]{6}\b")
PROGRAMS = {System.INITRAMFS_TOOLS: "update-initramfs", System.DRACUT: "dracut", System.SYSTEMD: "systemctl"}


def systems() -> tuple[System, ...]:
    """Return those systems whose programs are on this machine."""
    path = environment()["PATH"]
    return tuple(system for system, program in PROGRAMS.items() if shutil.which(program, path=path))


def install(runner: Runner, tell: Callable[[str], None]) -> None:
    """Write the files of all systems that are there, and have each take them up. Twice in a row changes nothing.

    Raises StepError where a command fails, or an image is none of those that the commands make anew; what was written
    stays, and running it again completes it.
    """
    present = _some_systems()
    if not host_id():
        hint = "systemd-machine-id-setup makes one; then run the same command again"
        raise LvmsnapError("this machine has no machine-id, by which its boot would know what is its own", hint=hint)
    old = [file for file in wanted_files(present) if current(Path(file.path)) != content(file)]
    for file in old:
        write(Path(file.path), content(file), file.mode)
        tell(f"wrote {file.path}")
    # An initramfs takes a minute to make: only where one is older than a file in it, also by an earlier failure.
    written = {file.system for file in old}
    to_do = [system.value for system in present if {system, None} & written or problem(system)]
    _run(runner, to_do, tell, installing=True)
    _remove_former(tell)
    if not to_do:
        tell("everything is installed already")
    for old_image in sorted({image for system in present for image in _old_images(system)}):
        hint = "rebuild it with what built it (kernel-install, ukify, mkosi), then lvmsnap install-boot --status"
        raise StepError(f"{old_image} is still older than the files that belong in it", hint=hint)


def remove(runner: Runner, tell: Callable[[str], None]) -> None:
    """Remove the files, and have each system forget them. Nothing there is no error. Raises StepError."""
    present = systems()
    there = [file for file in FILES if Path(file.path).exists()]
    if System.SYSTEMD in present and all(Path(UNIT_FOLDER, unit).exists() for unit in UNITS):
        _run(runner, ("systemd, disable",), tell, installing=False)
    for file in there:
        Path(file.path).unlink()
        tell(f"removed {file.path}")
    _remove_former(tell)
    for link in (link for unit in UNITS for link in _links(unit)):
        link.unlink(missing_ok=True)
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
        return f"{files[0].path} {_state(files[0])}"
    if system is System.SYSTEMD:
        disabled = [unit for unit in UNITS if not all(link.is_symlink() for link in _links(unit))]
        return f"{disabled[0]} is not enabled" if disabled else ""
    if not boot_images.images():
        return f"no initramfs image is in {boot_images.BOOT_FOLDER}, nor on an EFI system partition"
    old = _old_images(system)
    return f"{old[0]} is older than the files in it" if old else ""


def _links(unit: str) -> tuple[Path, ...]:
    return tuple(Path(UNIT_FOLDER, folder, unit) for folder in UNITS[unit])


def _old_images(system: System) -> tuple[str, ...]:
    if system is System.SYSTEMD:
        return ()
    written = max((os.stat(file.path).st_mtime for file in wanted_files((system,))), default=0.0)
    # FAT keeps times to two seconds.
    return tuple(image for image in boot_images.images() if os.stat(image).st_mtime < written - 2)


def wanted_files(present: tuple[System, ...]) -> tuple[BootFile, ...]:
    """Return the files that the present systems need."""
    return tuple(file for file in FILES if file.system is None or file.system in present)


def content(file: BootFile) -> str:
    """Return what a file is to hold on this machine."""
    system_dir = os.environ.get("LVM_SYSTEM_DIR")
    values = _fixed_values() | {
        "@LVMSNAP@": command_line(own_command()),
        # What brought a snapshot up is to take it down by the same configuration.
        "@ENVIRONMENT@": f"Environment={assignment('LVM_SYSTEM_DIR', system_dir or '')}" if system_dir else "# Of LVM:",
        "@OLD_PVS@": " ".join(_old_pvs()),
    }
    return _PLACEHOLDER.sub(lambda match: values[match[0]], _template(file))


def is_current(file: BootFile) -> bool:
    """Whether a file holds what it is to hold, whichever lvmsnap of this machine it starts."""
    return _matches(file, _fixed_values())


def _matches(file: BootFile, values: dict[str, str]) -> bool:
    """Whether a file holds its text with these values; what is not among them may be anything on its line."""
    found = current(Path(file.path))
    if found is None:
        return False
    wanted = _PLACEHOLDER.sub(lambda match: values.get(match[0], match[0]), _template(file)).split("\n")
    lines = found.split("\n")
    return len(lines) == len(wanted) and all(map(_is_line, lines, wanted))


def _is_line(line: str, wanted: str) -> bool:
    """Whether a line is the wanted one, in which a placeholder stands for anything."""
    # A pattern of a whole file takes longer to compile than all else that `up` does.
    return line == wanted or (
        _PLACEHOLDER.search(wanted) is not None
        and re.fullmatch(".*".join(map(re.escape, _PLACEHOLDER.split(wanted)[::2])), line) is not None
    )


def _fixed_values() -> dict[str, str]:
    pinned = " ".join((*PINNED, "report/aligned=0", 'report/pvs_sort="pv_name"', 'report/pvsegs_sort="pv_name"'))
    return {
        "@LIBRARY@": LIBRARY,
        "@RULES@": RULES,
        "@RECORDS@": STATE_DIR,
        "@PINNED@": pinned,
        "@HOST@": host_id(),
    }


def _template(file: BootFile) -> str:
    return (SOURCE / file.source).read_text(encoding="utf-8")


def _old_pvs() -> tuple[str, ...]:
    """Return the UUIDs of the PVs that an older lvmsnap lent and this host has a record of: they name no host.

    Without them a machine that loses its power before the next `down` would not boot with the new files.
    """
    texts = [current(path) or "" for path in sorted(Path(STATE_DIR).glob("*.json"))]
    return tuple(sorted({uuid for text in texts for uuid in _OLD_UUID.findall(text)}))


def _state(file: BootFile) -> str:
    """Say what is wrong with a file that does not hold what it is to hold."""
    if current(Path(file.path)) is None:
        return "is missing"
    others = _fixed_values()
    del others["@HOST@"]
    if _matches(file, others):
        return "is not this machine's: it was installed under another machine-id"
    return "is not this version's"


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
            run_telling(runner, argv, tell)
