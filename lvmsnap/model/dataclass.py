"""Types of annotated fields: `dataclass`, `field`, `replace` and `asdict` as the standard library has them.

The library generates and compiles six methods for each type, and imports `inspect` and its dependencies: together that
was more than half of lvmsnap's import time. Here each method exists once, for all types. The library's own tools work
on these types too: what they need is made when they ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from dataclasses import asdict as asdict  # noqa: PLC0414
    from dataclasses import dataclass as dataclass  # noqa: PLC0414
    from dataclasses import field as field  # noqa: PLC0414
    from dataclasses import replace as replace  # noqa: PLC0414

_set = object.__setattr__


class _Field:
    """A field's default, or the factory that makes it, and whether its repr shows it."""

    __slots__ = ("default", "is_shown", "make_default")

    def __init__(self, default: object, make_default: Callable[[], object] | None, is_shown: bool) -> None:
        self.default, self.make_default, self.is_shown = default, make_default, is_shown


_NONE = object()  # no default, since None may be one


def _field(*, default: object = _NONE, default_factory: Callable[[], object] | None = None, repr: bool = True) -> Any:
    """Describe a field; these are the only options supported here."""
    return _Field(default, default_factory, repr)


class _ForTheLibrary:
    """The fields in the form that the library's tools look for, under the name `__dataclass_fields__`."""

    def __get__(self, one: object, kind: type) -> Mapping[str, Any]:
        return _as_the_library_has_them(kind)


@cache
def _as_the_library_has_them(kind: type) -> Mapping[str, Any]:
    import dataclasses

    kept: Mapping[str, _Field] = kind.__kept__  # type: ignore[attr-defined]
    body: dict[str, Any] = {"__annotations__": dict.fromkeys(kept, "object")}
    for name, known in kept.items():
        default = {} if known.default is _NONE else {"default": known.default}
        made = {"default_factory": known.make_default} if known.make_default else default
        body[name] = dataclasses.field(repr=known.is_shown, **made)
    fields: Mapping[str, Any] = vars(dataclasses.dataclass(type(kind.__name__, (), body)))["__dataclass_fields__"]
    return fields


class _Type:
    """The base of every type. Each has `__kept__`, its fields by name, and `__values__`, which returns their values."""

    __slots__ = ()
    __dataclass_fields__ = _ForTheLibrary()
    if TYPE_CHECKING:
        __match_args__: tuple[str, ...]
        __kept__: Mapping[str, _Field]
        __values__: Callable[[object], tuple[Any, ...]]

    def __init__(self, *values: Any, **named: Any) -> None:
        names = self.__match_args__
        if values:
            named = _together(type(self), dict(zip(names, values, strict=False)), named, len(values))
        if named.keys() != self.__kept__.keys():
            named = _complete(type(self), self.__kept__, named)
        for name in names:
            _set(self, name, named[name])

    def __repr__(self) -> str:
        shown = [name for name, known in self.__kept__.items() if known.is_shown]
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.__values__(self) == self.__values__(other)

    __hash__ = None  # type: ignore[assignment]


class _Frozen(_Type):
    """The base of every type with immutable objects."""

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self.__values__(self))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"cannot delete field {name!r}")

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), self.__values__(self)


def _dataclass(*, slots: Literal[True], frozen: bool = False) -> Callable[[type], type]:
    """Return the decorator that makes a class of annotated fields a type, always with slots.

    Raises TypeError for what only the library supports: bases, ClassVar, InitVar and __post_init__.
    """
    assert slots  # every type has them
    base = _Frozen if frozen else _Type

    def made(cls: type) -> type:
        body = dict(vars(cls))
        annotations: Mapping[str, str] = body.get("__annotations__", {})
        if cls.__bases__ != (object,) or "__post_init__" in body or any(map(_is_special, annotations.values())):
            raise TypeError(f"{cls.__name__}: neither bases, __post_init__, ClassVar nor InitVar are known here")
        for name in ("__dict__", "__weakref__"):
            body.pop(name, None)
        kept = {name: _described(body.pop(name, _NONE)) for name in annotations}
        names = tuple(kept)
        body |= {"__slots__": names, "__match_args__": names, "__kept__": kept, "__qualname__": cls.__qualname__}
        body["__values__"] = staticmethod(_reader(names))
        return type(cls.__name__, (base,), body)

    return made


def _is_special(annotation: object) -> bool:
    return "ClassVar" in str(annotation) or "InitVar" in str(annotation)


def _described(default: object) -> _Field:
    if isinstance(default, _Field):
        return default
    if getattr(default, "__hash__", None) is None:
        raise TypeError(f"the default {default!r} could be changed, and is everybody's: use default_factory")
    return _Field(default, None, True)


def _together(kind: type, first: dict[str, Any], named: dict[str, Any], count: int) -> dict[str, Any]:
    """Return all values by name; `first` are those given by position, `count` in all."""
    if count > len(first):
        raise TypeError(f"{kind.__name__} takes {len(first)} values, not {count}")
    if twice := first.keys() & named.keys():
        raise TypeError(f"{kind.__name__} is given two values for {', '.join(twice)}")
    return first | named


def _complete(kind: type, kept: Mapping[str, _Field], named: dict[str, Any]) -> dict[str, Any]:
    """Return the values, with defaults for the missing ones."""
    if unknown := named.keys() - kept.keys():
        raise TypeError(f"{kind.__name__} has no field {', '.join(unknown)}")
    return {name: named[name] if name in named else _default(known, name) for name, known in kept.items()}


def _default(known: _Field, name: str) -> object:
    if known.make_default:
        return known.make_default()
    if known.default is _NONE:
        raise TypeError(f"no value is given for {name}")
    return known.default


def _reader(names: tuple[str, ...]) -> Callable[[object], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)  # written in C: thousands of objects are compared and hashed
    return lambda one: tuple([getattr(one, name) for name in names])


def is_type(kind: object) -> bool:
    """Whether a class was made here."""
    return isinstance(kind, type) and issubclass(kind, _Type)


def required(kind: type) -> tuple[str, ...]:
    """Return the fields of a type that have no default."""
    kept: Mapping[str, _Field] = kind.__kept__  # type: ignore[attr-defined]
    return tuple(name for name, known in kept.items() if known.default is _NONE and not known.make_default)


def _replace(one: _Type, /, **changes: Any) -> Any:
    """Return a copy of an object with some fields changed."""
    return type(one)(**dict(zip(one.__match_args__, one.__values__(one), strict=True)) | changes)


def _asdict(one: object) -> Any:
    """Return an object as plain data: a dict of its fields, converted recursively in tuples, lists and mappings."""
    if isinstance(one, _Type):
        return {name: _asdict(value) for name, value in zip(one.__match_args__, one.__values__(one), strict=True)}
    if isinstance(one, tuple | list):
        return type(one)(map(_asdict, one))
    return {key: _asdict(value) for key, value in one.items()} if isinstance(one, Mapping) else one


if not TYPE_CHECKING:
    dataclass, field, replace, asdict = _dataclass, _field, _replace, _asdict
