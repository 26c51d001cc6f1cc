"""The facts that a plan of `up` rests on, in plain words. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from lvmsnap.model.facts import Facts, LogicalVolume, VolumeGroup
from lvmsnap.model.plan import Fact
from lvmsnap.model.profile import Profile, Size, SizeUnit, Volume
from lvmsnap.model.target import CowSpace, Loan, Snapshot, Target
from lvmsnap.planning import luks, pools, tree
from lvmsnap.planning.lent_pvs import available_extents
from lvmsnap.planning.sizing import DEFAULT_CHUNK_BYTES, DEFAULT_SIZE, human, largest_useful_bytes

GUARDED = "while lvmsnap run, hold or watch guards it"


def describe(profile: Profile, target: Target, facts: Facts) -> tuple[Fact, ...]:
    """Return the facts for a reader."""
    lines = []
    for name in target.groups:
        if vg := facts.vg(name):
            free_bytes = available_extents(vg) * vg.extent_size_bytes
            lines.append(Fact("volume group", f"{human(free_bytes)} free", vg.name))
    pairs = tuple(zip(profile.volumes, target.snapshots, strict=True))
    for volume, snapshot in pairs:
        lines += _of_volume(profile, volume, snapshot, facts)
    lines += _when_filling(profile, pairs, facts)
    lines += (*tree.describe_left_out_of_includes(profile, facts), *tree.describe(profile))
    lines += [fact for loan in target.loans for fact in _of_loan(profile, loan, facts)]
    # The steps of `up` do not show them.
    at_down = (("before_down", profile.hooks.before_down), ("after_down", profile.hooks.after_down))
    return (*lines, *(Fact(name, f"at down: {shlex.join(argv)}") for name, argv in at_down if argv))


def _of_volume(profile: Profile, volume: Volume, snapshot: Snapshot, facts: Facts) -> Iterator[Fact]:
    origin, vg = _origin(volume, facts), facts.vg(volume.vg)
    if origin is None or vg is None:
        return
    looked = facts.looked.origins[volume.vg, volume.origin]
    number = luks.as_mounted(volume, origin, facts)
    mountpoints = [m.mountpoint for m in facts.mounts if number and m.device_number == number]
    mounted = f"mounted at {mountpoints[0]}" if mountpoints else "not mounted"
    yield Fact("origin", f"{human(origin.size_bytes)}, {luks.described(volume, looked)}, {mounted}", volume.path)
    yield Fact("snapshot", _space(volume, snapshot, origin, vg), volume.path)
    if volume.luks:
        yield Fact("LUKS", luks.NOT_FROZEN, volume.path)
    yield from tree.describe_left_out(profile, volume, number, facts)


def _space(volume: Volume, snapshot: Snapshot, origin: LogicalVolume, vg: VolumeGroup) -> str:
    cow = snapshot.own_space
    if cow is None:
        pool = pools.pool_of(origin, vg)
        return f"thin; {pools.describe(pool, vg)}" if pool else "thin"
    size = volume.size or DEFAULT_SIZE
    asked = f"{_in_words(size)} {'asked' if volume.size else 'by default'}"
    if _is_all_it_can_use(volume, cow, origin) and not (size.unit is SizeUnit.BYTES and size.amount <= cow.size_bytes):
        return f"{human(cow.size_bytes)} for changes ({asked}; more can never be used)"
    given = "" if size.unit is SizeUnit.BYTES else f"{asked}; "
    return f"{human(cow.size_bytes)} for changes ({given}{cow.extents} extents)"


def _in_words(size: Size) -> str:
    return human(size.amount) if size.unit is SizeUnit.BYTES else f"{size.amount}{size.unit.value}"


def _is_all_it_can_use(volume: Volume, cow: CowSpace, origin: LogicalVolume) -> bool:
    return cow.size_bytes >= largest_useful_bytes(origin.size_bytes, volume.chunk_size_bytes or DEFAULT_CHUNK_BYTES)


def _when_filling(profile: Profile, pairs: tuple[tuple[Volume, Snapshot], ...], facts: Facts) -> Iterator[Fact]:
    """Say what happens to a snapshot that fills, only once if it is the same for all volumes."""
    texts = {volume.path: _fate(profile, volume, snapshot, facts) for volume, snapshot in pairs}
    if len(set(texts.values())) == 1:
        yield Fact("when it fills", next(iter(texts.values())))
        return
    yield from (Fact("when it fills", text, path) for path, text in texts.items())


def _fate(profile: Profile, volume: Volume, snapshot: Snapshot, facts: Facts) -> str:
    overflow, cow, origin = profile.overflow, snapshot.own_space, _origin(volume, facts)
    warned = f"a warning at {overflow.warn_percent} %"
    if cow is None:
        return f"{warned} of its pool, {GUARDED}"
    if origin and _is_all_it_can_use(volume, cow, origin):
        return "it never does: every block of the origin may change"
    backing = profile.backing_file(volume.vg)
    if overflow.extend_percent >= 100:
        return f"{warned}, {GUARDED}; not extended, as `extend_at` says"
    if backing and backing.max_size_bytes is None:
        return f"{warned}, {GUARDED}; not extended without a `backing_file.max_size`"
    where = f"from the free space of {volume.vg}"
    if backing and backing.max_size_bytes:
        where = f"by a larger backing file, up to {human(backing.max_size_bytes)}"
    return f"{warned}, extended by {overflow.by_percent} % at {overflow.extend_percent} % {where}, {GUARDED}"


def _of_loan(profile: Profile, loan: Loan, facts: Facts) -> Iterator[Fact]:
    backing = profile.backing_file(loan.vg)
    directory = facts.looked.directories.get(backing.path) if backing else None
    if directory:
        free = f"{human(directory.available_bytes)} available on {directory.filesystem}"
        yield Fact("backing file", f"{human(loan.size_bytes)}; {free}", loan.path)


def _origin(volume: Volume, facts: Facts) -> LogicalVolume | None:
    vg = facts.vg(volume.vg)
    return vg.lv(volume.origin) if vg else None
