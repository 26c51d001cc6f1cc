"""What a YAML parser's error means to a person: where to look, and what to do. Knows YAML's pitfalls."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import yaml

from lvmsnap.model.errors import ProfileError, ProfileProblem
from lvmsnap.profile.yaml_lines import Mark, explained

MAX_TABS = 6


def fatal(file: str, mark: Mark, message: str, hint: str = "") -> ProfileError:
    """Return the only error of a text that cannot be parsed any further."""
    return ProfileError((ProfileProblem(file, mark.line, mark.column, "", message, hint),))


def syntax_error(text: str, file: str, error: yaml.MarkedYAMLError) -> ProfileError:
    """Return the error for what the parser could not read, with the place where a person must look."""
    place = error.problem_mark or error.context_mark
    mark = Mark(place.line + 1, place.column + 1) if place else Mark(1, 1)
    if _is_tab(error):
        return _tab_error(text, file, mark)
    complaint = f"{error.context or ''} {error.problem or ''}"
    if opened := _opening(text, error, mark):
        what = "bracket" if "'<stream end>'" in complaint else "quote"
        return fatal(file, opened, f"the {what} that opens here is not closed where it should be", f"close the {what}")
    begins = error.context_mark
    began = Mark(begins.line + 1, begins.column + 1) if begins else mark
    where, message, hint = explained(text.split("\n"), complaint.strip(), mark, began)
    return fatal(file, where, message, hint)


def _is_tab(error: yaml.MarkedYAMLError) -> bool:
    return "'\\t' that cannot start any token" in (error.problem or "")


def _tab_error(text: str, file: str, mark: Mark) -> ProfileError:
    """Return the error for a tab where YAML allows none; it also names the lines of further ones."""
    lines, found = text.split("\n"), [mark.line]
    while len(found) <= MAX_TABS:
        # Remove that line, and see whether YAML finds another tab.
        lines[found[-1] - 1] = ""
        error = _error_of("\n".join(lines))
        if error is None or not _is_tab(error) or error.problem_mark.line + 1 <= found[-1]:
            break
        found.append(error.problem_mark.line + 1)
    others, more = ", ".join(map(str, found[1:MAX_TABS])), ", ..." if len(found) > MAX_TABS else ""
    also = f" (also line {others}{more})" if others else ""
    is_indentation = not text.split("\n")[mark.line - 1][: mark.column].strip(" \t")
    if is_indentation:
        return fatal(file, mark, f"a tab in the indentation, which YAML does not allow{also}", "indent with spaces")
    return fatal(file, mark, f"a tab outside of quotes{also}", "put a space there, or the text into quotes")


def _error_of(text: str) -> Any:
    try:
        for _ in yaml.parse(text, Loader=yaml.SafeLoader):
            pass
    except yaml.MarkedYAMLError as error:
        return error
    except (yaml.YAMLError, ValueError, OverflowError):
        return None
    return None


def _opening(text: str, error: yaml.MarkedYAMLError, mark: Mark) -> Mark | None:
    """Return where an unclosed bracket or quote opens, also a quote that only the next one closes, too late."""
    opened = error.context_mark
    at_end = "'<stream end>'" in (error.problem or "") and "flow" in (error.context or "")
    if opened and (at_end or "while scanning a quoted scalar" in (error.context or "")):
        return Mark(opened.line + 1, opened.column + 1)
    with suppress(yaml.YAMLError, ValueError, OverflowError):
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            start, end = token.start_mark, token.end_mark
            if start.line + 1 > mark.line:
                break
            if (
                isinstance(token, yaml.ScalarToken)
                and token.style in ("'", '"')
                and start.line < end.line == mark.line - 1
            ):
                return Mark(start.line + 1, start.column + 1)
    return None
