"""The frozen types as JSON, and back with each field's type checked: a file may be truncated, edited, or too new."""

from __future__ import annotations

import functools
import json
import math
import types
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from lvmsnap.model.dataclass import is_type, required

T = TypeVar("T")

# No number that lvmsnap stores is negative, or this large: sizes, inodes, device numbers, times.
LIMIT = 2**64
_WORDS = {str: "text", int: "a number", float: "a number", bool: "true or false", type(None): "null"}


def to_json(data: object, *, indent: int | None = None) -> str:
    """Return plain data as JSON text, enums as their values. Raises TypeError for what JSON cannot represent."""
    return json.dumps(data, default=_enum_value, indent=indent)


def _enum_value(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} is no JSON")


def parsed(text: str | bytes) -> dict[str, Any]:
    """Return the JSON object in a text. Raises ValueError if there is none."""
    try:
        data = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(data, dict):
        raise ValueError(f"it is {_described(data)} and no JSON object")
    return data


def decoded(kind: type[T], data: object, where: str = "") -> T:
    """Return plain data as a `kind`: a frozen dataclass, an enum, a tuple of one kind, text, a number, or None.

    For a union it is the one kind that the data fits; it is an error if they fit several.

    Raises ValueError that names the field. A missing field has its default.
    """
    return cast(T, _decoded(kind, data, where))


def _decoded(kind: Any, data: object, where: str) -> object:
    if get_origin(kind) in (Union, types.UnionType):
        return _one_of(get_args(kind), data, where)
    if get_origin(kind) is tuple:
        if not isinstance(data, list):
            raise _wrong(where, "a list", data)
        return tuple(_decoded(get_args(kind)[0], item, f"{where}[{number}]") for number, item in enumerate(data))
    if is_type(kind):
        return _object(cast(type, kind), data, where)
    if issubclass(kind, Enum):
        known = [one for one in kind if one.value == data]
        if not known:
            raise _wrong(where, " or ".join(str(one.value) for one in kind), data)
        return known[0]
    return _plain(kind, data, where)


def _one_of(kinds: tuple[Any, ...], data: object, where: str) -> object:
    """Return data as the one of several kinds that it fits: JSON does not say which kind was written."""
    if data is None and type(None) in kinds:
        return None
    fitting: list[object] = []
    wrong: list[ValueError] = []
    for kind in _knowing(kinds, data):
        try:
            if kind is not type(None):
                fitting.append(_decoded(kind, data, where))
        except ValueError as error:
            wrong.append(error)
    if len(fitting) == 1:
        return fitting[0]
    if len(wrong) == 1:
        raise wrong[0]
    raise ValueError(
        "; or ".join(dict.fromkeys(map(str, wrong))) or f"{where or 'it'} can be read in more than one way"
    )


def _knowing(kinds: tuple[Any, ...], data: object) -> tuple[Any, ...]:
    """Return the only dataclass that has all of an object's keys, so that it alone reports errors; else all kinds."""
    if not isinstance(data, Mapping):
        return kinds
    knowing = tuple(kind for kind in kinds if is_type(kind) and data.keys() <= _hints(cast(type, kind)).keys())
    return knowing if len(knowing) == 1 else kinds


def _object(kind: type, data: object, where: str) -> object:
    if not isinstance(data, Mapping):
        raise _wrong(where, "an object", data)
    hints, prefix = _hints(kind), f"{where}." if where else ""
    if unknown := data.keys() - hints.keys():
        raise ValueError(f"{prefix}{min(unknown)!r:.80} is not known")
    for name in required(kind):
        if name not in data:
            raise ValueError(f"{prefix}{name} is missing")
    return kind(**{name: _decoded(hints[name], value, f"{prefix}{name}") for name, value in data.items()})


def _plain(kind: type, data: object, where: str) -> object:
    # In Python true is an int; 1 is accepted as a float.
    fits = type(data) is kind or (kind is float and type(data) is int)
    if not fits:
        raise _wrong(where, _WORDS[kind], data)
    if isinstance(data, str) and "\0" in data:
        raise ValueError(f"{where} contains NUL")
    if isinstance(data, int | float) and not (0 <= data < LIMIT and math.isfinite(data)):
        raise ValueError(f"{where} is {data:.80}" if isinstance(data, float) else f"{where} is out of range")
    return data


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _wrong(where: str, wanted: str, data: object) -> ValueError:
    return ValueError(f"{where or 'it'} must be {wanted}, and is {_described(data)}")


def _described(data: object) -> str:
    if isinstance(data, (dict, list)):
        return "an object" if isinstance(data, dict) else "a list"
    return _WORDS[type(data)] if data is None or isinstance(data, bool) else f"{_WORDS[type(data)]} {data!r:.80}"
