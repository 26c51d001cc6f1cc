"""What a mountpoint must be: free, changeable by root alone, and no more open than the origin. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lvmsnap.model.facts import Facts
from lvmsnap.model.plan import Check
from lvmsnap.model.profile import Profile, Volume
from lvmsnap.planning import access, luks, tree


def run(volume: Volume, path: str, facts: Facts) -> Iterator[Check]:
    """Yield the checks of the mountpoint `path` of a volume."""
    yield from _is_free(path, facts)
    yield from _is_no_more_open(volume, path, facts)


def run_tree(profile: Profile, facts: Facts) -> Iterator[Check]:
    """Yield the checks of the tree that a profile's snapshots are mounted in; only root can enter it."""
    if profile.tree:
        yield from _is_free(profile.tree, facts)
        yield from tree.checks(profile, facts)


def _is_free(path: str, facts: Facts) -> Iterator[Check]:
    """Yield the checks that a path is free, nobody else mounts there, and only root can change its parents."""
    here = facts.looked.mountpoints[path]
    stalls = f"its path crosses {here.stalling}, which may stall and is not controlled by root alone"
    wrong = {
        "unreachable": (stalls, "name a `mountpoint` that is on a local filesystem"),
        "mounted": (
            "something is mounted there",
            f"see what it is: findmnt {path}; unmount it, or name another `mountpoint`",
        ),
        "symlink": ("it is a symlink", "name the directory itself"),
        "no directory": ("it is a file, not a directory", "name another `mountpoint`"),
        "not empty": ("the directory is not empty, or cannot be read", "empty it, or name another `mountpoint`"),
        "no parent": ("its parent directory does not exist", "make it, or name another `mountpoint`"),
    }.get(here.kind)
    found, hint = wrong or (here.kind, "")
    title, problem = f"mountpoint {path} is empty or absent", f"mountpoint {path} cannot be used"
    yield Check("mountpoint-free", path, title, problem, wrong is None, found, hint)
    straight, hint = here.real_path == path, f"write {here.real_path}"
    title, problem = f"no symlink leads to {path}", f"a symlink leads to {path}"
    found = "" if straight else f"it resolves to {here.real_path}"
    yield Check("mountpoint-no-symlink", path, title, problem, straight, found, hint)
    claimed = here.claimed_by
    hint = "name another `mountpoint`: systemd mounts and unmounts this one itself"
    title, problem = f"nothing else mounts on {path}", f"{claimed} mounts on {path} too"
    yield Check("mountpoint-unclaimed", path, title, problem, not claimed, hint=hint)
    if here.stalling:
        return
    exposed = access.exposed(here.gates)
    hint = "anyone who can change one of them can redirect the mount: make it root's, or name another"
    title, problem = (
        f"only root can change {path} and the directories above it",
        f"mountpoint {path} can be changed by others",
    )
    yield Check("mountpoint-roots-alone", path, title, problem, not exposed, exposed, f"{hint} `mountpoint`")


def _is_no_more_open(volume: Volume, path: str, facts: Facts) -> Iterator[Check]:
    here = facts.looked.mountpoints[path]
    if here.stalling:
        return
    name, looked = volume.path, facts.looked.origins.get((volume.vg, volume.origin))
    opened = access.opened(here.gates, luks.content(volume, looked).ways if looked else ())
    allowed = volume.allow_wider_access
    now = f"{opened.path} keeps others from it" if opened and opened.path else f"{name} is mounted nowhere for others"
    found = f"{now}, but nothing keeps them from {path}{', as the profile allows' * allowed}" if opened else ""
    hint = f"leave out `mountpoint`, or chmod 0700 a directory above {path}; if you mean it: `allow_wider_access: true`"
    title, problem = f"{path} is no more open than {name}", f"{path} is more open than {name}"
    yield Check("mountpoint-no-more-open", path, title, problem, allowed or not opened, found, hint)
