"""The commands that take all snapshots of a target at one instant: the prepared cut. Pure.

All slow work is done first, while writers keep running. Then all origins are held (suspended) at one moment, each until
its own snapshot is in place. What takes the snapshots down again is in `snapshot_actions`.
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

# The longest line of a script that LVM reads (lvm2's tools/lvmcmdline.c).
LONGEST_LINE = 250
# A pipe holds 64 KiB: writing more than that blocks until LVM has started and reads.
FILLING = 'n=400; while [ $n -gt 0 ]; do printf "%200s\\n"; n=$((n-1)); done'
REFRESH, NO_LVS, NO_WAITING = ("lvchange", "--refresh"), ("--config", "devices/scan_lvs=0"), "--noudevsync"
# Prints lines like "Suspended,NAME" and "Active,NAME".
LIST = "dmsetup info -c --noheadings --separator , -o suspended,name"
# Any other character may be special in a regular expression of LVM's filter (lvm.conf(5)).
NOT_PLAIN = r"[^\w/-]"


def prepared(target: Target, found: Found, loop_devices: Mapping[str, str]) -> Action:
    """Make all snapshots in LVM's metadata only, their headers zeroed; the origins' kernel tables do not change."""
    taken = [snapshot_actions.snapshot(target, one, found, loop_devices) for one in found.snapshots]
    names = tuple(one.path for one in target.snapshots)
    closing = tuple(
        argv for one in found.snapshots for argv in snapshot_actions.closing(target, one, found, loop_devices)
    )
    # Pages still dirty at the cut would be written then, while writers wait.
    places = tuple(one.origin_mounted_at for one in target.snapshots if one.origin_mounted_at)
    synced = (("sync", "--file-system", *places),) if places else ()
    return Action(
        thing=Thing.PREPARED,
        object=" ".join(names),
        summary="prepare the snapshots while writers keep running",
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
        # Old data must not pass for a snapshot's header, which LVM zeroes; nor for a filesystem: after a power cut the
        # volume may be an ordinary LV.
        made.append(("lvcreate", "--yes", *size, "--addtag", target.tag, "--wipesignatures", "y", snapshot.vg, *pvs))
    made += _in_short_lines(("lvchange", "--activate", "n"), [one.path for one in target.snapshots])
    closed = [one.path for one in target.snapshots if one.permission is Permission.READ_ONLY]
    made += _in_short_lines(("lvchange", "--permission", "r"), closed)
    return (*made, *(_as_snapshot(one) for one in target.snapshots))


def _as_snapshot(snapshot: Snapshot) -> Argv:
    """Return the command that turns an inactive LV into a snapshot; with --driverloaded n LVM touches no device."""
    cow = snapshot.own_space
    chunk = ("--chunksize", f"{cow.chunk_size_bytes}b") if cow and cow.chunk_size_bytes else ()
    in_metadata = ("--zero", "n", "--driverloaded", "n")
    return ("lvconvert", "--yes", "--snapshot", *chunk, *in_metadata, snapshot.origin_path, snapshot.path)


def _by_one_lvm(commands: tuple[Argv, ...]) -> tuple[Argv, ...]:
    """Return the commands as one script for LVM, which stops at the first failure; as they are if one is too long."""
    lines = [" ".join(argv) for argv in commands]
    if any(len(line) > LONGEST_LINE for line in lines):
        return commands
    script = " ".join(f'"{line}"' for line in ("#!lvm", *lines))
    return (("sh", "-c", f'printf "%s\\n" {script} | lvm /dev/fd/0'),)


def cut(target: Target, found: Found, loop_devices: Mapping[str, str]) -> Action:
    """Hold all origins at one moment, and resume each with its snapshot.

    An origin that LVM itself lies on is suspended by LVM, which locks its memory for that, and is resumed first.
    """
    first = [one for one in target.snapshots if one.bears_lvm]
    held = [one for one in target.snapshots if not one.bears_lvm]
    devices = {vg: _devices(vg, found, loop_devices) for vg in target.groups}
    refresh = [*_refreshing(first, devices), *_refreshing(held, devices)]
    own = tuple(dm_name(one.vg, one.name) for one in target.snapshots)
    return Action(
        thing=Thing.CUT,
        object=" ".join(one.origin_path for one in target.snapshots),
        summary="suspend all origins, then resume each with its snapshot",
        undo_summary="",
        do=(_hold_and_refresh(held, own, refresh),),
        undo=(),
        condition=AllTaken(tuple(snapshot_actions.taken(target, one) for one in found.snapshots)),
        exists=False,
        locks=Locks(target.groups),
        holds=tuple(dm_uuid(one.vg_uuid, one.origin_uuid) for one in target.snapshots),
    )


def _devices(vg: str, found: Found, loop_devices: Mapping[str, str]) -> tuple[str, ...]:
    """Return the devices of the group's PVs, including the one that will be lent."""
    group, lent = next(one.vg for one in found.snapshots if one.snapshot.vg == vg), found.loan_to(vg)
    own = [pv.device for pv in group.pvs if not pv.missing] if group else []
    return tuple(dict.fromkeys((*own, *([loop_devices[lent.loan.pv_uuid]] if lent else []))))


