"""Reads the header of a LUKS container (LUKS1 and LUKS2 On-Disk Format Specification). Only reads, and no key."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from lvmsnap.model.looked import LuksHeader

MAGIC = b"LUKS\xba\xbe"
# In both versions: magic and version, all big-endian; the UUID is 40 bytes of text at the same offset.
VERSION_OFFSET, UUID_OFFSET, UUID_BYTES = 6, 168, 40
# Version 2: the offset of the header's size, and of the JSON area, which ends with NUL.
SIZE_OFFSET, JSON_OFFSET, LARGEST_BYTES = 8, 4096, 4 << 20


def read(device: str) -> LuksHeader | None:
    """Return the header at the beginning of a device, None if there is none or it cannot be read."""
    try:
        with Path(device).open("rb", buffering=0) as file:
            head = file.read(JSON_OFFSET)
            rest = file.read(_json_bytes(head)) if head.startswith(MAGIC) else b""
            return parse(head + rest)
    except OSError:
        return None


def _json_bytes(head: bytes) -> int:
    if len(head) < JSON_OFFSET or _version(head) != 2:
        return 0
    (size,) = struct.unpack_from(">Q", head, SIZE_OFFSET)
    return max(0, min(int(size), LARGEST_BYTES) - JSON_OFFSET)


def parse(head: bytes) -> LuksHeader | None:
    """Parse a device's first bytes, None if it is not a LUKS container."""
    if not head.startswith(MAGIC) or len(head) < JSON_OFFSET:
        return None
    version = _version(head)
    uuid = head[UUID_OFFSET : UUID_OFFSET + UUID_BYTES].partition(b"\0")[0].decode("ascii", errors="replace")
    if version == 1:
        return LuksHeader(version, uuid)
    if version != 2:
        return LuksHeader(version, uuid, f"its LUKS version {version} is not known")
    return LuksHeader(version, uuid, _obstacle(head[JSON_OFFSET:].partition(b"\0")[0]))


def _version(head: bytes) -> int:
    (version,) = struct.unpack_from(">H", head, VERSION_OFFSET)
    return int(version)


def _obstacle(text: bytes) -> str:
    """Say why a snapshot of such a container cannot be opened, "" if it can: with one plain crypt segment only."""
    try:
        metadata: dict[str, Any] = json.loads(text)
        required = [str(name) for name in metadata["config"].get("requirements", {}).get("mandatory", ())]
        segments: list[dict[str, Any]] = list(metadata["segments"].values())
        kinds = {str(segment["type"]) for segment in segments}
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return "its LUKS header is damaged"
    if any("reencrypt" in name for name in required) or len(segments) > 1:
        return "it is being re-encrypted"
    if any("integrity" in segment for segment in segments):
        return "it has LUKS2's integrity protection, which needs a second mapping"
    if required or kinds != {"crypt"}:
        return f"it needs {', '.join(required) or ', '.join(sorted(kinds))}"
    return ""
