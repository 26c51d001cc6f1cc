"""The files of lvmsnap's part of the boot: their paths and their content. Writes nothing.

Without a distribution's package, install-boot writes all of them. A package ships them in its own places, where they do
nothing until install-boot has written the one that names this machine, `SETTINGS`.
"""

from __future__ import annotations

import os
import re
import shlex
from enum import Enum
from pathlib import Path

from lvmsnap.install.files import PACKAGED_PROGRAM, current, is_packaged, own_command
from lvmsnap.install.unit_text import assignment, command_line
from lvmsnap.model.dataclass import dataclass, replace
from lvmsnap.model.paths import STATE_DIR
from lvmsnap.system.host import host_id
from lvmsnap.system.lvm_report import PINNED

SOURCE = Path(__file__).with_name("boot_files")
# udev starts the script before any filesystem but the root is mounted; udev's own programs are here.
LIBRARY = "/usr/lib/udev"
SCRIPT = "lvmsnap-repair-groups"
RULES = "/etc/udev/rules.d"
SETTINGS = "/etc/lvmsnap/boot.conf"
# Where a package ships what install-boot writes otherwise: the administrator's directories, and those of packages.
PACKAGED_FOLDERS = {
    "/etc/udev/": "/usr/lib/udev/",
    "/etc/initramfs-tools/": "/usr/share/initramfs-tools/",
    "/etc/systemd/": "/usr/lib/systemd/",
}


class System(Enum):
    """What takes part in a boot."""

    INITRAMFS_TOOLS = "initramfs-tools"
    DRACUT = "dracut"
    SYSTEMD = "systemd"


@dataclass(frozen=True, slots=True)
class BootFile:
    """A file: its source in boot_files/, its path, its mode, which system needs it (None: every one).

    `is_packaged`: the distribution's package ships it, and nobody else changes it.
    """

    source: str
    path: str
    mode: int
    system: System | None
    is_packaged: bool = False


