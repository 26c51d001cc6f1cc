"""Adapts argparse: help in lvmsnap's own form, and wrong usage as an error with a hint."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, NoReturn

from lvmsnap.cli import help_texts
from lvmsnap.cli.help_texts import CommandHelp
from lvmsnap.model.errors import UsageError
from lvmsnap.model.lvm_names import is_profile_name
from lvmsnap.model.near import nearest
from lvmsnap.system import streams

_REQUIRED = r"the following arguments are required: (.*)|one of the arguments (.*) is required"
_NARROWEST, _WIDEST = 40, 100
_PROFILE_MEANT = "{0} is a profile: lvmsnap plan {0} shows what would be done, lvmsnap run {0} -- COMMAND does it"


# Never parsed: what follows the two dashes is removed before.
_OPERAND = argparse.Action([], "argv", metavar=help_texts.COMMAND_USAGE, help=help_texts.COMMAND_HELP, required=True)


class _Form(argparse.RawDescriptionHelpFormatter):
    """The help formatter, as wide as the terminal; argparse's own, made for each option, would import shutil."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=streams.columns() - 2)


class Parser(argparse.ArgumentParser):
    """One of lvmsnap's parsers: that of the command line, or of one command, whose help text is `help_text`."""

    def __init__(self, prog: str, *, usage: str | None = None, help_text: CommandHelp | None = None) -> None:
        super().__init__(prog, usage=usage, add_help=False, formatter_class=_Form)
        self._positionals.title = "arguments"
        self.help_text = help_text
        self._commands: dict[str, _Command] = {}
        # They come last, and are not in the usage line.
        self.options_of_all = self.add_argument_group("options of every command" if help_text else "options")
        self.options_of_all.add_argument("-h", "--help", action="help", help="show this help and exit")

    def add_commands(self, commands: Mapping[str, str], prepare: Callable[[str, Parser], None]) -> None:
        """Add a parser for each command, given with its line in the list of all; `prepare` adds its options."""
        subparsers: Any = self.add_subparsers(
            prog="lvmsnap", title="commands", metavar="COMMAND", dest="command_name", parser_class=_Command
        )
        for name, text in commands.items():
            self._commands[name] = subparsers.add_parser(name, help=text, prepare=partial(prepare, name))

    @property
    def commands(self) -> dict[str, Parser]:
        """The parser of each command."""
        return {name: command.parser for name, command in self._commands.items()}

    def format_usage(self) -> str:
        """Return the usage line, including the command that follows two dashes."""
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self.own_actions(), self._mutually_exclusive_groups)
        return formatter.format_help()

    def one_line(self) -> str:
        """Return the usage in one line, without the word "usage"."""
        return " ".join(self.format_usage().split()).removeprefix("usage: ")

    def own_actions(self) -> list[argparse.Action]:
        """Return its own arguments and options, without those of every command, and the operand after two dashes."""
        own = [action for action in self._actions if action not in self.options_of_all._group_actions]
        return own if self.help_text is None or not self.help_text.takes_command else [*own, _OPERAND]

    def format_help(self) -> str:
        """Return the whole help."""
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self.own_actions(), self._mutually_exclusive_groups)
        width = max(_NARROWEST, min(formatter._width, _WIDEST))
        formatter.add_text(_filled(self.help_text.about, width) if self.help_text else help_texts.DESCRIPTION)
        for group in sorted(self._action_groups, key=lambda group: group is self.options_of_all):
            formatter.start_section(group.title)
            operands = (
                [_OPERAND] if group is self._positionals and self.help_text and self.help_text.takes_command else []
            )
            formatter.add_arguments([*group._group_actions, *operands])
            formatter.end_section()
        formatter.add_text("\n\n".join(_explained(self.help_text, width)) if self.help_text else exit_codes())
        return formatter.format_help()

    def error(self, message: str) -> NoReturn:
        """Raise argparse's error as a UsageError."""
        command = self.prog.removeprefix("lvmsnap").strip() or "lvmsnap"
        if found := re.fullmatch(_REQUIRED, message):
            lacking = found[1].replace(", ", " and ") if found[1] else found[2].replace(" ", " or ")
            raise UsageError(f"{command} needs {lacking}", hint=self._usage_hint())
        raise UsageError(f"{command}: {message}", hint=f"{self.prog} --help explains it")

    def _usage_hint(self) -> str:
        operands = [action for action in self.own_actions() if not action.option_strings]
        formatter = self._get_formatter()
        formatter.add_usage(None, operands, [], prefix="")
        usage = " ".join(formatter.format_help().removeprefix(self.prog).split())
        options = " [OPTION...]" if len(operands) < len(self.own_actions()) else ""
        return f"{' '.join(filter(None, (self.prog + options, usage)))}; {self.prog} --help explains it"

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            is_profile = is_profile_name(value) and os.path.lexists(f"{self.get_default('profile_dir')}/{value}.yaml")
            hint = _PROFILE_MEANT.format(value) if is_profile else _command_meant(value, action.choices)
            raise UsageError(f"there is no command {value!r}", hint=hint)
        super()._check_value(action, value)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print the help or the version; argparse's own method hides write errors."""
        if file is sys.stdout:
            sys.stdout.write(message)
        else:
            super()._print_message(message, file)


