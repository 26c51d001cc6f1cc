"""Every command that takes all snapshots of a target at one instant: the prepared cut. Pure.

All that is slow is done first, beside writers that go on. Then all origins are held at one moment, and each of them
until its own snapshot is there. What takes the snapshots down again is in `snapshot_actions`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from lvmsnap.model.condition import AllTaken, SnapshotsPrepared
from lvmsnap.model.lvm_names import dm_name, dm_uuid
from lvmsnap.model.plan import Action, Locks, Thing
from lvmsnap.model.profile import Argv
from lvmsnap.model.target import Permission, Snapshot, Target
from lvmsnap.planning import snapshot_actions
from lvmsnap.planning.identify import Found

# LVM reads no longer line of a script (lvm2's tools/lvmcmdline.c).
LONGEST_LINE = 250
# A pipe holds 64 KiB: more than that can only be written once LVM has started and reads.
FILLING = 'n=400; while [ $n -gt 0 ]; do printf "%200s\\n"; n=$((n-1)); done'
REFRESH, NO_LVS, NO_WAITING = ("lvchange", "--refresh"), ("--config", "devices/scan_lvs=0"), "--noudevsync"
# Lines as "Suspended,NAME" and "Active,NAME".
LIST = "dmsetup info -c --noheadings --separator , -o suspended,name"
# In a regular expression of LVM's filter (lvm.conf(5)) any other character may mean something.
NOT_PLAIN = r"[^\w/-]"


def prepared(target: Target, found: Found, loop_devices: Mapping[str, str]) -> Action:
    """Make all snapshots in LVM's metadata alone, their space zeroed; the kernel's origins stay as they are."""
    taken = [snapshot_actions.snapshot(target, one, found, loop_devices) for one in found.snapshots]
    names = tuple(one.path for one in target.snapshots)
    closing = tuple(
        argv for one in found.snapshots for argv in snapshot_actions.closing(target, one, found, loop_devices)
    )
    # What is to be written then, writers would wait for while they are held.
    places = tuple(one.origin_mounted_at for one in target.snapshots if one.origin_mounted_at)
    synced = (("sync", "--file-system", *places),) if places else ()
    return Action(
        thing=Thing.PREPARED,
        object=" ".join(names),
        summary="prepare the snapshots beside running writers",
        undo_summary="remove the snapshots",
        do=(*_by_one_lvm(_preparing(target, found, loop_devices)), *closing, *synced),
        undo=tuple(argv for action in reversed(taken) for argv in action.undo),
        condition=SnapshotsPrepared(names),
        exists=False,
        locks=Locks(target.groups),
    )


def _preparing(target: Target, found: Found, loop_devices: Mapping[str, str]) -> tuple[Argv, ...]:
    made = []
    for one in found.snapshots:
        snapshot, cow = one.snapshot, one.snapshot.own_space
        size = ("--extents", str(cow.extents if cow else 0), "--name", snapshot.name)
        pvs = snapshot_actions.allocate_on(one, found, loop_devices)
        # Whatever lay there before must not pass for a snapshot's header, which LVM zeroes; nor, after a power cut,
        # for a filesystem: the volume would be an ordinary one then.
        made.append(("lvcreate", "--yes", *size, "--addtag", target.tag, "--wipesignatures", "y", snapshot.vg, *pvs))
    made += _in_short_lines(("lvchange", "--activate", "n"), [one.path for one in target.snapshots])
    closed = [one.path for one in target.snapshots if one.permission is Permission.READ_ONLY]
    made += _in_short_lines(("lvchange", "--permission", "r"), closed)
    return (*made, *(_as_snapshot(one) for one in target.snapshots))


def _as_snapshot(snapshot: Snapshot) -> Argv:
    """Return the command that makes a snapshot of an inactive volume; without the driver LVM touches no device."""
    cow = snapshot.own_space
    chunk = ("--chunksize", f"{cow.chunk_size_bytes}b") if cow and cow.chunk_size_bytes else ()
    in_metadata = ("--zero", "n", "--driverloaded", "n")
    return ("lvconvert", "--yes", "--snapshot", *chunk, *in_metadata, snapshot.origin_path, snapshot.path)


def _by_one_lvm(commands: tuple[Argv, ...]) -> tuple[Argv, ...]:
    """Return the commands as a script for one LVM process, which ends at the first that fails."""
    lines = [" ".join(argv) for argv in commands]
    if any(len(line) > LONGEST_LINE for line in lines):
        return commands
    script = " ".join(f'"{line}"' for line in ("#!lvm", *lines))
    return (("sh", "-c", f'printf "%s\\n" {script} | lvm /dev/fd/0'),)


def cut(target: Target, found: Found, loop_devices: Mapping[str, str]) -> Action:
    """Hold all origins at one moment, and have each go on with its snapshot.

    The one that LVM itself lies on is held by LVM, which locks its memory for that, and is the first to go on.
    """
    first = [one for one in target.snapshots if one.bears_lvm]
    held = [one for one in target.snapshots if not one.bears_lvm]
    devices = {vg: _devices(vg, found, loop_devices) for vg in target.groups}
    refresh = [*_refreshing(first, devices), *_refreshing(held, devices)]
    own = tuple(dm_name(one.vg, one.name) for one in target.snapshots)
    return Action(
        thing=Thing.CUT,
        object=" ".join(one.origin_path for one in target.snapshots),
        summary="hold all origins, and have each go on with its snapshot",
        undo_summary="",
        do=(_hold_and_refresh(held, own, refresh),),
        undo=(),
        condition=AllTaken(tuple(snapshot_actions.taken(target, one) for one in found.snapshots)),
        exists=False,
        locks=Locks(target.groups),
        holds=tuple(dm_uuid(one.vg_uuid, one.origin_uuid) for one in target.snapshots),
    )


def _devices(vg: str, found: Found, loop_devices: Mapping[str, str]) -> tuple[str, ...]:
    """Return the group's PVs as they will be."""
    group, lent = next(one.vg for one in found.snapshots if one.snapshot.vg == vg), found.loan_to(vg)
    own = [pv.device for pv in group.pvs if not pv.missing] if group else []
    return tuple(dict.fromkeys((*own, *([loop_devices[lent.loan.pv_uuid]] if lent else []))))


