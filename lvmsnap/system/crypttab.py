"""Which key files /etc/crypttab names for LUKS containers (crypttab(5)). Only reads, and no key."""

from __future__ import annotations

import re
from pathlib import Path

CRYPTTAB = "/etc/crypttab"
# Options by which the key is not the whole content of the file, or the container has a detached header.
OTHER_KEY = r"(?:keyfile-|header=|tpm2-|fido2-|pkcs11-|keyscript=|plain$|swap$|tmp)"


def key_files() -> dict[str, str]:
    """Return the key file of each container that has one, by "UUID=..." or by the device's path."""
    found = {}
    for line in _lines():
        fields = line.split()
        if len(fields) < 3 or fields[0].startswith("#") or not fields[2].startswith("/") or ":" in fields[2]:
            continue
        options = fields[3].split(",") if len(fields) > 3 else []
        if not fields[2].startswith("/dev/") and not any(re.match(OTHER_KEY, option) for option in options):
            found[_source(fields[1])] = fields[2]
    return found


def _source(text: str) -> str:
    name, _, value = text.partition("=")
    by_uuid = text.removeprefix("/dev/disk/by-uuid/")
    if by_uuid != text:
        return f"UUID={by_uuid.lower()}"
    return f"UUID={value.strip(chr(34)).lower()}" if name == "UUID" else text


def _lines() -> list[str]:
    try:
        return Path(CRYPTTAB).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
