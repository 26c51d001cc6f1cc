"""Writes the shells' completions, of the command line's parser: `python -m tests.packaging.completion OUTDIR`.

OUTDIR/bash/lvmsnap, OUTDIR/zsh/_lvmsnap, OUTDIR/fish/lvmsnap.fish: under the names by which each shell looks for them.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from lvmsnap.cli import help_pages, parser
from lvmsnap.cli.options import COMMANDS
from lvmsnap.cli.usage import Parser

SHELLS = Path(__file__).parent / "shells"

# What an argument stands for, by its name in the usage; "" is nothing that could be completed.
ARGUMENTS = {
    **{"NAME": "profile", "FILE": "profile-or-file", "VG/LV": "volume", "VOLUME": "volume"},
    "TOPIC": "topic",
}
TOPICS = (*help_pages.TOPICS, *(name for name, *_ in COMMANDS))
VALUES = {"DIR": "directory", "FILE": "file", "SECONDS": "", "SPEC": "", "ID": "", "NAME": ""}

# Without waiting for a lock of LVM's: who presses TAB waits for nothing. Snapshots and pools are no origins.
VOLUMES = (
    "lvs --nolocking --noheadings --separator / -o lv_attr,vg_name,lv_name 2> /dev/null | "
    "sed -n 's,^ *[^sStd /][^/]*/,,p'"
)


def files() -> dict[str, str]:
    """Return the text of each file, by its path."""
    return {"bash/lvmsnap": _bash(), "zsh/_lvmsnap": _zsh(), "fish/lvmsnap.fish": _fish()}


def main() -> None:
    for name, text in files().items():
        path = Path(sys.argv[1], name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def values(of: Parser | None = None) -> dict[str, str]:
    """Return what the value of each option stands for, of those that take one."""
    top = parser.build_parser()
    actions = [action for one in ([of] if of else [top, *top.commands.values()]) for action in one._actions]
    taking = [action for action in actions if action.option_strings and action.nargs != 0]
    return {option: VALUES[str(action.metavar)] for action in taking for option in action.option_strings}


def argument(command: Parser) -> tuple[str, bool]:
    """Return what a command's argument stands for, and whether there may be several of it."""
    for action in command._actions:
        if not action.option_strings:
            return ARGUMENTS[str(action.metavar)], action.nargs == "*"
    return "", False


def _filled(template: str, **texts: str) -> str:
    made = (SHELLS / template).read_text()
    for name, text in {"VOLUMES": VOLUMES, "TOPICS": " ".join(TOPICS), **texts}.items():
        made = made.replace(f"@{name}@", text)
    return made


# --- bash -------------------------------------------------------------------------------------------------------------


def _bash() -> str:
    top = parser.build_parser()
    return _filled(
        "lvmsnap.bash",
        NAMES=" ".join(top.commands),
        OPTIONS=" ".join(top._option_string_actions),
        VALUES="\n".join(f'    {option}) _lvmsnap_value="{kind or "nothing"}" ;;' for option, kind in values().items()),
        COMMANDS="\n".join(_bash_case(name, command) for name, command in top.commands.items()),
    )


def _bash_case(name: str, command: Parser) -> str:
    kind, has_several = argument(command)
    tail = " tail=--" if command.help_text and command.help_text.takes_command else ""
    options = " ".join(command._option_string_actions)
    return f'    {name}) options="{options}" arguments="{kind or "nothing"}{"+" if has_several else ""}"{tail} ;;'


# --- zsh --------------------------------------------------------------------------------------------------------------

ZSH = {
    "": " ",
    "file": "_files",
    "directory": "_files -/",
    "profile": "_lvmsnap_profiles",
    "profile-or-file": "_lvmsnap_profiles_or_files",
    "volume": "_lvmsnap_volumes",
    "topic": f"({' '.join(TOPICS)})",
}


def _zsh() -> str:
    top = parser.build_parser()
    common = [action for action in top.options_of_all._group_actions if action.option_strings != ["--version"]]
    return _filled(
        "_lvmsnap",
        NAMES="\n".join(f"    {shlex.quote(f'{name}:{text}')}" for name, _, text, _ in COMMANDS),
        COMMON="\n".join(f"    {_zsh_option(action, top)}" for action in common),
        COMMANDS="\n".join(_zsh_case(name, command) for name, command in top.commands.items()),
    )


