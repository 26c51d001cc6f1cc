"""Writes the man pages, of what the program itself says: `python -m tests.packaging.manual OUTDIR`.

lvmsnap(8) is the command line's help, lvmsnap-profile(5) the schema of profiles.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from lvmsnap import __version__
from lvmsnap.cli import help_pages, help_texts, parser, usage
from lvmsnap.model.paths import RUN_DIR, STATE_DIR
from lvmsnap.profile import loading
from tests import TOP
from tests.packaging import roff

ENVIRONMENT = (
    ("LVMSNAP_PROFILE_DIR", "The profile directory, where --profile-dir is not given."),
    ("NO_COLOR", "If set, nothing is coloured on a terminal either."),
    ("COLUMNS", "How wide help and tables are, where that is not the terminal's width."),
)
FOR_COMMAND = (
    ("LVMSNAP_PROFILE", "The name of the profile."),
    ("LVMSNAP_MOUNTPOINT", "Where the snapshot is mounted; of several volumes the top of their tree."),
    ("LVMSNAP_DEVICE", "The snapshot's device, where the profile has one volume."),
    (
        "LVMSNAP_MOUNTPOINT_1, LVMSNAP_DEVICE_1, ...",
        "Mountpoint and device of each volume, in the order of the profile.",
    ),
)
FILES = (
    ("/etc/lvmsnap/NAME.yaml", "The profile NAME, see lvmsnap-profile(5)."),
    (f"{RUN_DIR}/NAME", "Where its snapshot is mounted, unless the profile says otherwise."),
    (STATE_DIR, "What is remembered of profiles: the records of those that are up, and how the last runs ended."),
)
EXAMPLE = "system-full-vg"
TYPES = {"string": "text", "array": "list", "object": "mapping", "boolean": "true or false", "null": "null"}


def pages() -> dict[str, str]:
    """Return the text of each page, by its file's name."""
    return {"lvmsnap.8": roff.page(_program()), "lvmsnap-profile.5": roff.page(_profile())}


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in pages().items():
        (folder / name).write_text(page)


def _head(title: str, section: int, name: str) -> Iterator[str]:
    day = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", datetime.now(UTC).timestamp())), UTC)
    yield r".\" Made of the program itself by tests/packaging/manual.py: not to be edited."
    yield f'.TH {title} {section} {day:%Y-%m-%d} "lvmsnap {__version__}" "System Administration"'
    # What is to be typed is never parted at the end of a line.
    yield from (".nh", ".ad l")
    yield from (".SH NAME", name)


# --- lvmsnap(8) -------------------------------------------------------------------------------------------------------


def _program() -> Iterator[str]:
    top = parser.build_parser()
    yield from _head("LVMSNAP", 8, r"lvmsnap \- LVM snapshots for backups, from named profiles")
    yield ".SH SYNOPSIS"
    yield from _usage(top)
    yield ".SH DESCRIPTION"
    yield from roff.paragraph(help_texts.DESCRIPTION.replace("\n", " "))
    yield from roff.paragraph("A profile says which logical volumes to snapshot, see lvmsnap-profile(5).")
    yield from roff.paragraph(
        "What a command is asked for goes to standard output. Progress goes to standard error, and only where that is "
        "a terminal or the journal, or with -v; warnings and errors always do."
    )
    yield ".SH COMMANDS"
    for name, command in top.commands.items():
        yield f'.SS "{name}"'
        yield from _command(command)
    yield ".SH OPTIONS OF EVERY COMMAND"
    yield from _options(top.options_of_all._group_actions)
    yield ".SH EXIT STATUS"
    for codes, meaning in help_texts.EXITS:
        yield from roff.item(roff.bold(codes), f"{meaning}.")
    yield from _around()


def _around() -> Iterator[str]:
    yield ".SH ENVIRONMENT"
    for name, meaning in ENVIRONMENT:
        yield from roff.item(roff.bold(name), meaning)
    yield from roff.paragraph("COMMAND of run finds in its environment:")
    for name, meaning in FOR_COMMAND:
        yield from roff.item(roff.bold(name), meaning)
    yield ".SH FILES"
    for path, meaning in FILES:
        yield from roff.item(roff.italic(path), meaning)
    yield ".SH EXAMPLES"
    for command, meaning in help_texts.FIRST_STEPS:
        yield from roff.item(roff.bold(command), f"{meaning}.")
    yield ".SH SEE ALSO"
    yield r"\fBlvmsnap\-profile\fR(5), \fBlvcreate\fR(8), \fBlvm\fR(8)"
    yield from roff.paragraph(
        "`lvmsnap help TOPIC` prints a page of the documentation: " + ", ".join(help_pages.TOPICS) + "."
    )


