"""Checks a profile's text against the schema and words each mistake as a sentence. Knows no file and no system.

Imports yaml, which is slow, and if something is wrong jsonschema, which is slower: import this module only to read a
profile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lvmsnap.profile import schema_fit, yaml_positions
from lvmsnap.profile.value_errors import sentence
from lvmsnap.profile.value_hints import nearest
from lvmsnap.profile.yaml_positions import Path, Source, dotted


def check(text: str, file: str, schema: Mapping[str, Any]) -> Source:
    """Read `text` and note every mistake the schema finds in it, at most one for each value."""
    source = yaml_positions.read(text, file)
    if schema_fit.fits(source.data, schema):
        return source
    from jsonschema import Draft202012Validator

    errors = list(Draft202012Validator(schema).iter_errors(source.data))
    _report_unknown_keys(source, schema, [error for error in errors if error.validator == "additionalProperties"])
    _report_missing_keys(source, [error for error in errors if error.validator == "required"])
    for error in errors:
        path = tuple(error.absolute_path)
        if error.validator in ("additionalProperties", "required") or _is_reported(source, path):
            continue
        source.unreadable.add(path)
        source.add(source.values[path], path, *sentence(path, error))
    return source


def _is_reported(source: Source, path: Path) -> bool:
    return any(path[:end] in source.unreadable for end in range(len(path) + 1))


# --- keys ---------------------------------------------------------------------------------------------------------


def _report_unknown_keys(source: Source, schema: Mapping[str, Any], errors: list[Any]) -> None:
    for error in errors:
        parent = tuple(error.absolute_path)
        known = error.schema["properties"]
        for key in error.instance:
            path = (*parent, key)
            if key in known or _is_reported(source, path):
                continue
            source.unreadable.add(path)
            hint, meant = _meant_key(source, schema, parent, key, list(known))
            source.unreadable.update([meant] if meant else [])
            source.add(source.keys[path], path, f"{dotted(path)}: there is no such key", hint)


def _meant_key(
    source: Source, schema: Mapping[str, Any], parent: Path, key: str, known: list[str]
) -> tuple[str, Path | None]:
    """A hint for an unknown key, and the path of the key that was probably meant, if that one is not given."""
    close = nearest(key, known)
    if close:
        path = (*parent, close)
        return f"did you mean {close}?", None if path in source.keys else path
    for place, properties in _places(schema):
        if key in properties and place != parent:
            path = (*place, key)
            where = f"under {dotted(place)}" if place else "at the top level"
            return f"{key} belongs {where}", None if path in source.keys else path
    return f"allowed here: {', '.join(known)}", None


def _places(schema: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Every mapping of the schema with its keys."""
    properties = schema.get("properties", {})
    if properties:
        yield path, properties
    for key, inner in properties.items():
        yield from _places(inner, (*path, key))
    if "properties" in schema.get("items", {}):
        yield from _places(schema["items"], (*path, 0))


def _report_missing_keys(source: Source, errors: list[Any]) -> None:
    for error in errors:
        parent = tuple(error.absolute_path)
        for key in error.validator_value:
            path = (*parent, key)
            if key in error.instance or path in source.unreadable or _is_reported(source, parent):
                continue
            source.unreadable.add(path)
            example = error.schema["properties"][key]["examples"][0]
            hint = f"for example {key}: {example}" if isinstance(example, str) else ""
            source.add(source.values[parent], path, f"{dotted(path)} is missing", hint or f"add a {key}: list")