def _refreshing(snapshots: list[Snapshot], devices: Mapping[str, tuple[str, ...]]) -> list[Argv]:
    """Return the commands that refresh the snapshots' origins: one for each group, more where a line would be long."""
    commands: list[Argv] = []
    for vg in dict.fromkeys(one.vg for one in snapshots):
        paths = [one.origin_path for one in snapshots if one.vg == vg]
        # While others are still held nobody waits for udev.
        more = ("--ignoremonitoring", NO_WAITING)
        longest = " ".join((*REFRESH, *more, max(paths, key=len)))
        start = (*REFRESH, *_reading_alone(devices[vg], LONGEST_LINE - len(longest) - 1), *more)
        commands += _in_short_lines(start, paths)
    return commands


def _reading_alone(devices: tuple[str, ...], longest: int) -> Argv:
    """Return options so that LVM looks at these PVs alone: whatever else it reads may lie on a held origin.

    With names and devices for which there is no room in the line, at most `longest` characters, it reads no LV.

    In a script of several commands LVM 2.03.16 dies of the second use of --devices; a devices file does the same.
    """
    accepted = ",".join(f"'a|^{re.sub(NOT_PLAIN, '.', device)}$|'" for device in devices)
    alone = ("--config", f"devices{{filter=[{accepted},'r|.*|']}}")
    # There must be room for more than one name in the line.
    return alone if devices and len(" ".join(alone)) <= min(longest, LONGEST_LINE // 2) else NO_LVS


def _in_short_lines(start: Argv, paths: list[str]) -> list[Argv]:
    """Return one command for all paths, more where its line would be long, none where there are no paths."""
    commands: list[Argv] = []
    for path in paths:
        if not commands or len(" ".join((*commands[-1], path))) > LONGEST_LINE:
            commands.append(start)
        commands[-1] = (*commands[-1], path)
    return commands


def _hold_and_refresh(held: list[Snapshot], own: tuple[str, ...], refresh: list[Argv]) -> Argv:
    """Return the one command of the cut: LVM is started first and waits, so that nobody is held for its start.

    A snapshot that somebody activated before all were held would be of an earlier instant, and that of an origin which
    somebody set going again of a later one.
    """
    origins = [dm_name(one.vg, one.origin) for one in held]
    early = f'{_any(own)}) echo "${{n#*,}} is active already" >&2; exit 1'
    late = f'{_any(origins, "[!S]")}) echo "${{n#*,}} goes on before all are held" >&2; exit 1'
    suspend = " ".join(("dmsetup", "suspend", *origins))
    look = f"for n in $({LIST}); do case $n in {early};; {late};; esac; done"
    waiting = tuple(word for word in refresh[-1] if word != NO_WAITING)
    feed = " ".join(f'"{" ".join(argv)}"' for argv in (*refresh[:-1], waiting))
    lines = f'{{ echo "#!lvm"; {FILLING}; {suspend} && {look} && printf "%s\\n" {feed}; }}'
    return ("sh", "-c", f"{lines} | lvm /dev/fd/0")


def _any(names: Iterable[str], beginning: str = "") -> str:
    """Return the shell's pattern for lines of the list of devices that end with one of these names."""
    return "|".join(f"{beginning}*,{name}" for name in names)
