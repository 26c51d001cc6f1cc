"""What lvmsnap says to one who does not know it yet: alone, asked for help, and called wrongly."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from lvmsnap.cli import help_texts, options, parser, usage
from tests.unit.cli.calling import lvmsnap
from tests.unit.cli.seen import golden

NAMES = [name for name, *_ in options.COMMANDS]
every_command = pytest.mark.parametrize("command", NAMES)


def flat(text: str) -> str:
    return " ".join(text.split())


# --- lvmsnap alone ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", ["1", "2", "20"])
def test_a_help_is_readable_on_the_narrowest_terminal(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    done = lvmsnap("run", "--help")

    assert done.returncode == 0
    assert len(done.stdout.splitlines()) < 140, "not a letter below the other"


def test_alone_it_shows_where_to_begin_and_every_command_on_one_screen() -> None:
    done = lvmsnap()

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [name for name in NAMES if not re.search(rf"^  {name}  ", done.stdout, re.MULTILINE)] == []
    assert max(map(len, lines)) <= 80
    assert len(lines) < 24


def test_every_command_of_the_first_steps_is_understood() -> None:
    for command, _ in help_texts.FIRST_STEPS:
        assert callable(parser.parse(shlex.split(command)[1:]).command)


@pytest.mark.parametrize("arguments", [["-v"], ["--wait", "5"], ["-q", "--profile-dir", "/x"], ["--", "true"]])
def test_options_without_a_command_are_wrong_usage(arguments: list[str]) -> None:
    done = lvmsnap(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert "a command is missing" in done.stderr


# --- COMMAND --help ---------------------------------------------------------------------------------------------------


def test_every_command_has_its_help_and_no_other() -> None:
    assert sorted(help_texts.COMMANDS) == sorted(NAMES)


@every_command
def test_the_help_of_a_command_has_an_example_what_it_prints_and_its_exit_codes(command: str) -> None:
    told = help_texts.COMMANDS[command]

    shown = lvmsnap(command, "--help").stdout

    assert flat(told.about) in flat(shown)
    assert f"\non stdout: {told.prints}"[:40] in shown
    assert told.examples
    for example in told.examples:
        assert f"\n  {example}\n" in shown
    for codes, meaning in told.exits:
        assert re.search(rf"^  {codes} +\S", shown, re.MULTILINE)
        assert flat(meaning) in flat(shown)


@every_command
def test_every_example_is_understood_and_of_its_command(command: str) -> None:
    for example in help_texts.COMMANDS[command].examples:
        assert parser.parse(shlex.split(example)[1:]).command_name == command


@every_command
def test_a_command_exits_with_codes_that_the_program_has(command: str) -> None:
    known = {code for codes, _ in help_texts.EXITS for code in codes.split(", ")}
    own = {code for codes, _ in help_texts.COMMANDS[command].exits for code in codes.split(", ")}

    assert own - known <= ({"N"} if command == "run" else set())


@every_command
def test_every_argument_and_option_is_explained(command: str) -> None:
    for action in parser.build_parser().commands[command]._actions:
        assert action.help, action

    shown = flat(lvmsnap(command, "--help").stdout)
    assert ("NAME.yaml in the profile directory" in shown) == ("NAME" in usage_line(command))


def usage_line(command: str) -> str:
    return flat(lvmsnap(command, "--help").stdout.partition("\n\n")[0])


@pytest.mark.parametrize("command", ["run", "install-units"])
def test_the_usage_shows_the_command_after_two_dashes(command: str) -> None:
    assert usage_line(command).endswith(" NAME -- COMMAND [ARG...]")
    assert "\n  -- COMMAND [ARG...]  the command, after two dashes" in lvmsnap(command, "--help").stdout


@every_command
def test_the_usage_line_has_the_options_of_the_command_alone(command: str) -> None:
    shared = {option for action in parser.build_parser()._actions for option in action.option_strings}
    own = set(parser.build_parser().commands[command]._option_string_actions)

    assert set(re.findall(r"--[a-z-]+", usage_line(command))) == own - shared


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_help_fits_the_terminal_and_is_never_wider_than_one_reads(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))

    shown = lvmsnap("down", "--help").stdout.partition("\nfor example")[0]

    assert max(map(len, shown.splitlines()[1:])) <= columns
    prose = shown.partition("\n\n")[2].partition("\n\n")[0]
    assert max(map(len, prose.splitlines())) <= 100


# --- wrong usage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "says", "and_says"),
    [
        # commands
        ("statsu", "there is no command 'statsu'", "did you mean status?"),
        ("pln nightly", "there is no command 'pln'", "did you mean plan?"),
        ("install-unit x", "there is no command 'install-unit'", "did you mean install-units?"),
        ("list", "there is no command 'list'", "did you mean status?"),
        ("umount nightly", "there is no command 'umount'", "did you mean down?"),
        ("fly", "there is no command 'fly'", "lvmsnap --help lists the commands"),
        ("-q fly", "there is no command 'fly'", "lvmsnap --help lists the commands"),
        # options
        ("up x --replce", "up has no option --replce", "did you mean --replace?"),
        ("up x --dryrun", "up has no option --dryrun", "did you mean --dry-run?"),
        ("plan x --ofline", "plan has no option --ofline", "did you mean --offline?"),
        ("plan x --quite", "plan has no option --quite", "did you mean --quiet?"),
        ("plan x --fast", "plan has no option --fast", "lvmsnap plan --help shows those that it has"),
        ("plan x --from-host=y", "plan has no option --from-host", "it is an option of recover"),
        ("run x -z", "run has no option -z", "lvmsnap run --help"),
        ("--verson", "lvmsnap has no option --verson", "did you mean --version?"),
        ("--replace up x", "--replace comes after the command: lvmsnap up --replace", ""),
        # arguments
        ("plan", "plan needs NAME", "lvmsnap plan [OPTION...] NAME; lvmsnap plan --help explains it"),
        ("run", "run needs NAME", "NAME -- COMMAND [ARG...]; lvmsnap run --help explains it"),
        ("down", "down needs NAME or --all", "lvmsnap down [OPTION...] [NAME]; lvmsnap down --help"),
        ("watch a b", "watch takes no further argument 'b'", "lvmsnap watch NAME; lvmsnap watch --help"),
        ("up a b", "up takes no further argument 'b'", "NAME; lvmsnap up --help explains it"),
        (
            "up x --wait soon",
            "up: argument --wait: 'soon' is not a number of seconds, 0 or more",
            "lvmsnap up --help explains it",
        ),
        # the command after two dashes
        ("run nightly", "run needs a command after `--`: lvmsnap run nightly -- COMMAND [ARG...]", ""),
        ("run nightly --", "run needs a command after `--`: lvmsnap run nightly -- COMMAND [ARG...]", ""),
        ("run nightly borg create", "a command comes after `--`: lvmsnap run nightly -- borg create\n", ""),
        (
            "-v run --replace nightly borg create -v --stats '/a b'",
            "a command comes after `--`: lvmsnap -v run --replace nightly -- borg create -v --stats '/a b'\n",
            "",
        ),
        ("run nightly borg -h", "a command comes after `--`: lvmsnap run nightly -- borg -h\n", ""),
        (
            "run nightly borg --help create",
            "a command comes after `--`: lvmsnap run nightly -- borg --help create\n",
            "",
        ),
        ("install-units x true -h", "a command comes after `--`: lvmsnap install-units x -- true -h\n", ""),
        ("run run run", "a command comes after `--`: lvmsnap run run -- run\n", ""),
        ("install-units x true", "a command comes after `--`: lvmsnap install-units x -- true\n", ""),
        ("install-units --status x true", "install-units takes no further argument 'true'", ""),
        (
            "install-units x --hold -- true",
            "install-units with --hold takes no command after `--`: true",
            "lvmsnap install-units --help explains it",
        ),
        ("install-units --remove x -- true", "install-units with --remove takes no command after `--`: true", ""),
        ("up x -- true", "only run and install-units take a command after `--`: true", ""),
    ],
)
def test_wrong_usage_says_what_is_meant(line: str, says: str, and_says: str) -> None:
    done = lvmsnap(*shlex.split(line))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert and_says in flat(done.stderr)
    assert len(done.stderr.splitlines()) <= 2


@pytest.mark.parametrize(
    "line", ["run -h", "run -h nightly borg", "run nightly -h", "-h run nightly", "run --wait 5 -h"]
)
def test_help_that_is_asked_of_lvmsnap_is_its_own(line: str) -> None:
    done = lvmsnap(*line.split())

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: lvmsnap ")


def test_a_profile_where_a_command_is_due_is_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LVMSNAP_PROFILE_DIR", str(tmp_path / "profiles"))
    (tmp_path / "profiles").mkdir()
    for name in ("profiles/nightly", "above"):
        (tmp_path / f"{name}.yaml").touch()

    assert "nightly is a profile: lvmsnap plan nightly shows" in flat(lvmsnap("nightly").stderr)
    assert "lvmsnap run nightly -- COMMAND does it" in flat(lvmsnap("nightly", "--", "true").stderr)
    assert "is a profile" not in lvmsnap("other").stderr
    assert "is a profile" not in lvmsnap("../above").stderr


@pytest.mark.parametrize("word", sorted(help_texts.MEANT))
def test_what_a_command_is_called_elsewhere_leads_to_one_that_there_is(word: str) -> None:
    assert word not in NAMES
    assert help_texts.MEANT[word] in (*NAMES, "--version")


def test_a_word_that_is_meant_for_the_terminal_stays_text() -> None:
    done = lvmsnap("\x1b[31mup\nerror: x")

    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_an_option_meant_for_the_terminal_stays_text() -> None:
    done = lvmsnap("up", "x", "--\x1b[31mup\nerror: x")

    assert "\x1b" not in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_the_operand_after_the_dashes_is_shown_and_never_parsed() -> None:
    for command in parser.build_parser().commands.values():
        assert isinstance(command, usage.Parser)
        assert "argv" not in {action.dest for action in command._actions}


WRONG = (
    *("statsu", "list", "fly", "up nightly --replce", "plan nightly --from-host x", "--replace up nightly"),
    *("--verson", "-v", "plan", "down", "watch a b", "plan nightly --wait soon", "recover -q -v"),
    *("run nightly", "run nightly borg create --stats", "install-units nightly true", "watch nightly -- true"),
)


def test_wrong_usage_reads_as_it_was_read_by_a_person() -> None:
    told = "\n".join(f"$ lvmsnap {line}\n{lvmsnap(*line.split()).stderr}" for line in WRONG)

    golden("wrong-usage.txt", told)


@pytest.mark.parametrize("columns", [80, 120])
def test_help_on_a_terminal_reads_as_it_was_read_by_a_person(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))

    told = "\n".join(f"$ lvmsnap {line}\n{lvmsnap(*line.split()).stdout}" for line in ("", "--help", "run --help"))

    golden(f"help-{columns}.txt", told)
