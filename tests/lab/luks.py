"""An origin that holds LUKS, and profiles that open it: what the lab's tests of LUKS share."""

from __future__ import annotations

from typing import Any

from tests.lab.helpers import fingerprint, make_vg
from tests.lab.machine import Machine
from tests.lab.support import profile_text, write_profile

KEY, KEY_FILE = "correct horse", "/root/system.key"
MOUNTPOINT, MAPPING = "/run/lvmsnap/p", "/dev/mapper/lvmsnap-p"
FAST = {"luks1": "--pbkdf-force-iterations 1000", "luks2": "--pbkdf pbkdf2 --pbkdf-force-iterations 1000"}
LINKS = "find /dev/disk/by-uuid /dev/disk/by-label -type l -printf '%p %l\\n' 2> /dev/null | sort"


def make_origin(lab: Machine, version: str = "luks2", kind: str = "ext4", *, size: str = "64M") -> None:
    """Make vg0/data, in it LUKS, in that a filesystem, mounted at /mnt by way of the mapping `data`."""
    make_vg(lab, volumes={"data": size})
    write_key(lab)
    lab.run(f"""set -e
        cryptsetup luksFormat -q --type {version} {FAST[version]} --key-file {KEY_FILE} /dev/vg0/data
        cryptsetup open --key-file {KEY_FILE} /dev/vg0/data data
        mkfs.{kind} -q -L inside /dev/mapper/data; mount /dev/mapper/data /mnt
        cp -a /usr/lib/udev/rules.d /mnt/rules; head -c 3000000 /dev/urandom > /mnt/file; ln -s file /mnt/link; sync
        rm -rf /tmp/old; cp -a /mnt /tmp/old; udevadm settle""")


def write_key(lab: Machine) -> None:
    """Put the key where the profile says it is."""
    lab.run(f"printf %s '{KEY}' > {KEY_FILE}; chmod 0400 {KEY_FILE}")


def luks_profile(lab: Machine, name: str = "p", luks: str = f"{{key_file: {KEY_FILE}}}", **settings: Any) -> None:
    """Write a profile that opens vg0/data; further keys are the volume's."""
    write_profile(lab, name, profile_text("vg0/data", **{"size": "16MiB", "luks": luks, **settings}))


def everything(lab: Machine) -> str:
    """Return all that must be as before: devices, mounts, folders, and what udev links to and is told."""
    return (
        fingerprint(lab, ("/media",))
        + lab.run(f"udevadm settle; {LINKS}; find /run/udev/rules.d -type f", check=False).stdout
    )
