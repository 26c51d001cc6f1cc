"""Whether data fits a schema: yes or no, without jsonschema, whose import takes longer than everything else. Pure.

Knows the keywords that the profile's schema uses (JSON Schema, draft 2020-12). `schema_errors` explains what does not
fit, with jsonschema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
# These only describe, and restrict nothing.
_ANNOTATIONS = {"$schema", "$id", "title", "description", "default", "examples", "patternErrorMessage", "errorMessage"}
_ANNOTATIONS |= {"markdownDescription", "defaultSnippets", "doNotSuggest"}
_OF_LISTS = {"items", "minItems", "maxItems"}
_OF_MAPPINGS = {"required", "additionalProperties", "properties"}


def fits(data: object, schema: Schema, root: Schema | None = None) -> bool:
    """Return whether `data` is valid; `root` is the whole schema, of which `schema` may be a part.

    Raises KeyError for an unknown keyword.
    """
    whole = schema if root is None else root
    return all(_keeps(data, keyword, schema, whole) for keyword in schema if keyword not in _ANNOTATIONS)


def _keeps(data: object, keyword: str, schema: Schema, root: Schema) -> bool:
    if keyword in _OF_LISTS:
        return not isinstance(data, list) or _keeps_list(data, keyword, schema[keyword], root)
    if keyword in _OF_MAPPINGS:
        return not isinstance(data, dict) or _keeps_mapping(data, keyword, schema, root)
    return _keeps_value(data, keyword, schema[keyword], root)


def _keeps_value(data: object, keyword: str, wanted: Any, root: Schema) -> bool:
    match keyword:
        case "type":
            return isinstance(data, tuple(_TYPES[name] for name in ([wanted] if isinstance(wanted, str) else wanted)))
        case "enum":
            return data in wanted
        case "pattern":
            return not isinstance(data, str) or re.search(wanted, data) is not None
        case "not":
            return not fits(data, wanted, root)
        case "$ref":
            return fits(data, _part(root, wanted), root)
        case _:
            raise KeyError(keyword)


def _keeps_list(data: list[object], keyword: str, wanted: Any, root: Schema) -> bool:
    if keyword == "items":
        return all(fits(item, wanted, root) for item in data)
    return bool(len(data) >= wanted if keyword == "minItems" else len(data) <= wanted)


def _keeps_mapping(data: dict[str, object], keyword: str, schema: Schema, root: Schema) -> bool:
    if keyword == "required":
        return data.keys() >= set(schema["required"])
    if keyword == "additionalProperties":
        return schema[keyword] is not False or data.keys() <= schema["properties"].keys()
    return all(fits(data[key], inner, root) for key, inner in schema["properties"].items() if key in data)


def _part(root: Schema, reference: str) -> Schema:
    found = root
    for key in reference.removeprefix("#/").split("/"):
        found = found[key]
    return found
