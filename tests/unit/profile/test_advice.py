"""What a hint says to write is written into the profile: the mistake must be gone then."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lvmsnap.model.errors import ProfileError, ProfileProblem
from lvmsnap.profile import loading
from tests import TOP

DATA: dict[str, Any] = yaml.safe_load((TOP / "tests/unit/data/profiles.yaml").read_text(encoding="utf-8"))
TEXTS: list[str] = [case["profile"] for case in DATA["cases"]] + [DATA["several_mistakes"]["profile"]]
ADVICE = re.compile(
    r"\b(?:write it in quotes:|write a list:|write|for example|did you mean) (.+?)(?:, without quotes|\?)?$"
)


def problems(text: str) -> tuple[ProfileProblem, ...]:
    try:
        loading.parse(text, name="nightly", file="nightly.yaml")
    except ProfileError as error:
        return error.problems
    return ()


ADVISED = [(text, problem) for text in TEXTS for problem in problems(text) if ADVICE.search(problem.hint)]


@pytest.mark.parametrize(("text", "problem"), ADVISED, ids=lambda one: getattr(one, "hint", ""))
def test_a_profile_in_which_the_advice_is_followed_has_that_mistake_no_longer(
    text: str, problem: ProfileProblem
) -> None:
    match = ADVICE.search(problem.hint)
    assert match
    better = followed(text, problem, match[1])
    assert better != text
    about = [one.message for one in problems(better) if one.key_path == problem.key_path or not one.key_path]
    assert about == [], better


def test_hints_say_write_for_example_or_did_you_mean_only_before_what_can_be_written_so() -> None:
    assert len(ADVISED) > 40
    hints = {problem.hint for text in TEXTS for problem in problems(text)}
    words = re.compile(r"\bwrite\b|for example|did you mean")
    assert [hint for hint in hints if words.search(hint) and not ADVICE.search(hint)] == []


def followed(text: str, problem: ProfileProblem, advice: str) -> str:
    """Return the text with what is advised in the place of what is there; a key that is not there is put in."""
    start = offset(text, problem.line, problem.column)
    try:
        yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        after = text[start:].partition("\n")[2]
        return f"{text[:start]}{advice}\n{after}"
    key, _, value = advice.partition(": ")
    known = dict(nodes(text))
    node: yaml.Node | None
    if advice.startswith("- "):
        value, node = f"[{{{advice[2:]}}}]", known[problem.key_path]
    elif problem.key_path.endswith(f".{key}") or problem.key_path == key:
        node = known.get(problem.key_path)
    else:
        value, node = advice, next(node for node in reversed(known.values()) if node.start_mark.index == start)
    if node is not None:
        first, last = node.start_mark.index, node.end_mark.index
        return f"{text[:first]}{' ' * (first == last)}{value}{text[last:]}"
    if text[start] == "{":
        return f"{text[:start]}{{{advice}, {text[start + 1 :]}"
    return f"{text[:start]}{advice}\n{' ' * (problem.column - 1)}{text[start:]}"


def offset(text: str, line: int, column: int) -> int:
    return sum(len(one) for one in text.splitlines(keepends=True)[: line - 1]) + column - 1


def nodes(text: str) -> Iterator[tuple[str, yaml.Node]]:
    """Every value of the text by its path, and every key by its path with a star, what is inside one after it."""

    def inner(path: str, node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
        yield path, node
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                below = f"{path}.{key.value}".lstrip(".")
                yield f"{below}*", key
                yield from inner(below, value)
        if isinstance(node, yaml.SequenceNode):
            for number, one in enumerate(node.value):
                yield from inner(f"{path}[{number}]", one)

    top = yaml.compose(text, Loader=yaml.SafeLoader)
    assert top is not None
    yield from inner("", top)
