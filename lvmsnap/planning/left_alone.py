"""What is found in a target's places but is not its own: things of others, and other profiles' snapshots. Pure."""

from __future__ import annotations

from lvmsnap.model.facts import Facts
from lvmsnap.model.target import Target
from lvmsnap.planning.identify import Found, FoundLoan, FoundSnapshot


def left_alone(target: Target, found: Found, facts: Facts) -> tuple[str, ...]:
    """Return what is in the target's places but is not its own, each with the reason: lvmsnap does not touch it."""
    snapshots = [line for one in found.snapshots for line in _snapshot_left_alone(target, one, facts)]
    loans = [line for one in found.loans for line in _loan_left_alone(one, facts)]
    return (*snapshots, *loans)


def _snapshot_left_alone(target: Target, found: FoundSnapshot, facts: Facts) -> list[str]:
    snapshot, lines = found.snapshot, []
    lv = found.vg.lv(snapshot.name) if found.vg else None
    if lv is not None and lv != found.lv:
        why = f"a snapshot of {snapshot.vg}/{snapshot.origin}" if target.tag in lv.tags else f"tagged {target.tag}"
        lines.append(f"{lv.vg}/{lv.name}: it is not {why}")
    if snapshot.luks and any(one.name == snapshot.luks.name and one not in found.luks.own for one in facts.dm_devices):
        lines.append(f"{snapshot.luks.path}: it is not the mapping that lvmsnap opened")
    kind = facts.looked.mountpoints[snapshot.mount.mountpoint].kind if snapshot.mount else ""
    if snapshot.mount and not found.is_mounted and kind in ("mounted", "not empty"):
        what = "something else is mounted there" if kind == "mounted" else "it contains files"
        lines.append(f"{snapshot.mount.mountpoint}: {what}")
    return lines


def _loan_left_alone(found: FoundLoan, facts: Facts) -> list[str]:
    loan, lines = found.loan, []
    directory = facts.looked.directories.get(loan.path)
    if facts.looked.files[loan.path] is not None and found.file is None:
        lines.append(f"{loan.path}: it is not the file that lvmsnap made")
    if found.file is None and found.loop is not None and directory is not None:
        reported, name = found.loop.file_path, loan.path.rpartition("/")[2]
        if not reported.endswith(" (deleted)") and reported != f"{directory.real_path}/{name}":
            lines.append(f"{reported}: it is the file that lvmsnap made, but somebody moved it there")
    if found.loop is not None:
        identity = (found.loop.file_device, found.loop.file_inode)
        others = [loop.device for loop in facts.loops if (loop.file_device, loop.file_inode) == identity]
        others = [device for device in others if device != found.loop.device]
        lines += [f"{device}: it is attached to the backing file too, and LVM sees a duplicate PV" for device in others]
    return lines


def other_snapshots(target: Target, found: FoundSnapshot) -> tuple[str, ...]:
    """Return the origin's snapshots that belong to other profiles of this host, each as VG/LV.

    lvremove makes dmeventd monitor the origin's remaining snapshots, and dmeventd unmounts a snapshot once it is full.
    Thin snapshots are left out: dmeventd monitors their pool, as it should, whether or not one is taken or removed.
    """
    beginning = target.tag.removesuffix(target.name)
    lvs = found.vg.lvs if found.vg and not (found.lv and found.lv.is_thin) else ()
    others = (lv for lv in lvs if lv.origin == found.snapshot.origin and lv != found.lv and not lv.is_thin)
    return tuple(f"{lv.vg}/{lv.name}" for lv in others if any(tag.startswith(beginning) for tag in lv.tags))
