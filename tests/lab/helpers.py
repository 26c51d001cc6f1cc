"""What tests do with a guest again and again: volume groups, a clean slate, a look at everything.

Each helper is one script in the guest, because starting processes is what costs time there.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .machine import Machine

MachineFactory = Callable[..., Machine]

STATE_FOLDERS = ("/etc/lvmsnap", "/var/lib/lvmsnap", "/run/lvmsnap")
SEEN_FOLDERS = (*STATE_FOLDERS, "/media", "/mnt")
SCRIPTS = Path(__file__).resolve().parent


def make_vg(
    m: Machine,
    vg: str = "vg0",
    disks: Sequence[str] = ("ubda",),
    *,
    volumes: Mapping[str, str] | None = None,
    filesystems: Mapping[str, str] | None = None,
    mounts: Mapping[str, str] | None = None,
) -> None:
    """Make a volume group, in it volumes (name to size, 64M or 100%FREE), on them filesystems, mounted where said.

    A name in `filesystems` or `mounts` that starts with /dev is a device of its own, e.g. {"/dev/ubdb": "ext4"}.
    """
    devices = " ".join(f"/dev/{disk}" for disk in disks)
    lines = ["set -e", "lvm <<END", f"vgcreate -q -y {vg} {devices}"]
    for name, size in (volumes or {}).items():
        lines.append(f"lvcreate -q -y -W y {'-l' if '%' in size else '-L'} {size} -n {name} {vg}")
    lines.append("END")

    def device(name: str) -> str:
        return name if name.startswith("/dev/") else f"/dev/{vg}/{name}"

    for name, kind in (filesystems or {}).items():
        # What mkfs leaves to the kernel would be written later, into a snapshot that is to stay empty.
        options = "-q -E lazy_itable_init=0" if kind.startswith("ext") else "-q" if kind != "vfat" else ""
        lines.append(f"mkfs.{kind} {options} {device(name)}")
    for name, folder in (mounts or {}).items():
        lines.append(f"mkdir -p {shlex.quote(folder)}; mount {device(name)} {shlex.quote(folder)}")
    m.run("\n".join(lines))


def wipe(m: Machine) -> None:
    """Bring the guest back to its first state: nothing mounted, mapped or looped, disks blank, no state of lvmsnap."""
    m.stands_as_built = False
    m.run(["/bin/sh", "-c", (SCRIPTS / "wipe.sh").read_text(), "wipe", *m.disks], timeout=120)


def fingerprint(m: Machine, folders: Sequence[str] = SEEN_FOLDERS, more: str = "") -> str:
    """Give a canonical text of what a test may compare 'as before': LVM, device-mapper, loops, mounts, folders.

    `more` is shell, run first, which says what else there is.
    """
    script = f"{more}\n{(SCRIPTS / 'fingerprint.sh').read_text()}"
    return m.run(["/bin/sh", "-c", script, "fingerprint", *folders]).stdout
