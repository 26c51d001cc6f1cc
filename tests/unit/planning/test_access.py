"""Who could swap a directory under root, and who gets at a snapshot that could not get at its origin."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lvmsnap.model.looked import Gate
from lvmsnap.planning import access
from lvmsnap.system import ancestors

ROOT, SRV, MEDIA = Gate("/", 0, 0, 0o755), Gate("/srv", 0, 0, 0o755), Gate("/media", 0, 0, 0o755)
RUN = Gate("/run/lvmsnap", 0, 0, 0o700)
ALICE, BACKUP = 1000, 34


def secret(uid: int = 0, gid: int = 0, mode: int = 0o700, *, has_acl: bool = False) -> Gate:
    return Gate("/srv/secret", uid, gid, mode, has_acl)


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        (Gate("/srv/bob", 1000, 0, 0o700), "/srv/bob belongs to user 1000"),
        (Gate("/srv/x", 0, 0, 0o775), "users other than root can write to /srv/x"),
        (Gate("/srv/x", 0, 0, 0o757), "users other than root can write to /srv/x"),
        (Gate("/tmp", 0, 0, 0o1777), "users other than root can write to /tmp"),
        (Gate("/srv/x", 0, 100, 0o2755), ""),
        (Gate("/srv/x", 0, 0, 0o700), ""),
    ],
)
def test_a_directory_is_safe_where_root_alone_may_change_it(gate: Gate, says: str) -> None:
    assert access.exposed((ROOT, gate, MEDIA)) == says


@pytest.mark.parametrize(
    ("to_snapshot", "to_origin", "is_opened"),
    [
        ([ROOT, MEDIA], [ROOT, SRV], False),
        ([ROOT, MEDIA], [ROOT, SRV, secret()], True),
        ([ROOT, RUN], [ROOT, SRV, secret()], False),
        ([ROOT, RUN], [ROOT, SRV, secret(ALICE)], False),
        ([ROOT, MEDIA], [ROOT, SRV, secret(ALICE)], True),
        # The same group may pass both, another one only the snapshot's.
        ([ROOT, Gate("/b", 0, BACKUP, 0o750)], [ROOT, secret(0, BACKUP, 0o750)], False),
        ([ROOT, Gate("/b", 0, BACKUP, 0o750)], [ROOT, secret(0, 100, 0o750)], True),
        ([ROOT, Gate("/b", 0, BACKUP, 0o710)], [ROOT, secret(ALICE, 100, 0o700)], True),
        # An ACL may let more pass than the bits tell, or fewer.
        ([ROOT, Gate("/b", 0, BACKUP, 0o750, True)], [ROOT, secret(0, BACKUP, 0o750)], True),
        ([ROOT, Gate("/b", 0, BACKUP, 0o750)], [ROOT, secret(0, BACKUP, 0o750, has_acl=True)], True),
        # Each directory that keeps others out must have its like.
        ([ROOT, Gate("/b", 0, BACKUP, 0o750)], [ROOT, secret(0, BACKUP, 0o750), Gate("/x", ALICE, 0, 0o700)], True),
        ([ROOT, RUN], [ROOT, secret(0, BACKUP, 0o750), Gate("/x", ALICE, 0, 0o700)], False),
    ],
)
def test_a_snapshot_is_opened_to_whom_a_directory_keeps_from_the_origin(
    to_snapshot: list[Gate], to_origin: list[Gate], is_opened: bool
) -> None:
    found = access.opened(tuple(to_snapshot), (tuple(to_origin),))

    assert (found is not None) is is_opened
    assert found is None or found in to_origin


def test_of_several_mounts_of_the_origin_the_most_open_one_counts() -> None:
    ways = ((ROOT, secret()), (ROOT, SRV))

    assert access.opened((ROOT, MEDIA), ways) is None
    assert access.opened((ROOT, MEDIA), ways[:1]) == secret()


def test_an_origin_that_is_mounted_nowhere_is_roots_alone() -> None:
    assert access.opened((ROOT, MEDIA), ()) == access.ROOT_ALONE
    assert access.opened((ROOT, RUN), ()) is None


# --- the walk, on real files ---


def test_the_walk_notes_every_directory_from_which_a_name_is_looked_up(tmp_path: Path) -> None:
    (tmp_path / "real/deep").mkdir(parents=True)
    (tmp_path / "links").mkdir()
    (tmp_path / "links/link").symlink_to("../real")

    way = ancestors.walk(f"{tmp_path}/links/link/deep", ())

    assert (way.exists, way.real_path) == (True, f"{tmp_path}/real/deep")
    passed = [gate.path for gate in way.gates]
    assert passed[:2] == ["/", "/" + str(tmp_path).split("/")[1]]
    assert passed[-3:] == [f"{tmp_path}/links", f"{tmp_path}/real", f"{tmp_path}/real/deep"]


def test_the_walk_notes_modes_and_ends_where_the_path_does(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o1777)
    (tmp_path / "file").touch()
    (tmp_path / "round").symlink_to("round")

    assert ancestors.walk(f"{tmp_path}/open", ()).gates[-1] == Gate(
        f"{tmp_path}/open", os.geteuid(), os.getegid(), 0o1777
    )
    for name in ("none/deep", "file/deep", "file", "round"):
        way = ancestors.walk(f"{tmp_path}/{name}", ())
        assert not way.exists
        assert way.gates[-1].path == str(tmp_path)
    assert ancestors.walk(f"{tmp_path}/none/deep", ()).real_path == f"{tmp_path}/none/deep"
