"""The tree of a profile: each snapshot where its origin is mounted on the server, and what is included. Pure.

A part that is mounted below another one needs its directory in that one's snapshot. So the directory must be there on
the server too: whatever the part is mounted on must itself be part of the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lvmsnap.model.dataclass import replace
from lvmsnap.model.facts import Facts, Mount, mount_of, top_mount
from lvmsnap.model.paths import RUN_DIR, is_within, steps
from lvmsnap.model.plan import Check, Fact
from lvmsnap.model.profile import Profile, Volume
from lvmsnap.model.target import Include, MountTarget
from lvmsnap.planning.left_out import left_out, mounted_below
from lvmsnap.planning.luks import as_mounted

# An automount point that nobody has accessed yet (autofs(5)): there is nothing to include.
NOT_MOUNTED_YET = "autofs"
MOVED = (
    "below the top, where a profile's only volume is: "
    "adding a volume moves the first, and borg and restic, which identify files by path, read it anew"
)
BIND_OPTIONS = ("bind", "ro", "nosuid", "nodev", "private")


def placed(profile: Profile, facts: Facts) -> Profile:
    """Return the profile with the mountpoint of each volume in its tree; one without a single place is not mounted."""
    return replace(profile, volumes=tuple(_placed(profile, volume, facts) for volume in profile.volumes))


def _placed(profile: Profile, volume: Volume, facts: Facts) -> Volume:
    if not volume.is_in_tree:
        return volume
    found = origin_mounts(volume, facts)
    return replace(volume, mountpoint=_in_tree(profile, found[0].mountpoint) if len(found) == 1 else None)


def _in_tree(profile: Profile, path: str) -> str:
    """Return where the tree shows a path of the server."""
    return f"{profile.tree}{path}".rstrip("/")


def origin_mounts(volume: Volume, facts: Facts) -> tuple[Mount, ...]:
    """Return the mounts of a whole origin on the server that no other mount hides; not lvmsnap's own."""
    vg = facts.vg(volume.vg)
    origin = vg.lv(volume.origin) if vg else None
    number = as_mounted(volume, origin, facts) if origin else ""
    if not number:
        return ()
    whole = (one for one in facts.mounts if one.device_number == number and one.root == "/")
    return tuple(one for one in whole if _is_seen(one, facts) and not is_within(one.mountpoint, RUN_DIR))


def _is_seen(mount: Mount, facts: Facts) -> bool:
    top = top_mount(facts.mounts, mount.mountpoint)
    return top is not None and top.mount_id == mount.mount_id


def parts(profile: Profile, facts: Facts) -> dict[str, Mount]:
    """Return the mounts that the tree shows, by their mountpoints on the server."""
    found = (origin_mounts(volume, facts) for volume in profile.volumes if volume.is_in_tree)
    volumes = {mounts[0].mountpoint: mounts[0] for mounts in found if len(mounts) == 1}
    tops = ((path, top_mount(facts.mounts, path)) for path in profile.includes)
    return volumes | {path: top for path, top in tops if top and path not in volumes}


def directories(profile: Profile, mountpoint: str, facts: Facts) -> tuple[str, ...]:
    """Return the directories that are made for a mountpoint of the tree, the tree's top first and itself last.

    There are none if it is in another part of the tree, which has the directory.
    """
    others = [_in_tree(profile, path) for path in parts(profile, facts)]
    if any(one != mountpoint and is_within(mountpoint, one) for one in others):
        return ()
    return steps(profile.tree, mountpoint)


def mount_target(
    profile: Profile, mountpoint: str, filesystem: str, options: tuple[str, ...], facts: Facts
) -> MountTarget:
    """Return how something is mounted in the tree. Directories made for it are removed with it."""
    made = directories(profile, mountpoint, facts)
    is_top_ours = facts.looked.mountpoints[profile.tree].kind == "absent" or profile.remove_mountpoint
    ours = tuple(one for one in made if is_top_ours or one != profile.tree)
    is_made = bool(made) and (mountpoint != profile.tree or facts.looked.mountpoints[mountpoint].kind == "absent")
    return MountTarget(
        mountpoint=mountpoint,
        filesystem=filesystem,
        options=options,
        make_directory=is_made,
        remove_directory=mountpoint in ours,
        parents=tuple(one for one in ours if one != mountpoint),
    )