def _command(command: usage.Parser) -> Iterator[str]:
    help_text = command.help_text
    assert help_text is not None
    yield from _usage(command)
    yield from roff.paragraph(help_text.about)
    yield from _options(command.own_actions())
    yield from roff.paragraph(f"On standard output: {help_text.prints}.")
    yield from roff.paragraph("For example:")
    yield from roff.block(help_text.examples)
    yield from roff.paragraph("Exit status:")
    yield ".RS 4"
    for codes, meaning in help_text.exits:
        yield from roff.item(roff.bold(codes), f"{meaning}.")
    yield ".RE"


def _usage(command: usage.Parser) -> Iterator[str]:
    yield from roff.filled(roff.usage(command.one_line()))


def _options(actions: list[argparse.Action]) -> Iterator[str]:
    for action in actions:
        name = action.metavar if isinstance(action.metavar, str) else ""
        value = f" {roff.italic(name)}" if name and action.nargs != 0 else ""
        forms = ", ".join(f"{roff.bold(option)}{value}" for option in action.option_strings)
        yield from roff.item(forms or roff.usage(name), f"{_sentence(action.help or '')}.")


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:] if not words.startswith("systemd") else words


# --- lvmsnap-profile(5) -----------------------------------------------------------------------------------------------


def _profile() -> Iterator[str]:
    schema: dict[str, Any] = json.loads(loading.schema_text())
    yield from _head("LVMSNAP\\-PROFILE", 5, r"lvmsnap\-profile \- which volumes lvmsnap takes snapshots of, and how")
    yield ".SH SYNOPSIS"
    yield roff.italic("/etc/lvmsnap/NAME.yaml")
    yield ".SH DESCRIPTION"
    yield from roff.paragraph(schema["description"])
    yield from roff.paragraph(
        "A profile is a file in YAML, owned by root and writable by nobody else. It is named after its file: of "
        "lower-case letters, digits, - and _. `lvmsnap validate` reports every mistake in it at once, and `lvmsnap "
        "init` makes a first one."
    )
    yield ".SH KEYS"
    yield from _keys(schema, "")
    yield ".SH EXAMPLES"
    lines = (TOP / f"profiles/{EXAMPLE}.yaml").read_text().splitlines()
    yield from roff.block(line for line in lines if not line.startswith("#"))
    yield ".SH SEE ALSO"
    yield r"\fBlvmsnap\fR(8)"
    yield from roff.paragraph("`lvmsnap help profiles` and `lvmsnap help recipes` have more to say of profiles.")


def _keys(schema: dict[str, Any], path: str) -> Iterator[str]:
    for key, inner in schema.get("properties", {}).items():
        place = f"{path}{key}"
        yield from roff.item(f"{roff.bold(place)}, {roff.text(_kind(inner))}", inner["description"])
        yield from _limits(inner, is_required=key in schema.get("required", []))
        yield from _keys(inner, f"{place}.")
        yield from _keys(inner.get("items", {}), f"{place}[].")


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(schema["enum"])
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " or ".join(TYPES[name] for name in types)


def _limits(schema: dict[str, Any], *, is_required: bool) -> Iterator[str]:
    lines = []
    if is_required:
        lines.append("Required.")
    if "default" in schema:
        lines.append(f"Default: `{_yaml(schema['default'])}`.")
    if "patternErrorMessage" in schema:
        lines.append(f"It {schema['patternErrorMessage']}.")
    lines.append(f"For example: {', '.join(f'`{_yaml(example)}`' for example in schema['examples'])}.")
    yield ".IP"
    yield from roff.filled(roff.text(" ".join(lines)))


def _yaml(value: object) -> str:
    """Return a value as one writes it into a profile, on one line."""
    if value == "":
        return '""'
    written = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return re.sub(r"\n\.\.\.\n|\n$", "", written)


if __name__ == "__main__":
    main()
