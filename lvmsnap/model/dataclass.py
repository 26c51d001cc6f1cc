"""`dataclass` for all frozen types: as in the standard library, whose tools (fields, replace, asdict) work on them.

The library generates and compiles six methods for each type, which is half of the time that it takes to import lvmsnap;
here each method exists once, for every type.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414
else:

    def dataclass(*, slots, frozen=False):
        """Return the decorator that makes a class of annotated fields a type; only frozen ones take no time."""
        return _frozen if frozen and slots else dataclasses.dataclass(slots=slots, frozen=frozen)


_set = object.__setattr__


class _Methods:
    """What every frozen type has."""

    __match_args__: tuple[str, ...]
    __dataclass_fields__: dict[str, dataclasses.Field[Any]]
    __values__: Callable[[object], tuple[Any, ...]]  # of all fields, by whoever is given to it

    def __init__(self, *values: Any, **named: Any) -> None:
        names = self.__match_args__
        if values:
            named = _together(type(self), dict(zip(names, values, strict=False)), named, len(values))
        lacking = 0
        for name in names:
            if name in named:
                _set(self, name, named[name])
            else:
                _set(self, name, _default(self.__dataclass_fields__[name]))
                lacking += 1
        if len(named) + lacking > len(names):
            raise TypeError(f"{type(self).__name__} has no field {', '.join(named.keys() - {*names})}")

    def __repr__(self) -> str:
        shown = [name for name, field in self.__dataclass_fields__.items() if field.repr]
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.__values__(self) == self.__values__(other)

    def __hash__(self) -> int:
        return hash(self.__values__(self))

    def __setattr__(self, name: str, value: object) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), self.__values__(self)


def _frozen(cls: type) -> type:
    # Where there is none, the library has `inspect` make one, which takes longer than all the rest.
    cls.__doc__ = cls.__doc__ or cls.__name__
    made: type = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    fields = vars(made)["__dataclass_fields__"].values()
    if hasattr(cls, "__post_init__") or len(dataclasses.fields(made)) < len(fields):
        raise TypeError(f"{cls.__name__}: neither __post_init__ nor ClassVar and InitVar are known here")
    if not all(field.init and field.compare and not field.kw_only for field in fields):
        raise TypeError(f"{cls.__name__}: of a field's options only default, default_factory and repr are known here")
    methods = {name: method for name, method in vars(_Methods).items() if callable(method)}
    methods["__values__"] = staticmethod(_reader(vars(made)["__match_args__"]))
    for name in methods.keys() - vars(cls).keys():
        setattr(made, name, methods[name])
    return made


def _together(kind: type, first: dict[str, Any], named: dict[str, Any], count: int) -> dict[str, Any]:
    """Return the values of both; `first` are those given without a name, `count` in all."""
    if count > len(first):
        raise TypeError(f"{kind.__name__} takes {len(first)} values, not {count}")
    if twice := first.keys() & named.keys():
        raise TypeError(f"{kind.__name__} is given two values for {', '.join(twice)}")
    return first | named


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    if field.default is dataclasses.MISSING:
        raise TypeError(f"no value is given for {field.name}")
    return field.default


def _reader(names: tuple[str, ...]) -> Callable[[object], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)  # in C: objects are compared and hashed by the thousand
    return lambda one: tuple([getattr(one, name) for name in names])
