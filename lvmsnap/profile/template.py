"""The text of a first profile, for `lvmsnap init`: one for this machine, or a template if nothing is known. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from lvmsnap.model import lvm_names
from lvmsnap.model.errors import UsageError
from lvmsnap.model.first_profile import FileNotes, Proposal, VolumeNotes
from lvmsnap.model.paths import PLAIN_PATH
from lvmsnap.model.printable import escaped
from lvmsnap.model.profile import Allocation, BackingFile, Profile, Volume
from lvmsnap.model.units import as_written

COLUMNS = 80
SCHEMA_LINE = "# yaml-language-server: $schema={}\n"

HOOKS = """\
# Commands of your own, to hold a database still while the snapshot is taken:
# hooks:
#   before_snapshot: [/usr/local/sbin/database-lock]
#   after_snapshot: [/usr/local/sbin/database-unlock]
"""
HEAD = """\
# Save this as /etc/lvmsnap/NAME.yaml, owned by root, writable by nobody else.
# `lvmsnap schema` prints every key with its meaning,
# `lvmsnap plan NAME` shows what this profile does.
"""
VOLUME = """\
  - origin: {}
    size: 4GiB        # room for changes to the origin; or 20%ORIGIN, 50%FREE
"""
MOUNTPOINT = """\
    # mountpoint: /media/snapshot   # default: /run/lvmsnap/NAME
