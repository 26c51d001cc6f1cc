"""Our frozen types beside those that the standard library makes from the same text."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any, ClassVar

import pytest

from lvmsnap.model.dataclass import asdict, dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Ours:
    """Three kinds of fields."""

    name: str
    size_bytes: int = 4096
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Other:
    """The same fields in another type."""

    name: str
    size_bytes: int = 4096
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Named:
    """A type with words of its own."""

    name: str

    def __repr__(self) -> str:
        """Say the name."""
        return self.name


@dataclass(frozen=True, slots=True)
class Hidden:
    """A type with a field that nobody is to see."""

    name: str
    secret: str = field(repr=False)


@dataclass(slots=True)
class Open:
    """A type whose objects may change."""

    name: str
    tags: list[str] = field(default_factory=list)


Library: Any = dataclasses.make_dataclass(
    "Ours",
    [("name", str), ("size_bytes", int, 4096), ("tags", list[str], dataclasses.field(default_factory=list))],
    frozen=True,
    slots=True,
)
GIVEN: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = (
    (("a",), {}),
    (("a", 1), {}),
    (("a", 1, ["x"]), {}),
    ((), {"name": "a"}),
    (("a",), {"tags": ["x"]}),
    ((), {"tags": ["x"], "size_bytes": 1, "name": "a"}),
)
WRONG: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = (
    ((), {}),
    (("a", 1, [], 2), {}),
    (("a",), {"name": "b"}),
    (("a",), {"size": 1}),
    (("a", 1), {"tag": []}),
    ((), {"size_bytes": 1}),
)


@pytest.mark.parametrize(("values", "named"), GIVEN)
def test_an_object_is_made_as_by_the_library_and_says_the_same(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    ours, theirs = Ours(*values, **named), Library(*values, **named)
    assert asdict(ours) == dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize(("values", "named"), WRONG)
def test_what_the_library_refuses_is_refused(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    for kind in (Library, Ours):
        with pytest.raises(TypeError):
            kind(*values, **named)


def test_no_default_is_shared_between_two_objects() -> None:
    assert Ours("a").tags is not Ours("a").tags


def test_equal_are_objects_of_one_type_with_equal_values_and_those_have_one_hash() -> None:
    frozen = [Ours("a", 1, ()), Ours("a", 1, ())]  # type: ignore[arg-type]
    assert frozen[0] == frozen[1]
    assert len(set(frozen)) == 1
    assert Ours("a") != Ours("b")
    assert Ours("a") != Ours("a", tags=["x"])
    others: tuple[object, ...] = (Other("a"), "a", None)
    assert Ours("a") not in others
    with pytest.raises(TypeError, match="unhashable"):
        hash(Ours("a"))  # of a list, as in the library


def test_nothing_can_be_set_removed_or_added() -> None:
    ours = Ours("a")
    for name in ("name", "size"):
        with pytest.raises(AttributeError, match=f"'{name}'"):
            setattr(ours, name, "b")
    with pytest.raises(AttributeError, match="'name'"):
        del ours.name
    assert ours == Ours("a")
    assert not hasattr(ours, "__dict__")


def test_the_library_s_tools_work_on_it() -> None:
    ours = Ours("a", tags=["x"])
    assert dataclasses.replace(ours, size_bytes=1) == replace(ours, size_bytes=1) == Ours("a", 1, ["x"])
    assert [one.name for one in dataclasses.fields(ours)] == ["name", "size_bytes", "tags"]
    assert [one.repr for one in dataclasses.fields(Hidden)] == [True, False]
    assert copy.deepcopy(ours) == ours
    assert copy.deepcopy(ours).tags is not ours.tags
    assert pickle.loads(pickle.dumps(ours)) == ours
    match ours:
        case Ours(name, 4096):
            assert name == "a"
        case _:
            pytest.fail("not matched by position")


def test_a_field_that_is_not_to_be_shown_is_not() -> None:
    assert repr(Hidden("a", "secret")) == "Hidden(name='a')"


def test_a_field_that_does_not_exist_cannot_be_replaced() -> None:
    with pytest.raises(TypeError, match="no field size"):
        replace(Ours("a"), size=1)  # type: ignore[call-arg]


def test_plain_data_goes_as_deep_as_there_are_objects() -> None:
    inner = {"in a list": [Ours("a", 1, ["x"])], "alone": Named("b")}
    assert asdict(Other("c", tags=inner)) == {  # type: ignore[arg-type]
        "name": "c",
        "size_bytes": 4096,
        "tags": {"in a list": [{"name": "a", "size_bytes": 1, "tags": ["x"]}], "alone": {"name": "b"}},
    }


def test_a_type_that_is_not_frozen_can_be_changed_compared_and_not_hashed() -> None:
    one, other = Open("a"), Open("b")
    one.name = "b"
    assert one == other
    one.tags.append("x")
    assert one != other
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)
    with pytest.raises(AttributeError):
        one.size = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("default", [[], {}, set()])
def test_a_default_that_could_be_changed_is_refused(default: object) -> None:
    kind = type("Kind", (), {"__annotations__": {"name": "object"}, "name": default})
    with pytest.raises(TypeError, match="default_factory"):
        dataclass(frozen=True, slots=True)(kind)


@pytest.mark.parametrize("option", [{"compare": False}, {"init": False, "default": 1}, {"kw_only": True}])
def test_an_option_of_a_field_that_would_be_ignored_is_refused(option: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        field(**option)


@pytest.mark.parametrize(
    ("bases", "body"),
    [
        ((), {"__annotations__": {"name": "str"}, "__post_init__": lambda _: None}),
        ((), {"__annotations__": {"name": ClassVar[str]}}),
        ((), {"__annotations__": {"name": "dataclasses.InitVar[str]"}}),
        ((Ours,), {"__annotations__": {"more": "str"}}),
    ],
)
def test_what_else_the_library_knows_and_would_be_ignored_is_refused(
    bases: tuple[type, ...], body: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match="Kind: neither bases"):
        dataclass(frozen=True, slots=True)(type("Kind", bases, body))


def test_a_method_that_the_type_has_itself_stays() -> None:
    assert repr(Named("a")) == "a"
