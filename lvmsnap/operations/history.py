"""What is known of a profile's past: its record, else its marks on the system; and which hosts' marks are ours."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from lvmsnap.execution import records
from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.errors import LvmsnapError, Refusal, RefusedError
from lvmsnap.model.facts import Facts
from lvmsnap.model.profile import Profile
from lvmsnap.model.target import Record, Target
from lvmsnap.planning import checks, lost_record
from lvmsnap.planning.identify import as_named_now, find, find_lv, find_vg, unseen_groups
from lvmsnap.planning.lent_pvs import host_prefix
from lvmsnap.planning.state import from_host
from lvmsnap.system import path_facts, reading
from lvmsnap.system.reading import Interest


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a profile's past: its record, and the target that the record or the marks describe."""

    target: Target | None
    record: Record | None


def look_back(name: str, profile: Profile | None, system: Facts, *, force: bool = False) -> Known:
    """Return what is known of a profile's past: from its record, else from its marks on the system.

    Raises LvmsnapError if the record cannot be read, unless `force`.
    """
    try:
        record = records.read(name)
    except LvmsnapError:
        if not force:
            raise
        record = None
    if record is not None:
        return Known(record.target, record)
    for host in hosts_of(name, system):
        if target := _target_from_traces(name, profile, system, host):
            return Known(target, None)
    return Known(None, None)


def more(name: str, load: Callable[[], Profile | None], system: Facts, target: Target) -> Target | None:
    """Return what else, beside `target`, carries this host's marks of profile `name`; None if nothing does.

    `load` returns the profile; it is only called if something does.
    """
    if not system.host:
        return None
    rest, claimed = lost_record.without(system, target), recorded_pvs()
    if not lost_record.is_marked(name, rest, system.host, claimed):
        return None
    return lost_record.target_from_marks(name, load(), rest, system.host, claimed)


def is_same(target: Target, other: Target) -> bool:
    """Whether both have the same snapshots and lent PVs: what was taken down is found again, and always would be."""
    return _identity(target) == _identity(other)


def _identity(target: Target) -> tuple[frozenset[tuple[str, str]], frozenset[str]]:
    snapshots = frozenset((one.vg_uuid, one.name) for one in target.snapshots)
    return snapshots, frozenset(loan.pv_uuid for loan in target.loans)


def hosts_of(name: str, system: Facts) -> tuple[str, ...]:
    """Return the hosts whose marks of profile `name` are ours: this one, and "" (no host named) if it has a record.

    Marks without a host may come from any host that sees the disks and has an older lvmsnap.
    """
    own = (system.host,) if system.host else ()
    return (*own, "") if records.exists(name) else own


def _target_from_traces(name: str, profile: Profile | None, system: Facts, host: str) -> Target | None:
    claimed = recorded_pvs()
    target = lost_record.target_from_marks(name, profile, system, host, claimed)
    if target is None and profile is not None:
        files = {backing.path: path_facts.file_facts(backing.path) for backing in profile.backing_files}
        unclaimed = {path: file for path, file in files.items() if file is not None and file.pv_uuid not in claimed}
        return lost_record.target_from_files(profile, system, unclaimed, host)
    return target


def refuse_unsafe(target: Target, system: Facts, *, hosts: tuple[str, ...] | None = None) -> None:
    """Raise RefusedError if taking the target down could damage the group.

    A group that LVM does not report may only lack its disk for a while: the snapshot returns with the disk, and must
    not be forgotten. The lent PV holds none of the group's metadata, so it looks unused then, but must not be wiped.
    And if a PV that is not ours is missing beside ours, `vgreduce --removemissing` would drop it too. Those lent by
    one of `hosts`, by default by this host, are ours.
    """
    if unseen := unseen_groups(target, system):
        held = "our PV" if target.loan_to(unseen[0]) else "the snapshot"
        hint = f"bring its disks back first; if the group was removed for good: lvmsnap down {target.name} --force"
        raise RefusedError((Refusal(f"volume group {unseen[0]} is not visible, and may still hold {held}", hint),))
    ours = {*(loan.pv_uuid for loan in target.loans), *recorded_pvs()}
    own = hosts if hosts is not None else (system.host,) if system.host else ()
    prefixes = tuple(host_prefix(host) for host in own)
    for loan in target.loans:
        vg = find_vg(loan, system)
        missing = [pv.uuid for pv in vg.pvs if pv.missing] if vg else []
        others = [uuid for uuid in missing if not (uuid.startswith(prefixes) or uuid in ours)]
        if vg and others and loan.pv_uuid in missing:
            hint = "bring the disk back first, then try again"
            what = f"{vg.name} also lacks PVs that lvmsnap did not lend it here: {', '.join(others)}"
            raise RefusedError((Refusal(what, hint),))


def refuse_merging(target: Target, system: Facts) -> None:
    """Raise RefusedError while LVM is merging the target's snapshot into its origin."""
    focused = reading.focus(system, Interest.of_target(target))
    found = find(target, focused)
    failed = [check for one in found.snapshots if not (check := checks.not_merging(target, one, found)).passed]
    if failed:
        raise RefusedError(tuple(Refusal(check.sentence, check.hint) for check in failed))


def refuse_inactive(target: Target, record: Record | None, system: Facts) -> None:
    """Raise RefusedError if the snapshot is of an earlier boot, and its origin was not activated in this one.

    If several hosts see the disks, another one may have activated the group after this one failed, and its kernel then
    writes into the snapshot's extents. A group that lacks a PV cannot be activated on either.
    """
    if record is not None and record.boot_id == system.boot_id:
        return
    target = as_named_now(target, system)
    for wanted in target.snapshots:
        vg = find_vg(wanted, system)
        snapshot, origin = (find_lv(target, wanted, vg), vg.lv(wanted.origin)) if vg else (None, None)
        if vg is None or vg.missing_pv_count or snapshot is None or origin is None:
            continue
        if not (snapshot.is_active or origin.is_active):
            name = f"{vg.name}/{origin.name}"
            found = f"{name} has not been active on this host since it booted: another host may be using its disks"
            hint = f"if none does: lvchange --activate y {name}, then lvmsnap recover"
            raise RefusedError((Refusal(found, hint),))


def refuse_other_host(target: Target, system: Facts) -> None:
    """Raise RefusedError if the target was brought up on another host, and this machine has a copy of its record."""
    if target.host and target.host != system.host:
        raise RefusedError((Refusal(f"{target.name} was brought up on host {target.host}", from_host(target.host)),))


def recorded_pvs() -> set[str]:
    """Return the UUIDs of all lent PVs in this host's records."""
    record = [readable_record(name) for name in records.names()]
    return {loan.pv_uuid for known in record if known for loan in known.target.loans}


def readable_record(name: str) -> Record | None:
    """Return the record of profile `name`, None if there is no readable one."""
    with suppress(LvmsnapError):
        return records.read(name)
    return None
