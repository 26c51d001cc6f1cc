"""YAML text -> plain data with a place for each key and value. Knows YAML and its pitfalls, nothing about profiles.

Imports yaml, which is slow: import this module only to read a file.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import yaml

from lvmsnap.model.dataclass import dataclass, field
from lvmsnap.model.errors import ProfileError, ProfileProblem
from lvmsnap.profile.yaml_errors import fatal, syntax_error
from lvmsnap.profile.yaml_lines import Mark

MAX_DEPTH = 16
MAX_EVENTS = 4000
MAX_SHOWN = 80

# Numbers in YAML 1.2 that PyYAML, a YAML 1.1 parser, takes for text. What any parser reads as a number is not a name.
_NUMBER_1_2 = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+"
_KINDS = {
    "tag:yaml.org,2002:bool": "true or false",
    "tag:yaml.org,2002:int": "a number",
    "tag:yaml.org,2002:float": "a number",
    "tag:yaml.org,2002:timestamp": "a date",
    "tag:yaml.org,2002:null": "nothing",
}
Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Unquoted:
    """A plain word that not every YAML parser reads as text: `on`, `2024`, `4_000`, `1e3`, or nothing at all."""

    text: str
    kind: str


@dataclass(slots=True)
class Source:
    """A document as plain data: dicts, lists, strings, booleans, None, and Unquoted where YAML parsers may differ.

    `unreadable` are the paths whose mistake is in `problems` already, so that it is not reported again.
    """

    file: str
    data: object = None
    keys: dict[Path, Mark] = field(default_factory=dict)
    values: dict[Path, Mark] = field(default_factory=dict)
    unreadable: set[Path] = field(default_factory=set)
    problems: list[ProfileProblem] = field(default_factory=list)

    def readable(self, path: Path) -> object:
        """The value at `path`; None if there is none, or it has a mistake."""
        found: Any = self.data
        if () in self.unreadable:
            return None
        for end, part in enumerate(path, 1):
            if path[:end] not in self.values or path[:end] in self.unreadable:
                return None
            found = found[part]
        return found

    def add(self, mark: Mark, path: Path, message: str, hint: str = "") -> None:
        """Note a mistake that leaves the rest of the text readable."""
        self.problems.append(ProfileProblem(self.file, mark.line, mark.column, dotted(path), message, hint))


def read(text: str, file: str) -> Source:
    """Read the one document in `text`. Raises ProfileError if reading cannot continue."""
    text = text.removeprefix("\ufeff")
    try:
        return _Reader(text, file).document()
    except yaml.reader.ReaderError as error:
        raise _unprintable(text, file, error) from None
    except yaml.MarkedYAMLError as error:
        raise syntax_error(text, file, error) from None


def dotted(path: Path) -> str:
    """The path as people write it: `volumes[0].size`."""
    joined = "".join(f"[{part}]" if isinstance(part, int) else f".{_key_shown(part)}" for part in path)
    return joined.removeprefix(".")


def shown(text: str) -> str:
    """The text in quotes, with control characters escaped, and shortened if it is long."""
    return repr(text) if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]!r}..."


def _key_shown(key: str) -> str:
    return key if key.isprintable() and 0 < len(key) <= MAX_SHOWN else shown(key)


class _Reader:
    """Walks the parser's events, so that depth, size, anchors and duplicate keys are checked before building data."""

    def __init__(self, text: str, file: str) -> None:
        self.loader: Any = yaml.SafeLoader(text)
        self.source = Source(file)
        self.alias_seen = False
        self.events = 0
        self.depth = 0

    def document(self) -> Source:
        self._next()
        start = self._next()
        if isinstance(start, yaml.StreamEndEvent):
            raise fatal(self.source.file, Mark(1, 1), "the file is empty", "see a sample profile, or lvmsnap init")
        self.source.data = self._value((), self._next())
        self._next()
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            hint = "a file is one profile: put the second one into a file of its own"
            self.source.add(_mark(after), (), "a second YAML document begins here", hint)
        return self.source

    def _next(self) -> yaml.Event:
        try:
            event: yaml.Event = self.loader.get_event()
        except (ValueError, OverflowError):
            # PyYAML passes an escape such as "\UFFFFFFFF" to chr() unchecked.
            place = self.loader.get_mark()
            mark = Mark(place.line + 1, place.column + 1)
            raise fatal(self.source.file, mark, "an escape sequence names no Unicode character") from None
        self.events += 1
        self.depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if self.depth > MAX_DEPTH or self.events > MAX_EVENTS:
            raise fatal(self.source.file, _mark(event), "the file is nested too deeply or too long to be a profile")
        return event

    def _value(self, path: Path, event: yaml.Event) -> object:
        self.source.values[path] = _mark(event)
        self._refuse_decoration(path, event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._scalar(path, event) if isinstance(event, yaml.ScalarEvent) else None

    def _refuse_decoration(self, path: Path, event: yaml.Event) -> None:
        """Report anchors, aliases and tags; of anchors and aliases only the first."""
        tag = getattr(event, "tag", None)
        if tag is not None:
            self.source.unreadable.add(path)
            self.source.add(
                _mark(event), path, f"YAML tags such as {shown(str(tag))} are not allowed in a profile", "remove it"
            )
        if not getattr(event, "anchor", None):
            return
        if isinstance(event, yaml.AliasEvent):
            self.source.unreadable.add(path)
        if not self.alias_seen:
            self.alias_seen = True
            message = "YAML anchors and aliases (&name, *name) are not allowed in a profile"
            self.source.add(
                _mark(event), path, message, "put the value itself there; a text that begins so needs quotes"
            )

    def _mapping(self, path: Path) -> dict[str, object]:
        result: dict[str, object] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key, mark = self._key(path, event), _mark(event)
            known = self.source.keys.get((*path, key)) if key is not None else None
            if key is None or known:
                self._skip(self._next())
            else:
                self.source.keys[*path, key] = mark
                result[key] = self._value((*path, key), self._next())
            if known:
                hint = f"it is in line {known.line} already: keep one of the two"
                self.source.add(mark, (*path, str(key)), f"{dotted((*path, str(key)))}: the key is given twice", hint)
        return result

    def _key(self, path: Path, event: yaml.Event) -> str | None:
        word = str(event.value) if isinstance(event, yaml.ScalarEvent) and not (event.anchor or event.tag) else None
        if word is not None and _is_unicode(word):
            return word
        self._skip(event)
        if isinstance(event, yaml.NodeEvent) and (event.anchor or getattr(event, "tag", None)):
            self._refuse_decoration(path, event)
            return None
        self.source.add(_mark(event), path, "a key must be a plain word", "each line is KEY: VALUE")
        return None

    def _skip(self, event: yaml.Event) -> None:
        """Skip the rest of a value that belongs to no key."""
        if isinstance(event, yaml.CollectionStartEvent):
            outside = self.depth - 1
            while self.depth > outside:
                self._next()

    def _sequence(self, path: Path) -> list[object]:
        result: list[object] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            result.append(self._value((*path, len(result)), event))
        return result

    def _scalar(self, path: Path, event: yaml.ScalarEvent) -> object:
        text = str(event.value)
        if "\0" in text:
            self.source.unreadable.add(path)
            self.source.add(_mark(event), path, f"{dotted(path)} contains NUL, which no command or path can contain")
            return None
        if not _is_unicode(text):
            self.source.unreadable.add(path)
            self.source.add(_mark(event), path, f"{dotted(path)} has an escape sequence that names no character")
            return None
        return text if event.style else _plain(text, self.loader.resolve(yaml.ScalarNode, text, (True, False)))


def _plain(text: str, tag: str) -> object:
    """A word without quotes. It counts as true, false or null only if YAML 1.1 and 1.2 agree on that."""
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if text in ("null", "Null", "NULL", "~"):
        return None
    if re.fullmatch(_NUMBER_1_2, text):
        return Unquoted(text, "a number")
    return Unquoted(text, _KINDS[tag]) if tag in _KINDS else text


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _mark(event: yaml.Event) -> Mark:
    place = event.start_mark
    return Mark(place.line + 1, place.column + 1) if place else Mark(1, 1)


def _unprintable(text: str, file: str, error: yaml.reader.ReaderError) -> ProfileError:
    before = text[: error.position]
    mark = Mark(before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1)
    return fatal(file, mark, f"the character U+{ord(text[error.position]):04X} is not allowed in YAML", "remove it")
