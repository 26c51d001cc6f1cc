"""The rules for names: of profiles, of LVM's logical volumes, of device-mapper. Pure."""

from __future__ import annotations

import re

# LVM's NAME_LEN and device-mapper's DM_NAME_LEN are both 128 including the final NUL.
MAX_NAME_LENGTH = 127

RESERVED_PREFIXES = ("pvmove", "snapshot")
RESERVED_STRINGS = (
    *("_cdata", "_cmeta", "_corig", "_cpool", "_cvol", "_wcorig", "_mimage", "_mlog", "_rimage", "_rmeta"),
    *("_tdata", "_tmeta", "_vdata", "_imeta", "_iorig", "_pmspare", "_vorigin"),
)

PROFILE_NAME_RULE = "a name has at most 64 characters of a-z 0-9 _ -, begins with a letter or a digit, and is not lock"

_PROFILE_NAME = r"[a-z0-9][a-z0-9_-]{0,63}"
_CHARACTERS = r"[A-Za-z0-9+_.-]+"


def tag_prefix(host: str) -> str:
    """Return the prefix of the LVM tags of a host's snapshots; an older lvmsnap, `host` "", wrote no host."""
    return f"lvmsnap2.{host}." if host else "lvmsnap."


def snapshot_tag(name: str, host: str) -> str:
    """Return the LVM tag of a snapshot of profile `name`, "lvmsnap2.HOST.NAME"."""
    return f"{tag_prefix(host)}{name}"


def is_profile_name(name: str) -> bool:
    """Whether a profile can have this name; it becomes part of paths that root writes, wherever it comes from."""
    return re.fullmatch(_PROFILE_NAME, name) is not None and name != "lock"


def name_problem(vg: str, lv: str) -> str | None:
    """Why LVM cannot make a snapshot named `lv` in group `vg`, as a clause without a subject; None if it can."""
    return _characters_problem(lv) or _reserved_problem(lv) or _length_problem(vg, lv, "-cow")


def origin_name_problem(vg: str, lv: str) -> str | None:
    """Why the names alone keep volume `vg`/`lv` from having a snapshot, as a clause without a subject; None if fine."""
    of_group = _characters_problem(vg)
    if of_group:
        return f"has a volume group name that {of_group}"
    return _characters_problem(lv) or _length_problem(vg, lv, "-real")


def dm_name(vg: str, lv: str) -> str:
    """The device-mapper name of `vg`/`lv`: dashes within a name are doubled, one dash joins the two."""
    return f"{vg.replace('-', '--')}-{lv.replace('-', '--')}"


def lvm_name(dm_name: str) -> str:
    """Return the name, VG/LV, of the LV whose device has this device-mapper name; "" if no LV can have it."""
    match = re.fullmatch(r"((?:[^-]|--)+)-((?:[^-]|--)+)", dm_name)
    return "/".join(part.replace("--", "-") for part in match.groups()) if match else ""


def dm_uuid(vg_uuid: str, lv_uuid: str) -> str:
    """Return the device-mapper UUID of an LV's device: "LVM-" and both UUIDs without dashes (lvm2's lib/activate)."""
    return "LVM-" + (vg_uuid + lv_uuid).replace("-", "")


def _characters_problem(name: str) -> str | None:
    if not name:
        return "is empty"
    if name.startswith("-"):
        return "begins with a dash, which LVM does not allow"
    if name in (".", ".."):
        return "is a name that LVM does not allow"
    if not re.fullmatch(_CHARACTERS, name):
        return "has characters other than A-Z a-z 0-9 + _ . - (LVM allows no others)"
    if len(name) > MAX_NAME_LENGTH:
        return f"has {len(name)} characters, LVM allows {MAX_NAME_LENGTH}"
    return None


def _reserved_problem(name: str) -> str | None:
    for prefix in RESERVED_PREFIXES:
        if name.startswith(prefix):
            return f'begins with "{prefix}", which LVM reserves'
    for string in RESERVED_STRINGS:
        if string in name:
            return f'contains "{string}", which LVM reserves'
    return None


def _length_problem(vg: str, lv: str, layer: str) -> str | None:
    """LVM makes a hidden device with the volume's name plus `layer`; lvcreate notices too late that it is too long."""
    full = dm_name(vg, lv) + layer
    if len(full) <= MAX_NAME_LENGTH:
        return None
    return f"is too long: device-mapper's name {full} has {len(full)} characters, {MAX_NAME_LENGTH} are allowed"
