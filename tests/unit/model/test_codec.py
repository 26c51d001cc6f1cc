"""What was kept as JSON is read back as what it was, or not at all."""

from __future__ import annotations

import pytest

from lvmsnap.model import codec
from lvmsnap.model.dataclass import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Copied:
    extents: int
    chunk_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Thin:
    pool: str


@dataclass(frozen=True, slots=True)
class Shared:
    pool: str
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    space: Copied | Thin | None
    others: tuple[Copied | Thin, ...] = ()


@dataclass(frozen=True, slots=True)
class Unclear:
    space: Thin | Shared


@pytest.mark.parametrize(
    "kept", [Kept(Copied(16)), Kept(Copied(16, 4096)), Kept(Thin("pool")), Kept(None, (Thin("a"), Copied(1)))]
)
def test_a_field_of_one_of_two_dataclasses_is_read_as_the_one_that_was_written(kept: Kept) -> None:
    assert codec.decoded(Kept, codec.parsed(codec.to_json(asdict(kept)))) == kept


@pytest.mark.parametrize(
    ("space", "wrong"),
    [
        ({"extents": "x"}, "space.extents must be a number, and is text 'x'"),
        ({"extents": 1, "pool": "a"}, "space.'pool' is not known; or space.'extents' is not known"),
        ({}, "space.extents is missing; or space.pool is missing"),
        (5, "space must be an object, and is a number 5"),
    ],
)
def test_what_fits_none_of_them_is_named_with_what_each_of_them_lacks(space: object, wrong: str) -> None:
    with pytest.raises(ValueError, match="space") as caught:
        codec.decoded(Kept, {"space": space})

    assert str(caught.value) == wrong


def test_what_fits_two_of_them_is_not_guessed() -> None:
    assert codec.decoded(Unclear, {"space": {"pool": "a", "owner": "b"}}) == Unclear(Shared("a", "b"))
    with pytest.raises(ValueError, match="space can be read in more than one way"):
        codec.decoded(Unclear, {"space": {"pool": "a"}})