def includes(profile: Profile, facts: Facts) -> tuple[Include, ...]:
    """Return what is bound into the tree as it is."""
    tops = ((path, top_mount(facts.mounts, path)) for path in profile.includes)
    return tuple(_include(profile, path, top, facts) for path, top in tops if top)


def _include(profile: Profile, path: str, mount: Mount, facts: Facts) -> Include:
    kept = tuple(option for option in ("noexec",) if option in mount.options)
    where = mount_target(profile, _in_tree(profile, path), "none", (*BIND_OPTIONS, *kept), facts)
    return Include(path, mount.device_number, mount.root, where)


def left_out_of(profile: Profile, device_number: str, facts: Facts) -> tuple[Mount, ...]:
    """Return the mounts below an origin that neither its snapshot nor the tree, if there is one, shows.

    A mount that is below another volume of the tree as well counts as left out there.
    """
    found = left_out(device_number, facts.mounts)
    if not profile.tree:
        return found
    shown = parts(profile, facts)
    volumes = {path: one for path, one in shown.items() if path not in profile.includes}
    others = {path for path, one in volumes.items() if one.device_number != device_number}
    return tuple(one for one in found if one.mountpoint not in shown and _nearest(one.mountpoint, shown) not in others)


def describe_left_out(profile: Profile, volume: Volume, device_number: str, facts: Facts) -> tuple[Fact, ...]:
    """Say what is left out below an origin, and which lines in the profile would include it."""
    found = left_out_of(profile, device_number, facts)
    return _describe_left_out(found, "mounted below it, so the snapshot has", volume.path, profile, facts)


def describe_left_out_of_includes(profile: Profile, facts: Facts) -> tuple[Fact, ...]:
    """Say what is left out below the includes, unless it is below a volume of the tree, where it is reported."""
    if not profile.includes:
        return ()
    shown = parts(profile, facts)
    volumes = [path for path in shown if path not in profile.includes]
    below = (one for one in mounted_below(profile.includes, facts.mounts) if one.mountpoint not in shown)
    found = tuple(one for one in below if not any(is_within(one.mountpoint, path) for path in volumes))
    return _describe_left_out(found, "mounted below what is included, so the tree has", profile.tree, profile, facts)


def _describe_left_out(found: tuple[Mount, ...], why: str, of: str, profile: Profile, facts: Facts) -> tuple[Fact, ...]:
    if not found:
        return ()
    missing = ", ".join(f"{mount.mountpoint} ({mount.source})" for mount in found)
    known = {one.path for one in profile.volumes}
    by_number = {lv.device_number: f"{vg.name}/{lv.name}" for vg in facts.vgs for lv in vg.lvs if lv.device_number}
    by_number = {number: path for number, path in by_number.items() if path not in known}
    whole = [mount for mount in found if mount.device_number in by_number and mount.root == "/"]
    volumes = [by_number[mount.device_number] for mount in whole]
    included = [*profile.includes, *(mount.mountpoint for mount in found if mount not in whole)]
    lines = [f"`- origin: {path}` under `volumes`" for path in dict.fromkeys(volumes)]
    lines += [f"`include: [{', '.join(included)}]`"] if len(included) > len(profile.includes) else []
    return (Fact("left out", f"{missing}: {why} an empty directory there; to include it: {' and '.join(lines)}", of),)


def _nearest(path: str, known: Iterable[str]) -> str:
    """Return the innermost of the known mountpoints that a path is below, "" if it is below none."""
    above = (one for one in known if one != path and is_within(path, one))
    return max(above, key=len, default="")


def describe(profile: Profile) -> tuple[Fact, ...]:
    """Say which volumes are mounted elsewhere than they would be as the profile's only one."""
    moved = [one.path for one in profile.volumes if one.is_in_tree and one.mountpoint not in (None, profile.tree)]
    if not moved:
        return ()
    names = f"{', '.join(moved)} {'are' if len(moved) > 1 else 'is'}"
    return (Fact("tree", f"{names} {MOVED}", profile.tree),)


def checks(profile: Profile, facts: Facts) -> Iterator[Check]:
    """Yield the checks that each part of the tree has one place in it, and finds its directory there."""
    if not profile.tree:
        return
    for volume in profile.volumes:
        if volume.is_in_tree:
            yield _one_place(volume, facts)
    for path in profile.includes:
        yield _own_mount(path, facts)
        yield _no_volume(path, profile, facts)
        yield from _answers(path, facts)
    known = parts(profile, facts)
    for path in sorted(known):
        yield _has_directory(path, known, facts)


