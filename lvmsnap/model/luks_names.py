"""The names of our LUKS mappings, and the device-mapper UUIDs that cryptsetup gives to mappings. Pure."""

from __future__ import annotations

import re

# cryptsetup's lib/libdevmapper.c: "CRYPT-" TYPE "-" UUID without dashes "-" NAME.
_LUKS = r"CRYPT-LUKS[12]-([0-9a-f]{32})-(.+)"
# For reading a key slot if the kernel offers no ciphers to programs; it exists while the process with that pid runs.
_TEMPORARY = r"CRYPT-TEMP-temporary-cryptsetup-\d+"


def mapping_name(profile: str, number: int = 1) -> str:
    """Return the name of the mapping of a profile's volume number `number`.

    Profile names have no dots and at most 64 characters, so mapping names are unique and not too long.
    """
    return f"lvmsnap-{profile}" if number == 1 else f"lvmsnap-{profile}.{number}"


def mapping_uuid(version: int, luks_uuid: str, name: str) -> str:
    """Return the device-mapper UUID of a mapping of the container with that version and UUID."""
    return f"CRYPT-LUKS{version}-{luks_uuid.replace('-', '')}-{name}"


def is_luks(dm_uuid: str) -> bool:
    """Whether a device with this device-mapper UUID is a LUKS mapping."""
    return re.fullmatch(_LUKS, dm_uuid) is not None


def is_temporary(dm_uuid: str) -> bool:
    """Whether a device with this device-mapper UUID is a temporary one that a killed cryptsetup may leave."""
    return re.fullmatch(_TEMPORARY, dm_uuid) is not None


def name_in(dm_uuid: str, profile: str) -> str:
    """Return the name that a profile's mapping was made with, from its device-mapper UUID; "" if it is not one."""
    match = re.fullmatch(_LUKS, dm_uuid)
    name = match[2] if match else ""
    return name if re.fullmatch(rf"{re.escape(mapping_name(profile))}(\.[0-9]+)?", name) else ""
