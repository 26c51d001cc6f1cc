"""Checks a profile's text against the schema and says each mistake in a sentence. Knows no file and no system.

Imports yaml, which takes a while, and where something is wrong jsonschema, which takes longer: import this module only
when a profile is to be read.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lvmsnap.profile import schema_fit, yaml_positions
from lvmsnap.profile.yaml_positions import MAX_SHOWN, Path, Source, Unquoted, dotted, shown

LONGEST_SIZE = 40
_SIZE_KEYS = ("size", "chunk_size")
_TYPES = {"object": "a mapping (KEY: VALUE)", "array": "a list"}


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
        source.add(source.values[path], path, *_sentence(path, error))
    return source


def nearest(word: str, words: Iterator[str] | list[str] | tuple[str, ...]) -> str | None:
    """The one of `words` that `word` is most likely a misspelling of."""
    by_lower = {known.lower(): known for known in words}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.7)
    return by_lower[found[0]] if found else None


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
    """A hint for an unknown key, and the path of the key that it means, if that one is not given."""
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


# --- values -------------------------------------------------------------------------------------------------------


def _sentence(path: Path, error: Any) -> tuple[str, str]:
    """What is wrong with the value at `path`, and what to do."""
    name, found, schema = dotted(path) or "a profile", error.instance, error.schema
    if isinstance(found, Unquoted) or error.validator == "type":
        return _wrong_type(path, name, found, schema)
    if error.validator == "pattern":
        return f"{name} {schema['patternErrorMessage']}, found {shown(found)}", _text_hint(
            path, found, schema["pattern"]
        )
    if error.validator == "not":
        return f"{name} {schema['errorMessage']}, found {shown(found)}", "lvmsnap decides that itself: leave it out"
    if error.validator == "enum":
        close = nearest(found, schema["enum"]) if isinstance(found, str) else None
        hint = f"did you mean {close}?" if close else ""
        return f"{name} must be {' or '.join(schema['enum'])}, found {_described(found)}", hint
    if error.validator in ("minItems", "maxItems"):
        return _wrong_count(path, name, len(found))
    return f"{name}: {error.message}", ""


def _wrong_count(path: Path, name: str, count: int) -> tuple[str, str]:
    if count:
        return f"{name} has {count} entries, too many for one profile", "make several profiles of it"
    if path == ("volumes",):
        return f"{name} must not be empty", "for example - origin: vg0/root"
    is_hook = path[:1] == ("hooks",)
    return f"{name} must not be empty", f"{'name a program and its arguments, or ' * is_hook}leave the key out"


def _wrong_type(path: Path, name: str, found: object, schema: Mapping[str, Any]) -> tuple[str, str]:
    allowed = schema.get("type", "string")
    if isinstance(found, Unquoted) and not found.text:
        return (f"{name} has no value", _empty_hint(path, allowed)) if path else ("the file is empty", _EMPTY_FILE_HINT)
    kinds = [_TYPES[kind] for kind in ([allowed] if isinstance(allowed, str) else allowed) if kind in _TYPES]
    if kinds and "string" not in allowed:
        return f"{name} must be {' or '.join(kinds)}, found {_described(found)}", _list_hint(path, found)
    if allowed == "boolean":
        return f"{name} must be true or false, found {_described(found)}", _boolean_hint(found)
    if path[-1] in (*_SIZE_KEYS, "timeout"):
        hint = _size_hint(_text(found), schema["pattern"])
        return f"{name} {schema['patternErrorMessage']}, found {_described(found)}", hint
    if isinstance(found, (Unquoted, bool)):
        kind = found.kind if isinstance(found, Unquoted) else "true or false"
        hint = f'write it in quotes: "{_text(found)}"'
        return f"{name} must be text, but YAML can read {_text(found)} as {kind}", hint
    also = " or null" if "null" in allowed else " or a list" if "array" in allowed else ""
    return f"{name} must be text{also}, found {_described(found)}", ""


_EMPTY_FILE_HINT = "see a sample profile, or lvmsnap init"


def _empty_hint(path: Path, allowed: str | list[str]) -> str:
    if "null" in allowed and isinstance(allowed, list):
        return "write null if the snapshot is not to be mounted; without the key the default applies"
    if allowed in ("array", "object", ["object", "array"]):
        return "write what belongs to it below it, indented further"
    return "" if path[-1] in ("origin", "path") else "give it one, or leave the key out"


def _list_hint(path: Path, found: object) -> str:
    if path == ("volumes",) and isinstance(found, dict):
        return "write - before its first key"
    return _options_hint(found) if path[-1:] == ("mount_options",) and isinstance(found, str) else ""


def _options_hint(text: str) -> str:
    options = text.split(",")
    return f"write a list: [{', '.join(options)}]" if all(re.fullmatch(r"[\w=.-]+", o) for o in options) else ""


def _boolean_hint(found: object) -> str:
    word = _text(found).lower()
    if word in ("true", "yes", "on", "y", "1"):
        return "write true, without quotes"
    return "write false, without quotes" if word in ("false", "no", "off", "n", "0") else ""


def _described(value: object) -> str:
    if isinstance(value, Unquoted):
        return value.text or "nothing"
    if isinstance(value, (bool, type(None))):
        return _text(value)
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    return f"the text {shown(str(value))}"


def _text(value: object) -> str:
    if isinstance(value, Unquoted):
        return value.text if len(value.text) <= MAX_SHOWN else f"{value.text[:MAX_SHOWN]}..."
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _text_hint(path: Path, text: str, pattern: str) -> str:
    if path[-1] in (*_SIZE_KEYS, "timeout"):
        return _size_hint(text, pattern)
    device = re.fullmatch(r"/dev/(?!mapper/)([^/]+)/([^/]+)", text)
    if path[-1] == "origin" and device and re.search(pattern, f"{device[1]}/{device[2]}"):
        return f"write {device[1]}/{device[2]}"
    if path[-1] == "origin" and "/" not in text:
        return "name the volume group too: VG/LV (lvs shows both)"
    if "," in text and path[-2:-1] == ("mount_options",):
        return _options_hint(text)
    if text.startswith(("~", "$")):
        return "no shell reads this: write the path in full"
    return ""


def _size_hint(text: str, pattern: str) -> str:
    """The size that was probably meant, if the schema allows it."""
    for lead, better in _better_sizes(text):
        if re.search(pattern, better):
            return f"{lead} {better}"
    return "add a unit: K, M, G or T" if text.isdigit() and re.search(pattern, f"{text}K") else ""


def _better_sizes(text: str) -> Iterator[tuple[str, str]]:
    text = text.strip()
    if len(text) > LONGEST_SIZE:  # so long a text is no size, and takes these patterns for ever
        return
    amount = re.fullmatch(r"\s*([\d_]+)\s*(?:([kmgtKMGT])([iI]?[bB]?))?\s*", text)
    if amount:
        number, unit = amount[1].replace("_", "").lstrip("0"), (amount[2] or "").upper()
        why = f"{amount[2]}{amount[3]} means 1000s to some and 1024s to others: " if amount[3] in ("B", "b") else ""
        if unit:
            yield f"{why}write", f"{number}{unit}iB"
        else:
            yield from (("add a unit, for example", f"{number}{letter}iB") for letter in "MK")
    time = re.fullmatch(r"\s*(\d+)\s*(s|sec|seconds?|m|min|minutes?|h|hours?|)\s*", text)
    if time:
        yield "write" if time[2] else "add a unit, for example", time[1] + {"m": "min", "h": "h"}.get(time[2][:1], "s")
    fraction = re.fullmatch(r"(\d{1,9}\.\d{1,9})\s*([MGTmgt])(?:[iI]?[bB]?)", text)
    if fraction:
        smaller = {"M": "K", "G": "M", "T": "G"}[fraction[2].upper()]
        yield "a whole number is needed: write", f"{round(float(fraction[1]) * 1024)}{smaller}iB"
    percent = re.fullmatch(r"(\d+)\s*%\s*(\w*)", text)
    if percent:
        of = nearest(percent[2], ("ORIGIN", "FREE", "PVS"))
        yield "write" if of else "say of what, for example", f"{percent[1]}%{of or 'ORIGIN'}"