FILES = (
    BootFile("lvmsnap-repair-groups", f"{LIBRARY}/{SCRIPT}", 0o755, None),
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
_SETTINGS_FILE = BootFile("boot.conf", SETTINGS, 0o644, None)

# The lines of the script that differ between machines.
_INLINE = """HOST=@HOST@                # this host's mark, made from its machine-id (lvmsnap/system/host.py)
OLD_PVS="@OLD_PVS@"        # PVs lent by an older lvmsnap of this host when this file was written: they name no host"""
_READ = """# Written by `lvmsnap install-boot`: HOST, this host's mark, and OLD_PVS. Without it nothing is done.
[ -r @SWITCH@ ] || exit 0
. @SWITCH@"""
_PLACEHOLDER = r"(@[A-Z_]+@)"
_OLD_UUID = r"\blvmsnp(?:-[0-9A-Za-z]{4}){5}-[0-9A-Za-z]{6}\b"


def files() -> tuple[BootFile, ...]:
    """Return the files of this installation; with a package, the one that names the machine comes first."""
    return (_SETTINGS_FILE, *packaged_files()) if is_packaged() else FILES


def packaged_files() -> tuple[BootFile, ...]:
    """Return the files that a package ships, with their packaged paths."""
    return tuple(replace(file, path=packaged_path(file.path), is_packaged=True) for file in FILES)


def packaged_path(path: str) -> str:
    """Return a package's path for a file that install-boot would write to `path` without a package."""
    for folder, packaged in PACKAGED_FOLDERS.items():
        path = path.replace(folder, packaged, 1)
    return path


def hiding_files(present: tuple[System, ...]) -> tuple[BootFile, ...]:
    """Return the files that an unpackaged lvmsnap wrote, and that now hide the package's own."""
    if not is_packaged():
        return ()
    elsewhere = (file for file in FILES if packaged_path(file.path) != file.path)
    return tuple(file for file in wanted_of(tuple(elsewhere), present) if Path(file.path).is_file())


def wanted_files(present: tuple[System, ...]) -> tuple[BootFile, ...]:
    """Return the files that the present systems need."""
    return wanted_of(files(), present)


def wanted_of(among: tuple[BootFile, ...], present: tuple[System, ...]) -> tuple[BootFile, ...]:
    """Return which of these files the present systems need."""
    return tuple(file for file in among if file.system is None or file.system in present)


def content(file: BootFile) -> str:
    """Return the content that a file should have on this machine."""
    system_dir = os.environ.get("LVM_SYSTEM_DIR", "")
    in_unit = f"Environment={assignment('LVM_SYSTEM_DIR', system_dir)}"
    values = _fixed_values(file) | {
        "@LVMSNAP@": PACKAGED_PROGRAM if file.is_packaged else command_line(own_command()),
        "@OLD_PVS@": " ".join(_old_pvs()),
        # A snapshot must be taken down with the same LVM configuration as it was brought up.
        "@LVM_SYSTEM_DIR@": f"LVM_SYSTEM_DIR={shlex.quote(system_dir)}" if system_dir else "",
    }
    values.setdefault("@ENVIRONMENT@", in_unit if system_dir else "# Of LVM:")
    return re.sub(_PLACEHOLDER, lambda match: values[match[0]], _template(file))


def is_current(file: BootFile) -> bool:
    """Whether a file has the right content, whichever lvmsnap on this machine it starts."""
    return _matches(file, _fixed_values(file))


def state(file: BootFile) -> str:
    """Say what is wrong with a file whose content is not right."""
    if current(Path(file.path)) is None:
        return "is missing"
    others = _fixed_values(file)
    del others["@HOST@"]
    if _matches(file, others):
        return "is not this machine's: it was installed under another machine-id"
    return "belongs to another version"


def _matches(file: BootFile, values: dict[str, str]) -> bool:
    """Whether a file has its text with these values; other placeholders match anything on their line."""
    found = current(Path(file.path))
    if found is None:
        return False
    wanted = re.sub(_PLACEHOLDER, lambda match: values.get(match[0], match[0]), _template(file)).split("\n")
    lines = found.split("\n")
    return len(lines) == len(wanted) and all(map(_is_line, lines, wanted))


def _is_line(line: str, wanted: str) -> bool:
    """Whether a line is the wanted one; a placeholder in that matches anything."""
    # A pattern for a whole file would take longer to compile than everything else in `up`.
    return line == wanted or (
        re.search(_PLACEHOLDER, wanted) is not None
        and re.fullmatch(".*".join(map(re.escape, re.split(_PLACEHOLDER, wanted)[::2])), line) is not None
    )


def _fixed_values(file: BootFile) -> dict[str, str]:
    pinned = " ".join((*PINNED, "report/aligned=0", 'report/pvs_sort="pv_name"', 'report/pvsegs_sort="pv_name"'))
    values = {
        "@LIBRARY@": LIBRARY,
        "@RULES@": packaged_path(RULES + "/").rstrip("/") if file.is_packaged else RULES,
        "@RECORDS@": STATE_DIR,
        "@PINNED@": pinned,
        "@HOST@": host_id(),
        # This file exists as long as the boot should do lvmsnap's work.
        "@SWITCH@": SETTINGS if file.is_packaged else f"{LIBRARY}/{SCRIPT}",
    }
    if file.is_packaged:
        values["@ENVIRONMENT@"] = f"EnvironmentFile=-{SETTINGS}\nUnsetEnvironment=HOST OLD_PVS"
    return values


def _template(file: BootFile) -> str:
    text = (SOURCE / file.source).read_text(encoding="utf-8")
    return text.replace("@THIS_HOST@", _READ if file.is_packaged else _INLINE)


def _old_pvs() -> tuple[str, ...]:
    """Return the UUIDs of PVs that an older lvmsnap lent and this host has a record of: they name no host.

    Without them a machine that loses power before the next `down` would not boot with the new files.
    """
    texts = [current(path) or "" for path in sorted(Path(STATE_DIR).glob("*.json"))]
    return tuple(sorted({uuid for text in texts for uuid in re.findall(_OLD_UUID, text)}))