def _zsh_case(name: str, command: Parser) -> str:
    kind, has_several = argument(command)
    own = [action for action in command.own_actions() if action.option_strings]
    words = [_zsh_option(action, command) for action in own]
    if kind:
        words.append(shlex.quote(f"{'*' if has_several else '1'}:{kind}:{ZSH[kind]}"))
    takes_command = bool(command.help_text and command.help_text.takes_command)
    if takes_command:
        words.append(shlex.quote("2:two dashes before the command:(--)"))
    line = "_arguments $common" + "".join(f" \\\n        {word}" for word in words)
    if takes_command:
        line = f"if (( dashes < CURRENT )); then _lvmsnap_after_dashes $dashes; else {line}; fi"
    return f"    {name})\n      {line}\n      ret=$?\n      ;;"


def _zsh_option(action: argparse.Action, command: Parser) -> str:
    """Return an option as _arguments takes it: what it excludes, its forms, its meaning, its value."""
    groups = [group._group_actions for group in command._mutually_exclusive_groups if action in group._group_actions]
    excluded = [option for group in groups for other in group for option in other.option_strings]
    without = " ".join(dict.fromkeys([*action.option_strings, *excluded]))
    meaning = (action.help or "").replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    kinds = values(command)
    value = ""
    if action.option_strings[0] in kinds:
        value = f":{action.metavar}:{ZSH[kinds[action.option_strings[0]]]}"
    forms = [f"{option}{'=' if value and option.startswith('--') else ''}" for option in action.option_strings]
    head = shlex.quote(f"({without})") if len(without) > len(forms[0].rstrip("=")) else ""
    form = f"{{{','.join(forms)}}}" if len(forms) > 1 else shlex.quote(forms[0])
    return f"{head}{form}{shlex.quote(f'[{meaning}]{value}')}"


# --- fish -------------------------------------------------------------------------------------------------------------

FISH = {
    "profile": "-a '(__lvmsnap_profiles; __lvmsnap_paths)'",
    "profile-or-file": "-F -a '(__lvmsnap_profiles)'",
    "volume": "-a '(__lvmsnap_volumes; __lvmsnap_paths)'",
    "topic": f"-a {shlex.quote(' '.join(TOPICS))}",
    "file": "-rF",
    "directory": "-xa '(__fish_complete_directories)'",
    "": "-x",
}


def _fish() -> str:
    taking = " ".join(values())
    return _filled("lvmsnap.fish", VALUES=taking, COMMANDS="\n".join(_fish_lines()))


def _fish_lines() -> Iterator[str]:
    top = parser.build_parser()
    for name, _, text, _ in COMMANDS:
        yield f"complete -c lvmsnap -n __lvmsnap_needs_command -a {name} -d {_fish_quoted(text)}"
    for action in top.options_of_all._group_actions:
        condition = (
            "__lvmsnap_needs_command" if action.option_strings == ["--version"] else "not __lvmsnap_after_dashes"
        )
        yield _fish_option(action, condition, top)
    for name, command in top.commands.items():
        kind, has_several = argument(command)
        if kind:
            condition = f"__lvmsnap_{'in' if has_several else 'first'} {name}"
            yield f"complete -c lvmsnap -n '{condition}' {FISH[kind]}"
        if command.help_text and command.help_text.takes_command:
            yield f"complete -c lvmsnap -n '__lvmsnap_later {name}' -a -- -d 'before the command'"
        for action in command.own_actions():
            if action.option_strings:
                yield _fish_option(action, f"__lvmsnap_in {name}", command)


def _fish_option(action: argparse.Action, condition: str, command: Parser) -> str:
    forms = " ".join(f"-l {form[2:]}" if form.startswith("--") else f"-s {form[1:]}" for form in action.option_strings)
    kinds = values(command)
    value = f" {FISH[kinds[action.option_strings[0]]]}" if action.option_strings[0] in kinds else ""
    return f"complete -c lvmsnap -n '{condition}' {forms}{value} -d {_fish_quoted(action.help or '')}"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


if __name__ == "__main__":
    main()