class _Command:
    """A stand-in for a command's parser in argparse: the real one is slow to make, so it is made on first use."""

    def __init__(self, *, prog: str, prepare: Callable[[Parser], None], **_others: object) -> None:
        self._prog, self._prepare = prog, prepare

    @cached_property
    def parser(self) -> Parser:
        """The parser itself."""
        made = Parser(self._prog, help_text=help_texts.COMMANDS[self._prog.removeprefix("lvmsnap ")])
        self._prepare(made)
        return made

    def _check_help(self, _action: argparse.Action) -> None:
        """Check nothing: argparse in Python 3.14 calls this for each command, which would make its parser."""

    def __getattr__(self, name: str) -> Any:
        if name == "parser":  # making it failed, with an error of its own
            raise AttributeError(name)
        return getattr(self.parser, name)


def unknown(word: str, command: Parser, parser: Parser) -> UsageError:
    """Return the error for a word that `command` does not take; without a command, `command` is `parser` itself."""
    name = command.prog.removeprefix("lvmsnap ")
    if not word.startswith("-"):
        return UsageError(f"{name} takes no further argument {word!r}", hint=command._usage_hint())
    option = word.partition("=")[0]
    if option in command._option_string_actions:
        return UsageError(f"{option} comes after the command: lvmsnap {name} {option} ...")
    return UsageError(f"{name} has no option {option}", hint=_option_meant(option, command, parser))


def lacks_dashes(words: Sequence[str], rest: Sequence[str], command: str, name: str) -> UsageError:
    """Return the error for a user's command without two dashes before it."""
    import shlex

    after_name = words.index(name, words.index(command) + 1) + 1
    place = words.index(rest[0], after_name)
    meant = shlex.join(["lvmsnap", *words[:place], "--", *words[place:]])
    return UsageError(f"a command comes after `--`: {meant}")


def takes_no_command(options: argparse.Namespace, command: Sequence[str]) -> UsageError:
    """Return the error for a command after two dashes with an option of install-units that takes none."""
    given = next(one for one in ("remove", "status", "hold") if getattr(options, one))
    what = f"install-units with --{given} takes no command after `--`: {' '.join(command)}"
    return UsageError(what, hint="lvmsnap install-units --help explains it")


def overview(commands: Iterable[tuple[str, str]]) -> str:
    """Return what `lvmsnap` alone shows."""
    lines = [help_texts.TITLE, *_table(help_texts.FIRST_STEPS, 80), ""]
    return "\n".join([*lines, help_texts.COMMANDS_TITLE, *_table(commands, 80)]) + "\n"


def exit_codes() -> str:
    """Return the exit codes of all commands, for the help of lvmsnap itself."""
    return "\n".join(["exit codes:", *_table(help_texts.EXITS, 80)])


def _explained(help_text: CommandHelp, width: int) -> Iterator[str]:
    yield _filled(f"on stdout: {help_text.prints}.", width)
    yield "\n".join(["for example:", *(f"  {example}" for example in help_text.examples)])
    yield "\n".join(["exit codes:", *_table(help_text.exits, width)])


def _table(rows: Iterable[tuple[str, str]], width: int) -> list[str]:
    import textwrap

    given = tuple(rows)
    left = max(len(head) for head, _ in given) + 4
    return [
        line
        for head, text in given
        for line in textwrap.wrap(
            text, width, initial_indent=f"  {head}".ljust(left), subsequent_indent=" " * left, break_on_hyphens=False
        )
    ]


def _filled(text: str, width: int) -> str:
    import textwrap

    return textwrap.fill(text, width, break_on_hyphens=False)


def _command_meant(word: str, commands: Iterable[str]) -> str:
    near = help_texts.MEANT.get(word) or nearest(word, commands)
    return f"did you mean {near}?" if near else "lvmsnap --help lists the commands"


def _option_meant(option: str, command: Parser, parser: Parser) -> str:
    if near := nearest(option, command._option_string_actions, 0.75):
        return f"did you mean {near}?"
    shown = f"{command.prog} --help shows those that it has"
    others = [name for name, other in parser.commands.items() if option in other._option_string_actions]
    return f"it is an option of {', '.join(others)}; {shown}" if others else shown