def _refreshing(snapshots: list[Snapshot], devices: Mapping[str, tuple[str, ...]]) -> list[Argv]:
    """Return the commands that refresh the snapshots' origins: one per group, more if a line would be too long."""
    commands: list[Argv] = []
    for vg in dict.fromkeys(one.vg for one in snapshots):
        paths = [one.origin_path for one in snapshots if one.vg == vg]
        # Do not wait for udev while other origins are still held.
        more = ("--ignoremonitoring", NO_WAITING)
        longest = " ".join((*REFRESH, *more, max(paths, key=len)))
        start = (*REFRESH, *_reading_alone(devices[vg], LONGEST_LINE - len(longest) - 1), *more)
        commands += _in_short_lines(start, paths)
    return commands


def _reading_alone(devices: tuple[str, ...], longest: int) -> Argv:
    """Return the options that make LVM read only these PVs: anything else may lie on a held origin.

    If these options are longer than `longest` characters, or leave too little of the line, LVM only skips all LVs.

    In a script of several commands LVM 2.03.16 crashes at the second use of --devices; a devices file does the same.
    """
    accepted = ",".join(f"'a|^{re.sub(NOT_PLAIN, '.', device)}$|'" for device in devices)
    alone = ("--config", f"devices{{filter=[{accepted},'r|.*|']}}")
    # There must be room for more than one name in the line.
    return alone if devices and len(" ".join(alone)) <= min(longest, LONGEST_LINE // 2) else NO_LVS


def _in_short_lines(start: Argv, paths: list[str]) -> list[Argv]:
    """Return one command for all paths, more if its line would be too long, none without paths."""
    commands: list[Argv] = []
    for path in paths:
        if not commands or len(" ".join((*commands[-1], path))) > LONGEST_LINE:
            commands.append(start)
        commands[-1] = (*commands[-1], path)
    return commands


def _hold_and_refresh(held: list[Snapshot], own: tuple[str, ...], refresh: list[Argv]) -> Argv:
    """Return the one command of the cut. LVM is started first and waits, so that no writer has to wait for its start.

    If somebody activated a snapshot before all origins were held, it would be of an earlier instant; if somebody
    resumed an origin, its snapshot would be of a later one. The command fails in both cases.
    """
    origins = [dm_name(one.vg, one.origin) for one in held]
    early = f'{_any(own)}) echo "${{n#*,}} is active already" >&2; exit 1'
    late = f'{_any(origins, "[!S]")}) echo "${{n#*,}} is resumed before all are suspended" >&2; exit 1'
    suspend = " ".join(("dmsetup", "suspend", *origins))
    look = f"for n in $({LIST}); do case $n in {early};; {late};; esac; done"
    waiting = tuple(word for word in refresh[-1] if word != NO_WAITING)
    feed = " ".join(f'"{" ".join(argv)}"' for argv in (*refresh[:-1], waiting))
    lines = f'{{ echo "#!lvm"; {FILLING}; {suspend} && {look} && printf "%s\\n" {feed}; }}'
    return ("sh", "-c", f"{lines} | lvm /dev/fd/0")


def _any(names: Iterable[str], beginning: str = "") -> str:
    """Return the shell pattern that matches lines of LIST that end with one of these names."""
    return "|".join(f"{beginning}*,{name}" for name in names)
