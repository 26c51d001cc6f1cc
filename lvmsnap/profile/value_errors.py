"""Words what is wrong with a value in a profile, and what to do about it. Knows no file and no system."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from lvmsnap.profile.value_hints import nearest, text_hint
from lvmsnap.profile.yaml_positions import MAX_SHOWN, Path, Unquoted, dotted, shown

_TYPES = {"object": "a mapping (KEY: VALUE)", "array": "a list"}
_EMPTY_FILE_HINT = "see a sample profile, or lvmsnap init"


def sentence(path: Path, error: Any) -> tuple[str, str]:
    """What is wrong with the value at `path` according to jsonschema's error, and what to do."""
    name, found, schema = dotted(path) or "a profile", error.instance, error.schema
    if isinstance(found, Unquoted) and not found.text:
        return _no_value(path, name, schema)
    if error.validator == "enum":
        return f"{name} must be {' or '.join(schema['enum'])}, found {_described(found)}", _enum_hint(found, schema)
    if error.validator == "type" or isinstance(found, Unquoted):
        return _wrong_type(path, name, found, schema)
    if error.validator == "pattern":
        return _wrong_text(path, name, found, schema)
    if error.validator in ("minItems", "maxItems"):
        return _wrong_count(path, name, len(found))
    assert error.validator == "not"
    return f"{name} {schema['errorMessage']}, found {shown(found)}", "lvmsnap decides that itself: leave it out"


def _no_value(path: Path, name: str, schema: Mapping[str, Any]) -> tuple[str, str]:
    if not path:
        return "the file is empty", _EMPTY_FILE_HINT
    allowed = schema.get("type", "string")
    if "null" in allowed and isinstance(allowed, list):
        hint = "leave the key out, and the default applies; for no mount at all write null"
    elif allowed in ("array", "object", ["object", "array"]):
        hint = "what belongs to it goes below it, indented further"
    else:
        hint = "" if path[-1] in ("origin", "path") else "give it one, or leave the key out"
    return f"{name} has no value", hint


def _wrong_count(path: Path, name: str, count: int) -> tuple[str, str]:
    if count:
        return f"{name} has {count} entries, too many for one profile", "make several profiles of it"
    if path == ("volumes",):
        return f"{name} must not be empty", "for example - origin: vg0/root"
    is_hook = path[:1] == ("hooks",)
    return f"{name} must not be empty", f"{'name a program and its arguments, or ' * is_hook}leave the key out"


def _wrong_type(path: Path, name: str, found: object, schema: Mapping[str, Any]) -> tuple[str, str]:
    allowed = schema.get("type", "string")
    kinds = [_TYPES[kind] for kind in ([allowed] if isinstance(allowed, str) else allowed) if kind in _TYPES]
    if kinds and "string" not in allowed:
        return f"{name} must be {' or '.join(kinds)}, found {_described(found)}", _kind_hint(path, found, schema)
    if allowed == "boolean":
        return f"{name} must be true or false, found {_described(found)}", _boolean_hint(found)
    if isinstance(found, (Unquoted, bool)) and re.search(schema.get("pattern", ""), _text(found)):
        kind = found.kind if isinstance(found, Unquoted) else "true or false"
        hint = f'write it in quotes: "{_text(found)}"'
        return f"{name} must be text, but YAML can read {_text(found)} as {kind}", hint
    if isinstance(found, (Unquoted, bool)):
        return _wrong_text(path, name, found, schema)
    also = " or null" if "null" in allowed else " or a list" if "array" in allowed else ""
    hint = "leave the key out, and the default applies" if found is None and path[-1] not in ("origin", "path") else ""
    return f"{name} must be text{also}, found {_described(found)}", hint


def _wrong_text(path: Path, name: str, found: object, schema: Mapping[str, Any]) -> tuple[str, str]:
    """The error for a value that does not match the pattern, even if it is taken for text."""
    message = f"{name} {schema['patternErrorMessage']}, found {_described(found).removeprefix('the text ')}"
    return message, text_hint(path, _text(found), schema["pattern"])


def _enum_hint(found: object, schema: Mapping[str, Any]) -> str:
    word = _text(found)
    begins = [known for known in schema["enum"] if isinstance(found, str) and word and known.startswith(word.lower())]
    close = begins[0] if len(begins) == 1 else nearest(word, schema["enum"])
    return f"did you mean {close}?" if close else ""


def _kind_hint(path: Path, found: object, schema: Mapping[str, Any]) -> str:
    """What to write if a list or a mapping is needed."""
    if path == ("volumes",) and isinstance(found, dict):
        return "put a space after the -" if any(key[:1] == "-" for key in found) else "put - before its first key"
    items = schema.get("items", {})
    if isinstance(found, str) and (written := _as_list(found, items, "origin" if path == ("volumes",) else "")):
        return f"write a list: {written}"
    properties = schema.get("properties", {})
    if isinstance(found, str) and "origin" in properties and re.search(properties["origin"]["pattern"], found):
        return f"write origin: {found}"
    if isinstance(found, str) and properties and re.match(r"[\w-]+(?:\s*=|:\S)", found):
        return "each line is KEY: VALUE, with a colon and a space after the key"
    example = schema.get("examples", [None])[0]
    is_key = bool(path) and isinstance(path[-1], str)
    return f"for example {path[-1]}: {_flow(example)}" if is_key and example and path != ("volumes",) else ""


def _as_list(text: str, items: Mapping[str, Any], key: str) -> str:
    """The text as a list in brackets; each word becomes a mapping with that `key`, if there is one."""
    pattern = items.get("properties", {}).get(key, items).get("pattern")
    words = [word.strip() for word in text.split(",")]
    if pattern is None or not all(re.search(pattern, word) and re.fullmatch(r"[\w/=.+-]+", word) for word in words):
        return ""
    return f"[{', '.join(f'{{{key}: {word}}}' if key else word for word in words)}]"


def _flow(value: object) -> str:
    """The value as one line of YAML."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_flow(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def _boolean_hint(found: object) -> str:
    word = _text(found).lower()
    if word in ("true", "yes", "on", "y", "1"):
        return "write true, without quotes"
    return "write false, without quotes" if word in ("false", "no", "off", "n", "0") else ""


def _described(value: object) -> str:
    if isinstance(value, Unquoted):
        return _text(value)
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
