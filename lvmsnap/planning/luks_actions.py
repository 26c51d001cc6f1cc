"""The commands that open the LUKS container in a snapshot, with their undo and their conditions. Pure.

A key never appears in a command line: cryptsetup reads it from a file, or from its stdin.
"""

from __future__ import annotations

from lvmsnap.model.condition import MappingOpen, UdevRuleWritten
from lvmsnap.model.plan import Action, Key, Thing
from lvmsnap.model.profile import Argv
from lvmsnap.model.target import LuksMapping, MountTarget
from lvmsnap.planning.filesystems import MOUNT_OPTIONS, ROOTS_ALONE
from lvmsnap.planning.identify import FoundSnapshot

WRITE_SCRIPT = (
    'mkdir -p "${1%/*}" && printf "%s\\n" "$2" > "$1" && { [ ! -S /run/udev/control ] || udevadm control --reload; }'
)
_NEEDED = {kind: ",".join((*options, *ROOTS_ALONE.get(kind, ()))) for kind, options in MOUNT_OPTIONS.items()}
_KINDS = " ".join(f"{kind}) needed={options};;" for kind, options in _NEEDED.items())
MOUNT_SCRIPT = (
    f'type=$(blkid --probe --match-tag TYPE --output value "$1"); case $type in {_KINDS} '
    '*) echo "it holds ${type:-no filesystem}" >&2; exit 1;; esac; '
    'exec mount --types "$type" --options "$needed,$3" "$1" "$2"'
)
# Without tokens: a TPM, for example, would open it whatever passphrase was typed.
OPEN = ("cryptsetup", "open", "--type", "luks", "--disable-external-tokens", "--tries", "1")


def opening(found: FoundSnapshot) -> tuple[Action, ...]:
    """Return the actions that open the LUKS container in a snapshot, none if there is none to open."""
    luks = found.snapshot.luks
    return (_udev_rule(luks, found), _mapping(luks, found)) if luks else ()


def mount_what_is_there(where: MountTarget, device: str, options: str) -> Argv:
    """Return the command that mounts the filesystem in a container that was closed until now, if its type is known.

    Its superblock was examined when the container was opened.
    """
    return ("sh", "-c", MOUNT_SCRIPT, "sh", device, where.mountpoint, options)


def try_passphrase(device: str) -> Argv:
    """Return the command that only tests whether the passphrase that it reads is one of the container's."""
    return (*OPEN, "--test-passphrase", device)


def rule_text(luks: LuksMapping) -> str:
    """Return the rule that keeps udev from probing the mapping and from making links to it.

    The filesystem in it has the same UUID and label as the one in the origin's mapping. udev points the links in
    /dev/disk/by-uuid to the newest device, so a mount by UUID would get the snapshot.
    """
    flags = ("DM_UDEV_DISABLE_DISK_RULES_FLAG", "DM_UDEV_DISABLE_OTHER_RULES_FLAG")
    setting = ", ".join(f'ENV{{{flag}}}="1"' for flag in flags)
    return f'SUBSYSTEM=="block", ATTR{{dm/uuid}}=="{luks.dm_uuid}", {setting}'


def _udev_rule(luks: LuksMapping, found: FoundSnapshot) -> Action:
    """Keep udev from making links to the mapping, before the mapping exists."""
    text = rule_text(luks)
    return Action(
        thing=Thing.UDEV_RULE,
        object=luks.udev_rule,
        summary=f"keep udev from mistaking the content of {found.snapshot.path} for the origin's",
        undo_summary="remove the udev rule",
        do=(("sh", "-c", WRITE_SCRIPT, "sh", luks.udev_rule, text),),
        undo=(("rm", "--", luks.udev_rule),),
        condition=UdevRuleWritten(luks.udev_rule, text),
        exists=found.luks.has_udev_rule,
        needs_gone=(Key(Thing.LUKS, luks.name),),
    )


def _mapping(luks: LuksMapping, found: FoundSnapshot) -> Action:
    """Open the container writable: the journal of the filesystem in it is replayed."""
    snapshot, key = found.snapshot, ("--key-file", luks.key_file) if luks.key_file else ()
    there = (*found.luks.own, *found.luks.left)
    uuids = tuple(device.uuid for device in there) or (luks.dm_uuid,)
    mount = snapshot.mount
    return Action(
        thing=Thing.LUKS,
        object=luks.name,
        summary=f"open the LUKS container in {snapshot.path} with {luks.key_file or 'the passphrase'}",
        undo_summary="close the LUKS container",
        do=((*OPEN, *key, f"/dev/{snapshot.path}", luks.name),),
        # Not by name, which may be another device's by now.
        undo=tuple(("dmsetup", "remove", "--retry", "--uuid", uuid) for uuid in uuids),
        condition=MappingOpen(
            name=luks.name,
            dm_uuid=luks.dm_uuid,
            vg=snapshot.vg,
            snapshot=snapshot.name,
            key_file=luks.key_file,
            is_examined=mount is not None and not mount.filesystem,
        ),
        exists=bool(there),
        needs_gone=(Key(Thing.MOUNT, mount.mountpoint),) if mount else (),
    )
