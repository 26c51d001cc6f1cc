"""The tree of a profile: each snapshot where its origin is mounted on the server, and what is included. Pure.

What is mounted below another part of the tree must find its directory in that one's snapshot. So the server itself must
have it there: whatever it is mounted on has to be part of the tree too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lvmsnap.model.facts import Facts, Mount, mount_of, top_mount
from lvmsnap.model.paths import RUN_DIR
from lvmsnap.model.plan import Check
from lvmsnap.model.profile import Profile, Volume
from lvmsnap.model.target import Include, MountTarget

# An automount point that nobody has looked into yet (autofs(5)): there is nothing to be included.
NOT_MOUNTED_YET = "autofs"
BIND_OPTIONS = ("bind", "ro", "nosuid", "nodev", "private")


def placed(profile: Profile, facts: Facts) -> Profile:
    """Return the profile with each volume of its tree where it is to be mounted; one without a place is not mounted."""
    return replace(profile, volumes=tuple(_placed(profile, volume, facts) for volume in profile.volumes))


def _placed(profile: Profile, volume: Volume, facts: Facts) -> Volume:
    if not volume.is_in_tree:
        return volume
    found = origin_mounts(volume, facts)
    return replace(volume, mountpoint=_in_tree(profile, found[0].mountpoint) if len(found) == 1 else None)


def _in_tree(profile: Profile, path: str) -> str:
    """Return where in the tree a path of the server is."""
    return f"{profile.tree}{path}".rstrip("/")


def origin_mounts(volume: Volume, facts: Facts) -> tuple[Mount, ...]:
    """Return the places where all of an origin is mounted on the server, and to be seen."""
    vg = facts.vg(volume.vg)
    origin = vg.lv(volume.origin) if vg else None
    if origin is None or not origin.device_number:
        return ()
    whole = (one for one in facts.mounts if one.device_number == origin.device_number and one.root == "/")
    return tuple(one for one in whole if _is_seen(one, facts) and not f"{one.mountpoint}/".startswith(f"{RUN_DIR}/"))


def _is_seen(mount: Mount, facts: Facts) -> bool:
    top = top_mount(facts.mounts, mount.mountpoint)
    return top is not None and top.mount_id == mount.mount_id


def parts(profile: Profile, facts: Facts) -> dict[str, Mount]:
    """Return the mounts of the server that the tree shows, by their mountpoints there."""
    found = (origin_mounts(volume, facts) for volume in profile.volumes if volume.is_in_tree)
    volumes = {mounts[0].mountpoint: mounts[0] for mounts in found if len(mounts) == 1}
    tops = ((path, top_mount(facts.mounts, path)) for path in profile.includes)
    return volumes | {path: top for path, top in tops if top and path not in volumes}


def directories(profile: Profile, mountpoint: str, facts: Facts) -> tuple[str, ...]:
    """Return the directories that are made for a mountpoint of the tree, the tree's top first and itself last.

    There are none where it is in another part of the tree, which has the directory.
    """
    top = profile.tree
    others = [_in_tree(profile, path) for path in parts(profile, facts)]
    if any(one != mountpoint and f"{mountpoint}/".startswith(f"{one}/") for one in others):
        return ()
    names = [name for name in mountpoint.removeprefix(top).split("/") if name]
    return tuple("/".join((top, *names[:count])) for count in range(len(names) + 1))


def mount_target(
    profile: Profile, mountpoint: str, filesystem: str, options: tuple[str, ...], facts: Facts
) -> MountTarget:
    """Return how something is mounted in the tree. What is made there for it is removed with it."""
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


def checks(profile: Profile, facts: Facts) -> Iterator[Check]:
    """Yield the checks that each part of the tree has one place in it, and finds its directory there."""
    if not profile.tree:
        return
    for volume in profile.volumes:
        if volume.is_in_tree:
            yield _one_place(volume, facts)
    for path in profile.includes:
        yield _own_mount(path, facts)
    known = parts(profile, facts)
    for path in sorted(known):
        yield _has_directory(path, known, facts)


def _one_place(volume: Volume, facts: Facts) -> Check:
    found = origin_mounts(volume, facts)
    where = f"mounted at {', '.join(one.mountpoint for one in found)}" if found else "it is mounted nowhere"
    hint = "give it a `mountpoint` of its own, or `mountpoint: null` for the device alone"
    return Check(f"{volume.path} has one place in the tree", len(found) == 1, where, hint)


def _own_mount(path: str, facts: Facts) -> Check:
    title, top = f"{path} is a mount of its own", top_mount(facts.mounts, path)
    if top is None:
        inside = mount_of(path, facts.mounts)
        found = f"it is a directory of {inside.mountpoint}" if inside else "nothing is mounted there"
        return Check(title, False, f"{found}, whose snapshot has it" if inside else found, "leave it out of `include`")
    if top.filesystem == NOT_MOUNTED_YET:
        return Check(title, False, "it is mounted only once somebody looks into it", f"ls {path}, then try again")
    return Check(title, True, f"{top.filesystem} of {top.source}")


def _has_directory(path: str, known: dict[str, Mount], facts: Facts) -> Check:
    title = f"{path} has its place in the tree"
    above = [one for one in known if one != path and f"{path}/".startswith(f"{one.rstrip('/')}/")]
    if path == "/" or not above:
        return Check(title, True, "")
    nearest = max(above, key=len)
    parent = mount_of(path.rpartition("/")[0] or "/", facts.mounts)
    if parent is None or parent.mount_id == known[nearest].mount_id:
        return Check(title, True, f"in that of {nearest}")
    found = f"it is mounted on a directory of {parent.mountpoint}, which is in no snapshot of the profile"
    return Check(title, False, found, f"name {parent.mountpoint} under `include`, or its volume under `volumes`")
