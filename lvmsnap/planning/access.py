"""Who can modify, and who can traverse, the directories on a path: what root may rely on. Pure."""

from __future__ import annotations

from lvmsnap.model.dataclass import dataclass
from lvmsnap.model.looked import Gate

# inode(7): write permission for the group and others; search permission for the owner, the group, others.
WRITTEN_BY_OTHERS = 0o022
OWNER_SEARCHES, GROUP_SEARCHES, OTHERS_SEARCH = 0o100, 0o010, 0o001


@dataclass(frozen=True, slots=True)
class _Passing:
    """Who besides root may traverse a directory."""

    everyone: bool = False
    users: frozenset[int] = frozenset()
    groups: frozenset[int] = frozenset()

    def is_within(self, other: _Passing) -> bool:
        return other.everyone or (not self.everyone and self.users <= other.users and self.groups <= other.groups)


ROOT_ALONE = Gate("", 0, 0, 0o700)


def exposed(gates: tuple[Gate, ...]) -> str:
    """Say which directory on a path somebody other than root can change, "" if there is none.

    A directory's owner can replace its entries at any time, with a symlink for instance. The sticky bit keeps others
    from removing entries, not from creating one first. With an ACL, the group bits are the most it grants (acl(5)).
    """
    for gate in gates:
        if gate.uid:
            return f"{gate.path} belongs to user {gate.uid}"
        if gate.mode & WRITTEN_BY_OTHERS:
            return f"users other than root can write to {gate.path}"
    return ""


def opened(gates: tuple[Gate, ...], ways_to_origin: tuple[tuple[Gate, ...], ...]) -> Gate | None:
    """Return a directory that keeps users from the origin whom `gates` would let through, None if there is none.

    `ways_to_origin` has the gates of each place where the whole origin is mounted; one way that keeps out nobody whom
    `gates` let through is enough. An origin that is not mounted counts as behind ROOT_ALONE.
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
    """Return who may traverse it; if it has an ACL that may grant more, assume the `most` it could grant, or least."""
    if gate.mode & OTHERS_SEARCH:
        return _Passing(everyone=True)
    by_group = bool(gate.mode & GROUP_SEARCHES)
    if gate.has_acl and by_group and most:
        return _Passing(everyone=True)
    users = frozenset({gate.uid} if gate.uid and gate.mode & OWNER_SEARCHES else ())
    return _Passing(users=users, groups=frozenset({gate.gid} if by_group and not gate.has_acl else ()))