def _one_place(volume: Volume, facts: Facts) -> Check:
    found = origin_mounts(volume, facts)
    where = f"mounted at {', '.join(one.mountpoint for one in found)}" if found else "it is mounted nowhere"
    hint = "give it a `mountpoint` of its own, or `mountpoint: null` for the device alone"
    title, problem = f"{volume.path} has a unique place in the tree", f"{volume.path} has no unique place in the tree"
    return Check("tree-one-place", volume.path, title, problem, len(found) == 1, where, hint)


def _own_mount(path: str, facts: Facts) -> Check:
    what = ("include-is-mount", path, f"{path} is a mount point", f"{path} is not a mount point")
    top = top_mount(facts.mounts, path)
    if top is None:
        inside = mount_of(path, facts.mounts)
        found = f"it is a directory of {inside.mountpoint}" if inside else "nothing is mounted there"
        found = f"{found}, whose snapshot contains it" if inside else found
        return Check(*what, passed=False, found=found, hint="leave it out of `include`")
    if top.filesystem == NOT_MOUNTED_YET:
        found = "it is an automount that is not mounted yet"
        return Check(*what, passed=False, found=found, hint=f"ls {path}, then try again")
    return Check(*what, passed=True, found=f"{top.filesystem} of {top.source}")


def _answers(path: str, facts: Facts) -> Iterator[Check]:
    """Yield a warning about an include that needs a server, or a program, that may not answer."""
    top = top_mount(facts.mounts, path)
    if top and top.may_stall:
        title, problem = f"{path} answers", f"{path} needs a server, or a program, that answers"
        found = f"{top.filesystem} of {top.source}: as long as there is no answer, up and the backup wait for it"
        hint = "leave it out of `include`, and back it up beside the snapshot"
        yield Check("include-answers", path, title, problem, passed=True, found=found, hint=hint, warning=True)


def _no_volume(path: str, profile: Profile, facts: Facts) -> Check:
    """Return the check that an include is not at a volume's place in the tree: it would hide the snapshot."""
    in_tree = (one for one in profile.volumes if one.is_in_tree)
    at = {mount.mountpoint: one.path for one in in_tree for mount in origin_mounts(one, facts)}
    found = f"{at[path]} is mounted there: its live files would hide its snapshot" if path in at else ""
    title, problem = f"{path} is not a volume of the profile", f"{path} is a volume of the profile"
    return Check("include-is-no-volume", path, title, problem, not found, found, "leave it out of `include`")


def parents_outside(profile: Profile, facts: Facts) -> tuple[str, ...]:
    """Return what the tree must include: the mounts that its parts are mounted on and that are not part of it.

    What the profile itself includes is among them.
    """
    while True:
        known = parts(profile, facts)
        outside = [one.mountpoint for path in known if (one := _outside(path, known, facts))]
        new = [path for path in dict.fromkeys(outside) if path not in profile.includes]
        if not new:
            return profile.includes
        profile = replace(profile, includes=(*profile.includes, *new))


def _outside(path: str, known: dict[str, Mount], facts: Facts) -> Mount | None:
    """Return the mount that a part of the tree is on if it is not the part above it, None if all is well."""
    nearest = _nearest(path, known)
    if path == "/" or not nearest:
        return None
    parent = mount_of(path.rpartition("/")[0] or "/", facts.mounts)
    return None if parent is None or parent.mount_id == known[nearest].mount_id else parent


def _has_directory(path: str, known: dict[str, Mount], facts: Facts) -> Check:
    what = ("tree-has-place", path, f"{path} can be mounted in the tree", f"{path} cannot be mounted in the tree")
    nearest, parent = _nearest(path, known), _outside(path, known, facts)
    if parent is None:
        return Check(*what, passed=True, found=f"in that of {nearest}" if nearest and path != "/" else "")
    found = f"it is mounted on a directory of {parent.mountpoint}, which is in no snapshot of the profile"
    hint = f"name {parent.mountpoint} under `include`, or its volume under `volumes`"
    return Check(*what, passed=False, found=found, hint=hint)