"""
NO_ROOM = """\
# If the group has no room, a temporary file on another disk can lend it some:
# backing_file:
#   path: /mnt/other_disk/lvmsnap.tmp
#   max_size: 20GiB   # it may grow to this while `run` or `watch` guards it
"""


def text(origins: tuple[str, ...], schema: str = "", name: str = "") -> str:
    """Return a first profile for origins "VG/LV" of which nothing else is known. Raises UsageError if one is invalid.

    `schema` is the path of the schema, `name` the profile's name, "" if it has none yet.
    """
    for origin in origins:
        vg, slash, lv = origin.partition("/")
        problem = lvm_names.origin_name_problem(vg, lv) if slash else "is not of the form VG/LV"
        if problem:
            raise UsageError(f"{origin} {problem}", hint="lvs -o vg_name,lv_name lists the volumes")
    volumes = "".join(VOLUME.format(origin) for origin in origins) + (MOUNTPOINT if len(origins) == 1 else "")
    no_room = NO_ROOM if len({origin.partition("/")[0] for origin in origins}) == 1 else ""
    head = "\n".join([*HEAD.splitlines()[1:], ""]) if name else HEAD
    whole = f"{_schema_line(schema)}{head}description: {_description(origins)}\nvolumes:\n{volumes}{no_room}{HOOKS}"
    return re.sub(r"\bNAME\b", name, whole) if name else whole


def proposed(proposal: Proposal, schema: str, *, is_named: bool) -> str:
    """Return the text of a profile for this machine; if it is not named yet, it says how to save it."""
    profile = proposal.profile
    name = profile.name if is_named else "NAME"
    lines = [] if is_named else [HEAD.splitlines()[0]]
    lines += _comment(
        f"Proposed by `lvmsnap init` for this machine; `lvmsnap plan {name}` shows what it does, "
        "and `lvmsnap help profiles` explains every key."
    )
    if proposal.is_risky:
        risk = "without it, a power cut while the snapshot exists could keep this machine from booting."
        lines += _comment(f"First of all run `lvmsnap install-boot`: {risk}")
    lines += [f"description: {profile.description}", "volumes:"]
    for volume, notes in zip(profile.volumes, proposal.volumes, strict=True):
        lines += _volume(volume, notes, name, is_alone=len(profile.volumes) == 1)
    lines += [*_set(proposal), *_files(proposal)]
    no_room = f"\n{NO_ROOM}" if proposal.failed and not profile.backing_files and len(profile.groups) == 1 else ""
    return "".join((_schema_line(schema), *(f"{line}\n" for line in lines), no_room, f"\n{HOOKS}"))


def _schema_line(schema: str) -> str:
    return SCHEMA_LINE.format(schema) if schema else ""


def _description(origins: tuple[str, ...]) -> str:
    return f"Snapshot of {', '.join(origins)} for the backup"


def _volume(volume: Volume, notes: VolumeNotes, name: str, *, is_alone: bool) -> Iterator[str]:
    yield from _comment(notes.what, 2)
    if notes.left_out:
        yield from _comment(f"Left out: {notes.left_out}", 2)
    yield f"  - origin: {volume.path}"
    yield from _comment(notes.size, 4)
    if volume.size:
        yield f"    size: {as_written(volume.size.amount)}"
    if volume.luks and volume.luks.key_file:
        yield f"    luks: {{key_file: {_scalar(volume.luks.key_file)}}}   # as in /etc/crypttab"
    elif volume.luks:
        yield "    luks: {prompt: true}   # the passphrase is asked for; without a terminal:"
        yield f"    # luks: {{key_file: /root/{volume.origin}.key}}   # root's, mode 0400"
    if notes.mount:
        yield from _comment(notes.mount, 4)
        yield "    mountpoint: null"
    elif is_alone and not volume.is_in_tree:
        yield f"    # mountpoint: /media/snapshot   # default: /run/lvmsnap/{name}"


def _set(proposal: Proposal) -> Iterator[str]:
    """Yield the keys that concern several volumes together."""
    profile = proposal.profile
    if profile.includes:
        yield ""
        yield from _comment("Mounts between the volumes, shown as they are:")
        yield f"include: [{', '.join(map(_scalar, profile.includes))}]"
    if not profile.is_consistent:
        yield ""
        yield from _comment(f"The snapshots cannot be of one instant: {proposal.one_by_one}")
        yield "consistent: false"


def _files(proposal: Proposal) -> Iterator[str]:
    profile = proposal.profile
    is_list = len(profile.backing_files) > 1
    is_named = is_list or len(profile.groups) > 1
    for number, (file, notes) in enumerate(zip(profile.backing_files, proposal.files, strict=True)):
        yield from ("", *_comment(notes.why), "backing_file:") if not number else _comment(notes.why, 2)
        lines = [*_file(file, is_named=is_named, in_same_group=proposal.in_same_group), *_growth(file, profile, notes)]
        first, others = ("  - ", "    ") if is_list else ("  ", "  ")
        yield f"{first}{lines[0]}"
        yield from (f"{others}{line}" for line in lines[1:])


def _file(file: BackingFile, *, is_named: bool, in_same_group: bool) -> Iterator[str]:
    yield f"path: {_scalar(file.path)}"
    if is_named:
        yield f"vg: {file.vg}"
    if file.allocation is not Allocation.FALLOCATE:
        yield f"allocation: {file.allocation.value}   # its blocks are held only once they are written"
    if in_same_group:
        yield f"# It lies on a volume of {file.vg} itself, and no better place was found: after a"
        yield "# power cut the group may not come up by itself. If you accept that:"
        yield "# allow_same_vg: true"


def _growth(file: BackingFile, profile: Profile, notes: FileNotes) -> Iterator[str]:
    needed = sum(one.size.amount for one in profile.volumes_in(file.vg) if one.size)
    most = min(4 * needed, notes.largest_bytes)
    if most > needed:
        yield f"# max_size: {as_written(most)}   # it may grow to this while `run` or `watch` guards it"


def _scalar(path: str) -> str:
    return path if re.fullmatch(PLAIN_PATH, path) else "'" + path.replace("'", "''") + "'"


def _comment(note: str, indent: int = 0) -> list[str]:
    """Return a note as comment lines that fit a terminal."""
    start = f"{' ' * indent}# "
    return [f"{start}{line}" for line in textwrap.wrap(escaped(note), COLUMNS - len(start), break_on_hyphens=False)]
