"""This host's identity in eight characters: it is part of lvmsnap's marks on disks that several hosts may see."""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path

MACHINE_ID = "/etc/machine-id"
KEY = b"lvmsnap host"
HOST_PATTERN = r"[0-9a-f]{8}"


def host_id(path: str = MACHINE_ID) -> str:
    """Return this host's identity, 8 lower-case hex digits; "" if the machine has no machine-id."""
    try:
        return identity(Path(path).read_bytes())
    except OSError:
        return ""


def identity(machine_id: bytes) -> str:
    """Return the identity of the host with this machine-id, "" if the machine-id is not valid.

    It is a keyed hash (HMAC-SHA256), since the machine-id itself should not be published (machine-id(5)): whoever sees
    the disks can read the identity in a tag and in a PV's UUID.
    """
    machine_id = machine_id.strip().lower()
    # An image that never booted holds "uninitialized" or nothing, and all zeros is no ID (machine-id(5)).
    if not re.fullmatch(rb"[0-9a-f]{32}", machine_id) or not machine_id.strip(b"0"):
        return ""
    return hmac.new(KEY, machine_id, hashlib.sha256).hexdigest()[:8]
