"""Who may change, and who may pass, the directories on the way to a path: what root relies on there. Pure."""

from __future__ import annotations

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.looked import Gate

# inode(7): who but the owner may write; who may search a directory.
WRITTEN_BY_OTHERS = 0o022
OWNER_SEARCHES, GROUP_SEARCHES, OTHERS_SEARCH = 0o100, 0o010, 0o001


@dataclass(frozen=True, slots=True)
class _Passing:
    """Who besides root may pass a directory."""

    everyone: bool = False
    users: frozenset[int] = frozenset()
    groups: frozenset[int] = frozenset()

    def is_within(self, other: _Passing) -> bool:
        return other.everyone or (not self.everyone and self.users <= other.users and self.groups <= other.groups)


ROOT_ALONE = Gate("", 0, 0, 0o700)


def exposed(gates: tuple[Gate, ...]) -> str:
    """Say which directory on the way to a path others than root could change, "" where none could.

    Its owner may replace what is in it at any time, by a symlink too. The sticky bit keeps others from removing what
    is there, not from being first. With an ACL the group's bits are the most that it grants (acl(5)).
    """
    for gate in gates:
        if gate.uid:
            return f"{gate.path} belongs to user {gate.uid}"
        if gate.mode & WRITTEN_BY_OTHERS:
            return f"others than root may write to {gate.path}"
    return ""


def opened(gates: tuple[Gate, ...], ways_to_origin: tuple[tuple[Gate, ...], ...]) -> Gate | None:
    """Return the directory that keeps people from the origin whom `gates` let pass, None where there is none.

    `ways_to_origin` are the gates of each place where the whole origin is mounted: one that keeps out no one that
    `gates` let pass is enough. An origin that is mounted nowhere is behind ROOT_ALONE.
    """
    shields = [_passing(gate, most=True) for gate in gates]
    found = None
    for way in ways_to_origin or ((ROOT_ALONE,),):
        strict = [gate for gate in way if not _passing(gate, most=False).everyone]
        bypassed = [gate for gate in strict if not any(one.is_within(_passing(gate, most=False)) for one in shields)]
        if not bypassed:
            return None
        found = found or bypassed[0]
    return found


def _passing(gate: Gate, *, most: bool) -> _Passing:
    """Return who may pass; where an ACL names more users and groups, the `most` that it could grant, or the least."""
    if gate.mode & OTHERS_SEARCH:
        return _Passing(everyone=True)
    by_group = bool(gate.mode & GROUP_SEARCHES)
    if gate.has_acl and by_group and most:
        return _Passing(everyone=True)
    users = frozenset({gate.uid} if gate.uid and gate.mode & OWNER_SEARCHES else ())
    return _Passing(users=users, groups=frozenset({gate.gid} if by_group and not gate.has_acl else ()))
